"""Which fields of a contract no message ever set, and which enum values none ever had."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message


class Coverage:
    """Exact, over every message that is put before it: a field is missed only if not one of them set it.

    It looks only where something is still missing, so that the longer it goes on the less it costs.
    """

    def __init__(self, roots: Iterable[Any]) -> None:
        self._fields: dict[str, dict[str, Any]] = {}
        self._values: dict[str, dict[str, set[int]]] = {}
        self._below: dict[str, dict[str, Any]] = {}
        self._enums: dict[tuple[str, str], Any] = {}
        for root in roots:
            self._expect(root)
        self._open = self._still_open()

    def add(self, message: Message) -> None:
        """Takes note of what a message sets."""
        if message.DESCRIPTOR.full_name in self._open and self._look(message):
            self._open = self._still_open()

    def fields_never_set(self) -> list[str]:
        """As ``Message.field``, sorted."""
        return sorted(f"{_last(name)}.{field}" for name, fields in self._fields.items() for field in fields)

    def values_never_seen(self) -> list[str]:
        """As ``Message.field: VALUE``, sorted."""
        return sorted(
            f"{_last(name)}.{field}: {self._enums[name, field].values_by_number[number].name}"
            for name, fields in self._values.items()
            for field, numbers in fields.items()
            for number in numbers
        )

    def _expect(self, descriptor: Any) -> None:
        name = descriptor.full_name
        if name in self._fields:
            return
        self._fields[name] = {field.name: field for field in descriptor.fields}
        self._values[name] = {
            field.name: set(field.enum_type.values_by_number)
            for field in descriptor.fields
            if field.enum_type is not None
        }
        self._enums.update({(name, field.name): field.enum_type for field in descriptor.fields if field.enum_type})
        below: dict[str, Any] = {}
        for field in descriptor.fields:
            inner = field.message_type
            if inner is not None and inner.GetOptions().map_entry:
                inner = inner.fields_by_name["value"].message_type
            if inner is not None:
                below[field.name] = inner
        self._below[name] = below
        for inner in below.values():
            self._expect(inner)

    def _still_open(self) -> set[str]:
        """The types in which, or below which, something is missing."""
        missing = {name for name in self._fields if self._fields[name] or any(self._values[name].values())}
        grown = True
        while grown:
            more = {
                name
                for name, below in self._below.items()
                if name not in missing and any(inner.full_name in missing for inner in below.values())
            }
            missing |= more
            grown = bool(more)
        return missing

    def _look(self, message: Any) -> bool:
        name = message.DESCRIPTOR.full_name
        missing, values, below = self._fields[name], self._values[name], self._below[name]
        found = False
        for field in [each for each in missing if self._is_set(message, missing[each])]:
            del missing[field]
            found = True
        for field, numbers in values.items():
            if numbers:
                said = getattr(message, field)
                before = len(numbers)
                numbers.difference_update((said,) if isinstance(said, int) else said)
                found |= len(numbers) < before
        for field, inner in below.items():
            if inner.full_name in self._open:
                for each in _messages(message, field):
                    found |= self._look(each)
        return found

    @staticmethod
    def _is_set(message: Any, field: Any) -> bool:
        if field.has_presence:
            return bool(message.HasField(field.name))
        return bool(getattr(message, field.name))


def _messages(message: Any, field: str) -> list[Any]:
    descriptor = message.DESCRIPTOR.fields_by_name[field]
    if not descriptor.is_repeated:
        return [getattr(message, field)] if message.HasField(field) else []
    values = getattr(message, field)
    return list(values.values()) if hasattr(values, "values") else list(values)


def _last(name: str) -> str:
    return name.rpartition(".")[2]
