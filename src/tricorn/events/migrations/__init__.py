"""The folder of the revisions of the tables of events, which every context's schema gets before its own."""

from pathlib import Path

MIGRATIONS = Path(__file__).parent
