"""Runs a supervisor over toys: `runner.py HOME PORT PLAN.json`. Progress goes to standard output as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tricorn.supervise.child import ProcessPlan
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import Home
from tricorn.supervise.progress import PipeProgress
from tricorn.supervise.supervisor import Limits, Plan, Supervisor

TOY = Path(__file__).with_name("toy.py")


class _Store:
    def start(self) -> None: ...

    def stop(self) -> None: ...

    def admin_url(self, database: str | None = None) -> str:
        return f"postgresql://toy/{database}"


def main() -> int:
    home, port, spec = Path(sys.argv[1]), int(sys.argv[2]), json.loads(Path(sys.argv[3]).read_text())
    progress = PipeProgress(1)
    progress_of_ready, progress.ready = progress.ready, lambda state: progress._send("ready", dict(state))  # type: ignore[method-assign]
    del progress_of_ready
    processes = [
        ProcessPlan(
            part["name"], (sys.executable, str(TOY), *part.get("arguments", [])), gateway=part.get("gateway", False)
        )
        for part in spec["processes"]
    ]
    prepare = spec.get("prepare")
    plan = Plan(
        shape="toy",
        host="127.0.0.1",
        port=port,
        processes=tuple(processes),
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
