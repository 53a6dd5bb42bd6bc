"""Writes evidence for the toy's native part as if it had been verified just now: `vouch_tally.py APPLICATION`."""

import sys
from datetime import UTC, datetime
from pathlib import Path

from tricorn.host import load_manifest
from tricorn.prove.evidence import Evidence, Prints, SourceCount, fingerprints, save_evidence

CONTRACT = "toy.tally.v1.TallyService"

manifest = load_manifest(Path(sys.argv[1]))
manifest.activate()
now = fingerprints(manifest, CONTRACT, manifest.natives["tally"])
save_evidence(
    manifest,
    Evidence(
        contract=CONTRACT,
        language="other",
        fingerprints=Prints(contract=now.contract, reference=now.reference, native=now.native),
        taken=datetime.now(UTC),
        seed=1,
        sources={"generated": SourceCount(compared=30_000, different=0)},
        confidence=0.95,
        differ_below=0.0001,
        asked_twice=300,
        unsteady=0,
        ignored_share=0,
        gain="a tally 3 ms -> 1 ms",
        statement="0 of 30,000 differ",
    ),
)
