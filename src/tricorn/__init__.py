"""Tricorn grows one Python backend into Go and Rust, one proven step at a time.

The rooms, each importing only those before it: ``contract``, ``telemetry``, ``data``, ``wire``, ``events``, ``host``, ``gateway``,
``conformance``, ``supervise``, ``cli``.
"""

__version__ = "0.1.0"
