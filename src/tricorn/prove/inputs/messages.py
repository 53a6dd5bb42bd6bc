"""Whole messages, drawn from their descriptors and rules."""

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tricorn.contract import Refusal, validate
from tricorn.prove.inputs.draws import Draws
from tricorn.prove.inputs.rules import Rules, field_rules, is_required, message_is_unsure, read_rules
from tricorn.prove.inputs.scalars import Maker, scalar_maker
from tricorn.prove.inputs.scope import Scope
from tricorn.prove.inputs.seen import Seen
from tricorn.prove.inputs.wellknown import WELL_KNOWN, WRAPPERS
from tricorn.v1 import validate_pb2

DEEPEST = 5
"""Messages nested deeper are left out where the rules allow it: that ends recursion."""

_TRIES = 6
_PRESENT = 75
"""Percent of fields with presence that are set."""

Fill = Callable[[Any, Scope, int], None]


class Generator:
    """Draws messages of any type. What it makes keeps to the rules; where it cannot be sure, the validator has the last word."""

    def __init__(self, seen: Seen | None = None) -> None:
        self._seen = seen or Seen()
        self._fills: dict[str, list[Fill]] = {}
        self._single: dict[str, Fill] = {}
        self._unsure: dict[str, bool] = {}

    def draw(self, kind: type[Message], draws: Draws, size: int | None = None) -> Message:
        """A message; ``size`` from 0 to 3 bounds how long its lists are, None draws that, too.

        One in a few may break a CEL rule or a format that is not known here.
        """
        unsure = self._is_unsure(kind.DESCRIPTOR)
        for attempt in range(_TRIES):
            message = kind()
            self.fill(message, Scope(draws, self._seen, size), 0)
            if not unsure or attempt == _TRIES - 1 or _keeps_to_rules(message):
                break
        return message

    def redraw(self, message: Message, field: FieldDescriptor, draws: Draws) -> None:
        """Draws one field of a message anew."""
        message.ClearField(field.name)
        fill = self._single.get(field.full_name)
        if fill is None:
            fill = self._single[field.full_name] = self._field(field)
        fill(message, Scope(draws, self._seen), 0)

    def fill(self, message: Any, scope: Scope, depth: int) -> None:
        """Sets the fields of an empty message."""
        for fill in self._fills_of(message.DESCRIPTOR):
            fill(message, scope, depth)

    def _fills_of(self, descriptor: Any) -> list[Fill]:
        fills = self._fills.get(descriptor.full_name)
        if fills is None:
            fills = self._fills[descriptor.full_name] = []
            fills.extend(
                self._field(field)
                for field in descriptor.fields
                if field.containing_oneof is None or _is_optional(field)
            )
            fills.extend(
                self._oneof(oneof)
                for oneof in descriptor.oneofs
                if not (len(oneof.fields) == 1 and _is_optional(oneof.fields[0]))
            )
        return fills

    def _is_unsure(self, descriptor: Any) -> bool:
        """Whether something in a message or below has rules that cannot be drawn for."""
        known = self._unsure.get(descriptor.full_name)
        if known is None:
            self._unsure[descriptor.full_name] = False  # for a message that holds itself
            known = self._unsure[descriptor.full_name] = message_is_unsure(descriptor) or any(
                field_rules(field).unsure or (field.message_type is not None and self._is_unsure(field.message_type))
                for field in descriptor.fields
            )
        return known

    def _oneof(self, oneof: Any) -> Fill:
        fields = {field.name: self._set(field, field_rules(field)) for field in oneof.fields}
        names = list(fields)
        flat = [field.name for field in oneof.fields if field.message_type is None] or names
        required = is_required(oneof)

        def fill(message: Any, scope: Scope, depth: int) -> None:
            if required or scope.draws.chance(_PRESENT):
                fields[scope.draws.pick(names if depth < DEEPEST else flat)](message, scope, depth)

        return fill

    def _field(self, field: FieldDescriptor) -> Fill:
        rules = field_rules(field)
        if field.is_repeated:
            return self._repeated(field, rules)
        put = self._set(field, rules)
        if not field.has_presence or rules.required:
            return put
        is_message = field.message_type is not None

        def maybe(message: Any, scope: Scope, depth: int) -> None:
            if (not is_message or (depth < DEEPEST and scope.left > 0)) and scope.draws.chance(_PRESENT):
                put(message, scope, depth)

        return maybe

    def _set(self, field: FieldDescriptor, rules: Rules) -> Fill:
        """Sets a singular field."""
        name = field.name
        if field.message_type is not None:
            inside = self._inside(field.message_type, rules)

            def put_message(message: Any, scope: Scope, depth: int) -> None:
                inner = getattr(message, name)
                inner.SetInParent()
                scope.left -= 1
                inside(inner, scope, depth + 1)

            return put_message
        make = scalar_maker(field, rules)
        needs_something = rules.required and not field.has_presence

        def put(message: Any, scope: Scope, depth: int) -> None:
            value = make(scope)
            for _ in range(_TRIES if needs_something else 0):
                if value:
                    break
                value = make(scope)
            setattr(message, name, value)

        return put

    def _inside(self, descriptor: Any, rules: Rules) -> Fill:
        special = WELL_KNOWN.get(descriptor.full_name)
        if special is not None:
            return lambda message, scope, _: special(message, scope, rules)
        if descriptor.full_name in WRAPPERS:
            value = descriptor.fields_by_name["value"]
            make = scalar_maker(value, _of_wrapped(value, rules))
            return lambda message, scope, _: setattr(message, "value", make(scope))
        return self.fill

    def _repeated(self, field: FieldDescriptor, rules: Rules) -> Fill:
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            return self._map(field, rules)
        name, said = field.name, rules.said
        least, most = (said.min_items, said.max_items if said.HasField("max_items") else None) if said else (0, None)
        items = read_rules(field, said.items if said else validate_pb2.FieldRules())
        if field.message_type is not None:
            inside = self._inside(field.message_type, items)

            def fill_messages(message: Any, scope: Scope, depth: int) -> None:
                entries = getattr(message, name)
                count = _count(scope, least, most) if depth < DEEPEST else least
                scope.left -= count
                for _ in range(count):
                    inside(entries.add(), scope, depth + 1)

            return fill_messages
        make = scalar_maker(field, items)
        unique = said is not None and said.unique

        def fill(message: Any, scope: Scope, depth: int) -> None:
            values = [make(scope) for _ in range(_count(scope, least, most))]
            if unique:
                values = list(dict.fromkeys(values))
                for _ in range(_TRIES * least):
                    if len(values) >= least:
                        break
                    values = list(dict.fromkeys((*values, make(scope))))
            getattr(message, name).extend(values)

        return fill

    def _map(self, field: Any, rules: Rules) -> Fill:
        entry, said, name = field.message_type, rules.said, field.name
        least, most = (said.min_pairs, said.max_pairs if said.HasField("max_pairs") else None) if said else (0, None)
        key_field, value_field = entry.fields_by_name["key"], entry.fields_by_name["value"]
        none = validate_pb2.FieldRules()
        make_key: Maker = scalar_maker(key_field, read_rules(key_field, said.keys if said else none))
        value_rules = read_rules(value_field, said.values if said else none)
        if value_field.message_type is not None:
            inside = self._inside(value_field.message_type, value_rules)

            def fill_messages(message: Any, scope: Scope, depth: int) -> None:
                entries = getattr(message, name)
                for _ in range(_count(scope, least, most) if depth < DEEPEST else least):
                    inner = entries[make_key(scope)]
                    inner.Clear()
                    inside(inner, scope, depth + 1)

            return fill_messages
        make_value = scalar_maker(value_field, value_rules)

        def fill(message: Any, scope: Scope, depth: int) -> None:
            entries = getattr(message, name)
            for _ in range(_count(scope, least, most)):
                entries[make_key(scope)] = make_value(scope)

        return fill


def _count(scope: Scope, least: int, most: int | None) -> int:
    """How many entries: few, as many as the message's size says, and now and then the limit itself."""
    if scope.left <= 0:
        return least
    longest = scope.longest if most is None else min(most, max(scope.longest, least))
    if most is not None and most <= scope.longest * 2 and scope.draws.chance(3):
        return most
    return scope.draws.between(least, max(least, longest))


def _is_optional(field: FieldDescriptor) -> bool:
    """An ``optional`` scalar, for which the compiler makes a oneof of its own."""
    return field.containing_oneof is not None and field.containing_oneof.name == f"_{field.name}"


def _of_wrapped(value: FieldDescriptor, rules: Rules) -> Rules:
    """The rules beside a wrapper hold for what it wraps."""
    said = validate_pb2.FieldRules()
    if rules.said is not None:
        kind = rules.said.DESCRIPTOR.name.removesuffix("Rules").lower()
        getattr(said, kind).CopyFrom(rules.said)
    return read_rules(value, said)


def _keeps_to_rules(message: Message) -> bool:
    try:
        validate(message)
    except Refusal:
        return False
    return True
