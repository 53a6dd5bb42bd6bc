"""Headers by which client and gateway agree on a form: Accept, Accept-Encoding, Content-Type, ETag and its conditions."""

import re
import zlib
from functools import lru_cache

from tricorn.contract import PlatformReason
from tricorn.gateway.exchange import ProblemError
from tricorn.gateway.problems import problem

JSON = "application/json"
_GZIP_LEVEL = 4
_GZIP_WINDOW = 31
_ETAG = re.compile(r'(W/)?"([\x21\x23-\x7e\x80-\xff]*)"')
_ETAG_TEXT = re.compile(r"[\x21\x23-\x7e]+")
_CHARSET = re.compile(r'charset="?([^";]+)"?', re.IGNORECASE)


@lru_cache(maxsize=256)
def accepts(header: str, media_type: str) -> bool:
    """Whether an Accept header allows a media type; the most specific range decides."""
    best, quality = -1, 0.0
    kind = media_type.partition("/")[0]
    for part in header.split(","):
        media_range, _, parameters = part.strip().lower().partition(";")
        rank = {media_type: 2, f"{kind}/*": 1, "*/*": 0}.get(media_range.strip(), -1)
        if rank > best:
            best, quality = rank, _quality(parameters)
        elif rank == best and rank >= 0:
            quality = max(quality, _quality(parameters))
    return quality > 0


@lru_cache(maxsize=256)
def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header allows gzip."""
    qualities = {}
    for part in header.split(","):
        coding, _, parameters = part.strip().lower().partition(";")
        qualities[coding.strip()] = _quality(parameters)
    return qualities.get("gzip", qualities.get("*", 0.0)) > 0


def _quality(parameters: str) -> float:
    for parameter in parameters.split(";"):
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def gzip(body: bytes) -> bytes:
    packer = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    return packer.compress(body) + packer.flush()


@lru_cache(maxsize=256)
def check_content_type(header: str) -> None:
    """Refuses what is not JSON in UTF-8; an absent type is taken for JSON.

    Raises:
        ProblemError: 415.
    """
    media_type = header.partition(";")[0].strip().lower()
    if (
        media_type
        and media_type != JSON
        and not (media_type.startswith("application/") and media_type.endswith("+json"))
    ):
        raise ProblemError(
            problem(
                PlatformReason.UNSUPPORTED_MEDIA_TYPE,
                f"send {JSON}, not {media_type}",
                headers=[(b"accept", b"application/json")],
            )
        )
    charset = _CHARSET.search(header)
    if charset and charset[1].strip().lower() not in ("utf-8", "utf8"):
        raise ProblemError(problem(PlatformReason.UNSUPPORTED_MEDIA_TYPE, f"send JSON in UTF-8, not {charset[1]}"))


def check_content_encoding(header: str) -> None:
    """Refuses packed bodies.

    Raises:
        ProblemError: 415.
    """
    if header.strip().lower() not in ("", "identity"):
        raise ProblemError(
            problem(
                PlatformReason.UNSUPPORTED_MEDIA_TYPE,
                f"send the body as it is, not packed with {header}",
                headers=[(b"accept-encoding", b"identity")],
            )
        )


def quote_etag(version: str) -> str | None:
    """The ETag header of a version; None when there is none or it holds what an ETag cannot carry."""
    return f'"{version}"' if _ETAG_TEXT.fullmatch(version) else None


def matches(if_none_match: str, etag: str) -> bool:
    """Whether an If-None-Match header names the ETag (weak comparison) or everything."""
    if if_none_match.strip() == "*":
        return True
    opaque = etag.removeprefix("W/")
    return any(f'"{found[2]}"' == opaque for found in _ETAG.finditer(if_none_match))


def required_version(if_match: str) -> str:
    """The version that an If-Match header asks for; "" for ``*``, which any version satisfies.

    A weak tag counts as well: tags here name versions of an entity, and proxies that compress weaken what they pass on.

    Raises:
        ProblemError: 400, when it is no single tag in quotes.
    """
    value = if_match.strip()
    if value == "*":
        return ""
    found = _ETAG.fullmatch(value)
    if found is None or not found[2]:
        raise ProblemError(
            problem(PlatformReason.MALFORMED_REQUEST, 'If-Match must be one ETag in quotes, such as "5", or *')
        )
    return found[2]
