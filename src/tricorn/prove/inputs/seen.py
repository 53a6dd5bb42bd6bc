"""Values that were seen in cases and recordings, by the name of their field: what generated messages speak of, too."""

from collections.abc import Iterable
from typing import Any

from google.protobuf.message import Message

_MOST = 200
"""Values kept for a name; the first ones."""


def family(name: str) -> str:
    """The name under which fields share values: ``product_ids`` speaks of what ``product_id`` names."""
    return name.removesuffix("s")


class Seen:
    """Scalars by family of names and by Python type; see `family`."""

    def __init__(self, messages: Iterable[Message] = ()) -> None:
        self._values: dict[tuple[str, type], dict[Any, None]] = {}
        for message in messages:
            self.add(message)

    def add(self, message: Message) -> None:
        """Takes up every scalar of a message."""
        for field, value in message.ListFields():
            if field.message_type is not None and field.message_type.GetOptions().map_entry:
                self._add_map(field, value)
            elif field.is_repeated:
                for each in value:
                    self._add_value(field, each)
            else:
                self._add_value(field, value)

    def values(self, name: str, kind: type) -> list[Any]:
        return list(self._values.get((family(name), kind), ()))

    def _add_map(self, field: Any, entries: Any) -> None:
        for key, value in entries.items():
            self._keep(f"{field.name}.key", key)
            self._add_value(field.message_type.fields_by_name["value"], value)

    def _add_value(self, field: Any, value: Any) -> None:
        if isinstance(value, Message):
            self.add(value)
        elif field.enum_type is None:
            self._keep(field.name, value)

    def _keep(self, name: str, value: Any) -> None:
        kept = self._values.setdefault((family(name), type(value)), {})
        if len(kept) < _MOST:
            kept[value] = None
