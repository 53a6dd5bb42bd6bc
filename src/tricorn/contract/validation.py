"""The rules of a contract's messages, checked by protovalidate."""

from google.protobuf.message import Message
from protovalidate import Validator
from protovalidate import Violation as Broken

from tricorn.contract.refusal import PlatformReason, Refusal, Violation

_validator = Validator()


def validate(message: Message) -> None:
    """Checks a message against the rules written beside its fields.

    Raises:
        Refusal: INVALID_ARGUMENT, with every broken rule.
    """
    broken = _validator.collect_violations(message)
    if broken:
        violations = [_violation(each) for each in broken]
        first = violations[0]
        more = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
        raise Refusal(
            PlatformReason.INVALID_ARGUMENT,
            f"{first.field or 'the request'}: {first.message}{more}",
            violations=violations,
        )


def _violation(broken: Broken) -> Violation:
    proto = broken.proto
    path = []
    for element in proto.field.elements if proto.field is not None else ():
        subscript = element.subscript
        name = element.field_name or ""
        path.append(name if subscript is None else f"{name}[{subscript.value}]")
    return Violation(".".join(path), proto.rule_id or "", proto.message or proto.rule_id or "is not valid")
