"""Messages that break one rule, and bytes that are no message: what an implementation must refuse, and in the same words."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from google.protobuf.message import Message

from tricorn.prove.inputs.draws import Draws
from tricorn.prove.inputs.rules import INTEGERS, field_rules, is_required, read_rules
from tricorn.v1 import validate_pb2

_LONG = 100_000
"""Strings and lists are made too long only where the limit is below."""

Break = Callable[[], Any]


def break_a_rule(message: Message, draws: Draws) -> bool:
    """Breaks one rule somewhere in a message; False when nothing in it has a rule that can be broken."""
    ways = list(_ways(message, draws))
    if not ways:
        return False
    draws.pick(ways)()
    return True


def damage(payload: bytes, draws: Draws) -> bytes:
    """Bytes of a message, cut off, flipped, or with something behind them."""
    if not payload:
        return draws.pick((b"\xff", b"\x0a\xff", b"\x08"))
    at = draws.between(0, len(payload) - 1)
    match draws.between(0, 3):
        case 0:
            return payload[:at]
        case 1:
            return payload[:at] + bytes((payload[at] ^ (1 << draws.between(0, 7)),)) + payload[at + 1 :]
        case 2:
            return payload[:at] + b"\xff" * draws.between(1, 11) + payload[at:]
        case _:
            return payload + draws.pick((b"\x0a", b"\xff" * 10, b"\x0b\x08\x01", b"\x00"))


def with_unknown_field(payload: bytes, draws: Draws) -> bytes:
    """A message of a newer contract: one more field, which whoever does not know it leaves alone."""
    return payload + draws.pick((b"\xf8\xff\xff\x0f\x07", b"\xfa\xff\xff\x0f\x03abc", b"\xf9\xff\xff\x0f" + bytes(8)))


def _ways(message: Any, draws: Draws) -> Iterator[Break]:
    for oneof in message.DESCRIPTOR.oneofs:
        chosen = message.WhichOneof(oneof.name)
        if is_required(oneof) and chosen:
            yield partial(message.ClearField, chosen)
    for field in message.DESCRIPTOR.fields:
        rules = field_rules(field)
        if rules.required:
            yield partial(message.ClearField, field.name)
        if field.is_repeated:
            yield from _ways_in_list(message, field, rules.said, draws)
        elif field.message_type is not None:
            if message.HasField(field.name):
                yield from _ways(getattr(message, field.name), draws)
        elif rules.said is not None:
            for value in _broken(field, rules.said):
                yield partial(setattr, message, field.name, value)


def _ways_in_list(message: Any, field: Any, said: Any, draws: Draws) -> Iterator[Break]:
    values = getattr(message, field.name)
    if not values:
        return
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        if said is not None and said.min_pairs:
            yield partial(message.ClearField, field.name)
        if field.message_type.fields_by_name["value"].message_type is not None:
            yield from _ways(values[min(values, key=str)], draws)
        return
    if said is not None:
        yield from _ways_of_length(message, field.name, values, said)
    index = draws.between(0, len(values) - 1)
    if field.message_type is not None:
        yield from _ways(values[index], draws)
    elif said is not None and said.HasField("items"):
        inner = read_rules(field, said.items).said
        yield from (partial(values.__setitem__, index, value) for value in (_broken(field, inner) if inner else ()))


def _ways_of_length(message: Any, name: str, values: Any, said: Any) -> Iterator[Break]:
    if said.min_items:
        yield partial(message.ClearField, name)
    if said.HasField("max_items") and said.max_items < _LONG:
        yield lambda: values.extend([values[-1]] * (said.max_items + 1 - len(values)))
    if said.unique:
        yield lambda: values.extend([values[0]])


def _broken(field: Any, said: Any) -> list[Any]:
    """Values that the rules of a scalar forbid, where that can be told."""
    if field.enum_type is not None:
        undefined = max(field.enum_type.values_by_number) + 1
        return [*said.not_in, *([undefined] if said.defined_only or getattr(said, "in") else [])]
    if field.type in INTEGERS:
        least, most = INTEGERS[field.type]
        near = []
        for name, value in (("gt", 0), ("gte", -1), ("lt", 0), ("lte", 1)):
            if said.HasField(name):
                near.append(getattr(said, name) + value)
        return [value for value in (*near, *said.not_in) if least <= value <= most]
    if isinstance(said, validate_pb2.StringRules):
        return _broken_text(said)
    if isinstance(said, validate_pb2.BytesRules):
        exact = said.len if said.HasField("len") else None
        lengths = [exact + 1, exact - 1] if exact is not None else []
        lengths += [said.min_len - 1] if said.min_len else []
        lengths += [said.max_len + 1] if said.HasField("max_len") and said.max_len < _LONG else []
        return [bytes(length) for length in lengths if length >= 0]
    return []


def _broken_text(said: Any) -> list[str]:
    lengths = [said.min_len - 1] if said.min_len else []
    lengths += [said.max_len + 1] if said.HasField("max_len") and said.max_len < _LONG else []
    lengths += [said.len + 1] if said.HasField("len") and said.len < _LONG else []
    texts = ["x" * length for length in lengths]
    # Of characters that are no single byte: a length counted in bytes or in UTF-16 is another.
    texts += ["🎬" * length for length in lengths]
    if said.WhichOneof("well_known") or said.HasField("pattern"):
        texts += ["not of this form", "\n"]
    return [*texts, *said.not_in]
