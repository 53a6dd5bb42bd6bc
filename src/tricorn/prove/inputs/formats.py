"""Strings of the well-known formats of protovalidate."""

import re
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from tricorn.prove.inputs.draws import Draws

_LABELS = ("a", "b2", "example", "shop-1", "xn--bcher-kva", "x" * 63)
_TOPS = ("example", "com", "org")
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOCALS = ("a", "buyer", "first.last", "a+b", "x_y", "o'neil")


def _uuid(draws: Draws) -> str:
    return str(uuid.UUID(int=draws.between(0, (1 << 47) - 1) << 80 | draws.between(0, (1 << 47) - 1), version=4))


def _tuuid(draws: Draws) -> str:
    return _uuid(draws).replace("-", "")


def _ulid(draws: Draws) -> str:
    return draws.pick("01234567") + "".join(draws.pick(_CROCKFORD) for _ in range(25))


def _hostname(draws: Draws) -> str:
    return ".".join([draws.pick(_LABELS) for _ in range(draws.between(0, 2))] + [draws.pick(_TOPS)])


def _email(draws: Draws) -> str:
    return f"{draws.pick(_LOCALS)}{draws.between(0, 99)}@{_hostname(draws)}"


def _ipv4(draws: Draws) -> str:
    return ".".join(str(draws.pick((0, 1, 10, 127, 192, 255))) for _ in range(4))


def _ipv6(draws: Draws) -> str:
    return draws.pick(
        ("::", "::1", "2001:db8::1", "fe80::1", "::ffff:10.0.0.1", "2001:0db8:0000:0000:0000:0000:0000:0001")
    )


def _ip(draws: Draws) -> str:
    return _ipv4(draws) if draws.chance(50) else _ipv6(draws)


def _uri(draws: Draws) -> str:
    path = draws.pick(("", "/", "/a/b", "/%C3%A9", "/?q=1&r=2", "/#top"))
    return f"{draws.pick(('http', 'https', 'urn'))}://{_hostname(draws)}{path}"


def _uri_ref(draws: Draws) -> str:
    return draws.pick(("/", "/a/b?c=d", "a", "#x", "?q", "//host/path")) if draws.chance(50) else _uri(draws)


def _address(draws: Draws) -> str:
    return _hostname(draws) if draws.chance(50) else _ip(draws)


def _ipv4_prefixlen(draws: Draws) -> str:
    return f"{_ipv4(draws)}/{draws.between(0, 32)}"


def _ipv6_prefixlen(draws: Draws) -> str:
    return f"2001:db8::1/{draws.between(0, 128)}"


def _ipv4_prefix(draws: Draws) -> str:
    return draws.pick(("0.0.0.0/0", "10.0.0.0/8", "192.168.1.0/24", "127.0.0.1/32"))


def _ipv6_prefix(draws: Draws) -> str:
    return draws.pick(("::/0", "2001:db8::/32", "fe80::/10", "::1/128"))


def _host_and_port(draws: Draws) -> str:
    return f"{_hostname(draws)}:{draws.pick((0, 1, 80, 443, 8080, 65535))}"


def _qualified(draws: Draws) -> str:
    return draws.pick(("a", "a.b", "google.protobuf.Any", "_x.y1"))


FORMATS: Mapping[str, Callable[[Draws], str]] = {
    "email": _email,
    "hostname": _hostname,
    "ip": _ip,
    "ipv4": _ipv4,
    "ipv6": _ipv6,
    "uri": _uri,
    "uri_ref": _uri_ref,
    "address": _address,
    "uuid": _uuid,
    "tuuid": _tuuid,
    "ulid": _ulid,
    "host_and_port": _host_and_port,
    "ip_with_prefixlen": _ipv4_prefixlen,
    "ipv4_with_prefixlen": _ipv4_prefixlen,
    "ipv6_with_prefixlen": _ipv6_prefixlen,
    "ip_prefix": _ipv4_prefix,
    "ipv4_prefix": _ipv4_prefix,
    "ipv6_prefix": _ipv6_prefix,
    "protobuf_fqn": _qualified,
    "protobuf_dot_fqn": lambda draws: f".{_qualified(draws)}",
    "well_known_regex": lambda draws: draws.pick(("x", "x-header", "Accept")),
}
"""By the name of the rule."""

_SHAPES = {
    "uuid": re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"),
    "tuuid": re.compile(r"[0-9a-fA-F]{32}"),
    "email": re.compile(r"[a-z0-9.]{1,60}@[a-z0-9]{1,60}\.[a-z]{2,10}"),
}


def format_check(name: str) -> Callable[[Any], bool]:
    """Whether a value that was seen may be used for a format; for formats that nothing is known of here only what is made for them may."""
    shape = _SHAPES.get(name)
    return lambda value: shape is not None and shape.fullmatch(value) is not None
