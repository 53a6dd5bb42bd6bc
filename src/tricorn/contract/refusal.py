"""The one business error that crosses a contract, and the closed vocabulary of its reasons."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from google.protobuf import descriptor_pool
from google.protobuf.descriptor import EnumDescriptor

from tricorn.v1 import options_pb2
from tricorn.v1.reasons import Reason as PlatformReason

__all__ = ["PlatformReason", "ReasonEntry", "Refusal", "Violation", "declare_reasons", "reason_entry", "reasons"]

_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Violation:
    """One rule that a request breaks: the field's path (``lines[0].quantity``), the rule's id, and what it asks for."""

    field: str
    rule: str
    message: str


class Refusal(Exception):  # noqa: N818 - a refusal is an answer of the contract, not a defect
    """An answer other than the one that was hoped for.

    Args:
        reason: A name of the vocabulary, without ``REASON_``.
        detail: What was wrong, with what, and what to do; shown to the caller, so never an internal.
        metadata: Facts a program can act on, for example what is left of a product.
        violations: The broken rules of an INVALID_ARGUMENT.
        retry_after: Seconds after which it may be tried again.
        sent: False when the call provably never left its caller, so that it may be repeated whatever it does.
    """

    def __init__(
        self,
        reason: str,
        detail: str,
        *,
        metadata: Mapping[str, str] = _NOTHING,
        violations: Sequence[Violation] = (),
        retry_after: float | None = None,
        sent: bool = True,
    ) -> None:
        super().__init__(reason, detail)
        self.reason = str(reason)
        self.detail = detail
        self.metadata = dict(metadata)
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.sent = sent

    def __str__(self) -> str:
        broken = "".join(f"; {violation.field}: {violation.message}" for violation in self.violations)
        return f"{self.reason}: {self.detail}{broken}"

    def __reduce__(self) -> tuple[object, ...]:
        return _rebuild, (self.reason, self.detail, self.metadata, self.violations, self.retry_after)


def _rebuild(
    reason: str, detail: str, metadata: dict[str, str], violations: tuple[Violation, ...], retry_after: float | None
) -> Refusal:
    return Refusal(reason, detail, metadata=metadata, violations=violations, retry_after=retry_after)


@dataclass(frozen=True, slots=True)
class ReasonEntry:
    """How a reason looks on each transport: a gRPC status code's name and an HTTP status."""

    name: str
    grpc: str
    http: int


_declared: dict[str, ReasonEntry] = {}


def declare_reasons(enums: Iterable[EnumDescriptor]) -> None:
    """Adds an application's reasons to the vocabulary. Declaring the same enum again changes nothing.

    Raises:
        ValueError: A name is declared twice with different statuses.
    """
    for enum in enums:
        for value in enum.values:
            options = value.GetOptions()
            if not options.HasExtension(options_pb2.reason):
                continue
            policy = options.Extensions[options_pb2.reason]
            entry = ReasonEntry(value.name.removeprefix("REASON_"), policy.grpc, policy.http)
            if _declared.setdefault(entry.name, entry) != entry:
                message = f"the reason {entry.name} of {enum.full_name} is declared already, otherwise"
                raise ValueError(message)


@cache
def _declare_platform() -> None:
    declare_reasons([descriptor_pool.Default().FindEnumTypeByName("tricorn.v1.Reason")])


def reasons() -> Mapping[str, ReasonEntry]:
    """Every reason declared so far, by name."""
    import tricorn.v1.reason_pb2  # noqa: F401, PLC0415 - registers the enum

    _declare_platform()
    return _declared


def reason_entry(name: str) -> ReasonEntry:
    """The entry of a reason; an unknown name is treated as INTERNAL, so that it never reaches a caller."""
    known = reasons()
    return known.get(name) or known[PlatformReason.INTERNAL]
