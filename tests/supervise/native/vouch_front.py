"""Writes evidence for the toy's native gateway as if it had been compared just now: `vouch_front.py APPLICATION`."""

import sys
from pathlib import Path

from tricorn.host import load_manifest
from tricorn.prove.gateways import gateway_prints, save_gateway_evidence

manifest = load_manifest(Path(sys.argv[1]))
manifest.activate()
save_gateway_evidence(manifest, "other", gateway_prints(manifest), cases=600, requests=640, known=2, different=0)
