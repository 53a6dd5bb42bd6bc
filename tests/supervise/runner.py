"""Runs a supervisor over toys: `runner.py HOME PORT PLAN.json`. Progress goes to standard output as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from tricorn.supervise.child import ProcessPlan
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.growth import PartPlan
from tricorn.supervise.home import Home
from tricorn.supervise.limits import Limits
from tricorn.supervise.progress import PipeProgress
from tricorn.supervise.supervisor import Plan, Supervisor

TOY, TOOL = (Path(__file__).with_name(name) for name in ("toy.py", "tool.py"))


class _Store:
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def admin_url(self, database: str | None = None) -> str:
        return f"postgresql://toy/{database}"


def _part(home: Path, said: dict[str, Any]) -> PartPlan:
    address = f"unix:{said['address']}"
    command = (said["program"], "--listen", address, "--home", str(home), *said.get("arguments", []))
    return PartPlan(
        said["name"],
        "other",
        process=ProcessPlan(said["name"], command, address=address),
        build=ProcessPlan(f"build-{said['name']}", (sys.executable, str(TOOL), said["build"])),
        check=ProcessPlan(f"check-{said['name']}", (sys.executable, str(TOOL), said["check"])),
        permit=ProcessPlan(f"permit-{said['name']}", (sys.executable, str(TOOL), said["permit"])),
        contracts=tuple(said["contracts"]),
    )


def main() -> int:
    home, port, spec = Path(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    progress = PipeProgress(1)
    progress._close = lambda: None  # type: ignore[method-assign]  # a test goes on listening
    processes = [
        ProcessPlan(
            part["name"],
            (sys.executable, str(TOY), *part.get("arguments", [])),
            gateway=part.get("gateway", False),
            address=part.get("address", ""),
        )
        for part in spec["processes"]
    ]
    parts = {part["name"]: _part(home, part) for part in spec.get("parts", [])}
    native = [part.process for part in parts.values()]
    processes = [*processes, *native] if spec.get("grows") else [*native, *processes]
    prepare = spec.get("prepare")
    plan = Plan(
        shape="toy",
        host="127.0.0.1",
        port=port,
        processes=tuple(processes),
        parts=parts,
        grows=bool(spec.get("grows")),
        endpoints=spec.get("endpoints", {}),
        prepare=ProcessPlan("prepare", (sys.executable, str(TOY), *prepare)) if prepare else None,
        store=_Store(),
        database="toys",
        ready_paths=("/",),
        limits=Limits(**spec.get("limits", {})),
    )

    async def run() -> None:
        await Supervisor(plan, Home(home), progress).run()

    try:
        asyncio.run(run())
    except SuperviseError as error:
        progress.failed(error.what, error.remedy, error.log)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
