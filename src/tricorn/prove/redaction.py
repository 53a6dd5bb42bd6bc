"""Takes what a contract calls secret out of messages that are kept."""

from collections.abc import Iterable
from functools import cache
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as PackedMessage
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import DecodeError, Message
from google.rpc.error_details_pb2 import ErrorInfo
from google.rpc.status_pb2 import Status

from tricorn.telemetry.logs import REDACTED, is_secret
from tricorn.v1 import options_pb2

_ANY = PackedMessage.DESCRIPTOR.full_name


def redact(message: Message, where: str = "") -> list[str]:
    """Empties the secret fields of a message, however deep they lie; texts become ``[redacted]``.

    What the contract does not know goes too: an unknown field, and an ``Any`` of an unknown type, may hold anything.

    Args:
        message: It is changed.
        where: What the paths that are returned begin with.

    Returns:
        The fields that held something and were emptied, as paths.
    """
    message.DiscardUnknownFields()
    if not holds_secrets(message.DESCRIPTOR):
        return []
    found: list[str] = []
    _walk(message, where, found)
    return found


def redact_status(status: Status) -> None:
    """The same for a refusal: facts whose names tell of a secret."""
    for detail in status.details:
        info = ErrorInfo()
        if detail.Unpack(info):
            for key in info.metadata:
                if is_secret(key):
                    info.metadata[key] = REDACTED
            detail.Pack(info)


@cache
def holds_secrets(descriptor: Descriptor) -> bool:
    """Whether messages of this type may hold a secret anywhere."""
    reached: set[str] = set()
    open_: list[Descriptor] = [descriptor]
    while open_:
        each = open_.pop()
        if each.full_name in reached:
            continue
        reached.add(each.full_name)
        if each.full_name == _ANY or any(map(_secret, each.fields)):
            return True
        open_ += [field.message_type for field in each.fields if field.message_type is not None]
    return False


def _walk(message: Any, where: str, found: list[str]) -> None:
    if message.DESCRIPTOR.full_name == _ANY:
        _packed(message, where, found)
        return
    for field, value in message.ListFields():
        path = f"{where}.{field.name}" if where else field.name
        if _secret(field):
            message.ClearField(field.name)
            if field.type == FieldDescriptor.TYPE_STRING and not field.is_repeated:
                setattr(message, field.name, REDACTED)
            found.append(path)
        elif field.message_type is not None:
            for key, each in _messages(field, value):
                _walk(each, f"{path}{key}", found)


def _messages(field: FieldDescriptor, value: Any) -> Iterable[tuple[str, Any]]:
    """The messages that a field holds, and what follows the field's name in the path of each."""
    if not field.is_repeated:
        return [("", value)]
    entry = field.message_type
    if entry is None or not entry.GetOptions().map_entry:
        return [(f"[{index}]", each) for index, each in enumerate(value)]
    if entry.fields_by_name["value"].message_type is None:
        return []
    return [(f"[{key!r}]", value[key]) for key in value]


def _packed(message: Any, where: str, found: list[str]) -> None:
    if not message.type_url and not message.value:
        return
    try:
        kind = descriptor_pool.Default().FindMessageTypeByName(message.TypeName())
        content = message_factory.GetMessageClass(kind).FromString(message.value)
    except (KeyError, DecodeError):
        message.Clear()
        found.append(where)
        return
    content.DiscardUnknownFields()
    _walk(content, where, found)
    message.value = content.SerializeToString(deterministic=True)


def _secret(field: FieldDescriptor) -> bool:
    options = field.GetOptions()
    return bool(options.HasExtension(options_pb2.field) and options.Extensions[options_pb2.field].secret)
