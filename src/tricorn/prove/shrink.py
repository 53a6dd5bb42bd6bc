"""Makes a request that shows something smaller, by delta debugging over its tree (Zeller's ddmin for lists)."""

import math
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from google.protobuf.message import Message

Still = Callable[[Message], Awaitable[bool]]
"""Whether a smaller message shows it, too."""

MOST_TRIES = 2_000
MOST_SECONDS = 60.0
_NO_FRACTIONS = 1e15
_SHORT_NAMES = "abcdefghijklmnopqrstuvwxyz"

_Path = tuple[Any, ...]


async def shrink(message: Message, still: Still, *, tries: int = MOST_TRIES, seconds: float = MOST_SECONDS) -> Message:
    """The smallest message found for which ``still`` holds, as it does for ``message``: no single step makes it smaller.

    Steps are: entries of lists and maps go, in halves and one by one; fields go; texts that name something become short everywhere at once;
    numbers come nearer to zero. It ends early after so many tries or seconds.
    """
    until = time.monotonic() + seconds
    best = _copy(message)
    tried = 0
    seen: set[bytes] = set()
    smaller = True
    while smaller:
        smaller = False
        for candidate in _smaller(best):
            key = candidate.SerializeToString(deterministic=True)
            if key in seen:
                continue
            seen.add(key)
            tried += 1
            if tried > tries or time.monotonic() > until:
                return best
            if await still(candidate):
                best, smaller = candidate, True
                break
    return best


def _smaller(message: Message) -> Iterator[Message]:
    """Messages that are one step smaller, the boldest steps first."""
    yield from _without_entries(message)
    yield from _without_fields(message)
    yield from _renamed(message)
    yield from _plainer(message)


def _without_entries(message: Message) -> Iterator[Message]:
    lists = sorted(
        ((path, name, len(getattr(_at(message, path), name))) for path, name in _lists(message)),
        key=lambda each: -each[2],
    )
    for path, name, length in lists:
        size = length
        while size:
            for begin in range(0, length, size):
                smaller = _copy(message)
                _remove(_at(smaller, path), name, begin, begin + size)
                yield smaller
            size //= 2


def _remove(message: Any, name: str, begin: int, end: int) -> None:
    values = getattr(message, name)
    if hasattr(values, "keys"):
        for key in sorted(values, key=str)[begin:end]:
            del values[key]
    else:
        del values[begin:end]


def _without_fields(message: Message) -> Iterator[Message]:
    for path, field in _set_fields(message):
        if not field.is_repeated:
            smaller = _copy(message)
            _at(smaller, path).ClearField(field.name)
            yield smaller


def _renamed(message: Message) -> Iterator[Message]:
    texts = dict.fromkeys(value for _, _, value in _scalars(message) if isinstance(value, str) and value)
    used = set(texts)
    for text in texts:
        short = next((name for name in _SHORT_NAMES if name not in used), None)
        if len(text) > 1 and short is not None:
            smaller = _copy(message)
            for path, place, value in _scalars(message):
                if value == text:
                    _put(_at(smaller, path), place, short)
            yield smaller


def _plainer(message: Message) -> Iterator[Message]:
    for path, place, value in _scalars(message):
        for plainer in _plainer_values(value):
            smaller = _copy(message)
            try:
                _put(_at(smaller, path), place, plainer)
            except ValueError:
                continue  # a closed enum has no such value
            yield smaller


def _plainer_values(value: Any) -> Iterator[Any]:
    if isinstance(value, bool):
        return
    if isinstance(value, int):
        yield from _nearer_to_zero(value)
    elif isinstance(value, float):
        whole = [float(int(value)), round(value, 2)] if math.isfinite(value) and abs(value) < _NO_FRACTIONS else []
        yield from (plain for plain in (0.0, 1.0, *whole) if plain != value and not abs(plain) > abs(value))
    elif isinstance(value, (str, bytes)):
        yield from (
            value[:length] for length in dict.fromkeys((0, 1, len(value) // 2, len(value) - 1)) if length < len(value)
        )
        if isinstance(value, bytes) and value.strip(b"\0"):
            yield bytes(len(value))


def _nearer_to_zero(value: int) -> Iterator[int]:
    """0 and 1, round numbers, the half, one less; the positive one of a negative."""
    sign, size = (-1, -value) if value < 0 else (1, value)
    if sign < 0:
        yield size
    tens = 10 ** max(0, len(str(size)) - 1)
    for smaller in dict.fromkeys((0, 1, tens, size - size % tens, size // 2, size - 1)):
        if smaller < size:
            yield sign * smaller


def _put(message: Any, place: tuple[str, Any], value: Any) -> None:
    """Sets a field, an entry of a list, or an entry of a map."""
    name, key = place
    if key is None:
        setattr(message, name, value)
    else:
        getattr(message, name)[key] = value


def _scalars(message: Message, path: _Path = ()) -> Iterator[tuple[_Path, tuple[str, Any], Any]]:
    """Every scalar that is set: where its message is, its place there, and what it is."""
    for field, value in message.ListFields():
        if _is_map(field):
            for key in sorted(value, key=str):
                inner = value[key]
                if isinstance(inner, Message):
                    yield from _scalars(inner, (*path, (field.name, key)))
                else:
                    yield path, (field.name, key), inner
        elif field.is_repeated:
            for index, inner in enumerate(value):
                if isinstance(inner, Message):
                    yield from _scalars(inner, (*path, (field.name, index)))
                else:
                    yield path, (field.name, index), inner
        elif isinstance(value, Message):
            yield from _scalars(value, (*path, (field.name, None)))
        else:
            yield path, (field.name, None), value


def _set_fields(message: Message, path: _Path = ()) -> Iterator[tuple[_Path, Any]]:
    """Every field that is set, outer ones first."""
    inner: list[tuple[_Path, Message]] = []
    for field, value in message.ListFields():
        yield path, field
        if _is_map(field):
            inner += [((*path, (field.name, key)), each) for key, each in value.items() if isinstance(each, Message)]
        elif field.message_type is not None:
            entries = enumerate(value) if field.is_repeated else [(None, value)]
            inner += [((*path, (field.name, index)), each) for index, each in entries]
    for where, each in inner:
        yield from _set_fields(each, where)


def _lists(message: Message) -> Iterator[tuple[_Path, str]]:
    for path, field in _set_fields(message):
        if field.is_repeated:
            yield path, field.name


def _at(message: Any, path: _Path) -> Any:
    for name, key in path:
        message = getattr(message, name) if key is None else getattr(message, name)[key]
    return message


def _is_map(field: Any) -> bool:
    return field.message_type is not None and field.message_type.GetOptions().map_entry


def _copy(message: Message) -> Message:
    copy = type(message)()
    copy.CopyFrom(message)
    return copy
