"""Verification of contracts with effects: sequences of calls whose answers and whose state afterwards are compared, and histories of calls at
once that a sequential model judges.

What an application declares in ``[verify.NAME]`` of its ``tricorn.toml`` is described in `application`.
"""
