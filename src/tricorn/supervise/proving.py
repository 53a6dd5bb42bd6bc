"""What commands may ask of the supervisor to prove with: shadow a target, record a contract. The processes do the work."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tricorn.host.targets import short_name
from tricorn.prove.orders import FILE, PARTS, Orders, RecordOrder, dump_orders, parse_orders
from tricorn.supervise.errors import SuperviseError
from tricorn.supervise.home import cannot_write
from tricorn.supervise.moving import GOING_ON
from tricorn.telemetry import get_logger
from tricorn.wire.bindings import AT_GATEWAY, REFERENCE, Binding, Bindings, Shadow
from tricorn.wire.endpoints import ENDPOINTS_FILE, known_endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

    from tricorn.supervise.binding import BindingWriter
    from tricorn.supervise.control import Control
    from tricorn.supervise.home import Home
    from tricorn.supervise.operators import Edge

_PARTS_KEPT_SECONDS = 3600.0

_log = get_logger("tricorn.supervise")


class Proving:
    """Answers `shadow` and `record`.

    Args:
        edge: the native part that can be the gateway, where there is one.
    """

    def __init__(self, home: Home, writer: BindingWriter, edge: Callable[[], Edge | None] = lambda: None) -> None:
        self._home = home
        self._writer = writer
        self._edge = edge

    def listen(self, control: Control) -> None:
        """Have their commands come here."""
        control.handle("shadow.start", self.shadow)
        control.handle("shadow.stop", self.end_shadow)
        control.handle("record.start", self.record)
        control.handle("record.stop", self.end_recording)

    async def shadow(self, said: dict[str, Any]) -> dict[str, Any]:
        """Have an implementation get copies of a share (basis points) of the calls of a contract, or of one method.

        Raises:
            SuperviseError: it does not run here, or the target is moved by a cutover, which shadows by itself.
        """
        target, name, sample = str(said["target"]), str(said["implementation"]), int(said["sample"])
        contract, _, method = target.partition("/")
        self._check_running(target, name)
        self._check_still(target)
        now = self._writer.current
        if method and target not in now.by_target:
            changed = [replace(now.at(contract), shadow=_with_method(now.at(contract), name, sample, method))]
        else:
            changed = [replace(each, shadow=Shadow(name, sample)) for each in _with_methods(now, target)]
        return {"generation": self._writer.write(lambda _: changed, now.generation).generation}

    async def end_shadow(self, said: dict[str, Any]) -> dict[str, Any]:
        """Send no more copies of a target's calls.

        Raises:
            SuperviseError: it is not shadowed, or a cutover does it.
        """
        target = str(said["target"])
        contract, _, method = target.partition("/")
        now = self._writer.current
        shadowed = [each for each in _with_methods(now, target) if each.shadow is not None]
        whole = now.at(contract)
        if method and target not in now.by_target and whole.shadow is not None and method in whole.shadow.methods:
            left = tuple(each for each in whole.shadow.methods if each != method)
            changed = [replace(whole, shadow=replace(whole.shadow, methods=left) if left else None)]
        else:
            changed = [replace(each, shadow=None) for each in shadowed]
        if not changed:
            raise SuperviseError(f"{_short(target)} is not shadowed", remedy="see `tricorn status` for what is")
        self._check_still(target)
        return {"generation": self._writer.write(lambda _: changed, now.generation).generation}

    async def record(self, said: dict[str, Any]) -> dict[str, Any]:
        """Have every process write down its calls of a contract; each into a part of its own.

        Raises:
            SuperviseError: the order cannot be written.
        """
        now = time.time()
        order = RecordOrder(
            id=f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime(now))}-{os.urandom(3).hex()}",
            contract=str(said["contract"]),
            methods=tuple(map(str, said["methods"])),
            sample=int(said["sample"]),
            until=now + float(said["seconds"]),
            most_bytes=int(said["most_bytes"]),
        )
        self._forget_old_parts(now)
        self._write_orders({**self._orders(now), order.id: order})
        _log.info("recording", contract=order.contract, recording=order.id, seconds=said["seconds"])
        return {"id": order.id, "folder": str(self._home.path / PARTS / order.id)}

    async def end_recording(self, said: dict[str, Any]) -> dict[str, Any]:
        """End a recording; asked about one that has ended already, do nothing.

        Raises:
            SuperviseError: the orders cannot be written; the recording then ends when its time is up.
        """
        orders = dict(self._orders(time.time()))
        orders.pop(str(said["id"]), None)
        self._write_orders(orders)
        return {}

    def _check_running(self, target: str, name: str) -> None:
        known = known_endpoints(self._home.path / ENDPOINTS_FILE).get(target.partition("/")[0], {})
        running = sorted({*known, *self._at_gateway(target)} - {REFERENCE})
        if name not in running:
            others = f"there is {', '.join(running)}" if running else "only python answers it"
            raise SuperviseError(
                f"no {name} implementation of {_short(target)} runs here: {others}",
                remedy="start a shape that has it and wait until it is built: `tricorn status` shows how far it is",
            )

    def _at_gateway(self, target: str) -> set[str]:
        """The language in which the gateway answers a method by itself; empty when it does not."""
        edge = self._edge()
        answers = edge is not None and edge.has_port and self._writer.current.at(target).record.get(AT_GATEWAY)
        return {edge.language} if edge is not None and answers else set()

    def _check_still(self, target: str) -> None:
        for each in _with_methods(self._writer.current, target):
            if each.record.get("cutover") == GOING_ON or "rehearsing" in each.record:
                raise SuperviseError(
                    f"{_short(each.target)} is being cut over, which shadows by itself",
                    remedy=f"look at it with `tricorn cutover {_short(each.target)} --follow`, or end it with --stop",
                )

    def _orders(self, now: float) -> Orders:
        try:
            orders = parse_orders((self._home.path / FILE).read_bytes())
        except (OSError, ValueError):
            return {}
        return {name: order for name, order in orders.items() if order.until > now}

    def _write_orders(self, orders: Orders) -> None:
        path = self._home.path / FILE
        scratch = path.with_suffix(f".{os.getpid()}")
        try:
            path.parent.mkdir(exist_ok=True, mode=0o700)
            with os.fdopen(os.open(scratch, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w") as file:
                file.write(dump_orders(orders))
            scratch.replace(path)
        except OSError as error:
            raise cannot_write(error, path) from error

    def _forget_old_parts(self, now: float) -> None:
        """Parts that no command has fetched are not kept for ever: they hold what users sent."""
        kept = self._orders(now)
        with contextlib.suppress(OSError):
            for folder in (self._home.path / PARTS).iterdir():
                if folder.name not in kept and now - folder.stat().st_mtime > _PARTS_KEPT_SECONDS:
                    shutil.rmtree(folder, ignore_errors=True)


def _with_methods(now: Bindings, target: str) -> list[Binding]:
    """What is bound for a target, and for those of its methods that have bindings of their own."""
    own = [binding for name, binding in sorted(now.by_target.items()) if name.startswith(f"{target}/")]
    return [now.at(target), *own]


def _with_method(binding: Binding, name: str, sample: int, method: str) -> Shadow:
    """The shadow of a contract with one more of its methods in it."""
    before = binding.shadow
    if before is None:
        return Shadow(name, sample, (method,))
    if not before.methods or before.implementation != name:
        what = "all its methods" if not before.methods else f"some of its methods, with {before.implementation}"
        raise SuperviseError(
            f"{short_name(binding.target)} is shadowed already: {what}",
            remedy=f"end that first: `tricorn shadow {short_name(binding.target)} --stop`",
        )
    return Shadow(name, sample, tuple(sorted({*before.methods, method})))


def _short(target: str) -> str:
    contract, slash, method = target.partition("/")
    return f"{short_name(contract)}{slash}{method}"
