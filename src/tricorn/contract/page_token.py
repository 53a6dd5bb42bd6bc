"""Opaque page tokens that are good for one query only."""

import base64
import binascii
import hashlib
import json

from google.protobuf.message import Message

from tricorn.contract.refusal import PlatformReason, Refusal

Position = list[str | int]
_FINGERPRINT_BYTES = 8


def query_fingerprint(request: Message, *, without: tuple[str, ...] = ("page_token", "page_size")) -> bytes:
    """What a page token is bound to: the request without the fields that change from page to page."""
    query = type(request)()
    query.CopyFrom(request)
    for name in without:
        query.ClearField(name)
    return hashlib.sha256(query.SerializeToString(deterministic=True)).digest()[:_FINGERPRINT_BYTES]


def encode_page_token(fingerprint: bytes, position: Position) -> str:
    """Where the next page begins, as text that fits into a URL."""
    body = json.dumps(position, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(fingerprint[:_FINGERPRINT_BYTES] + body).rstrip(b"=").decode()


def decode_page_token(token: str, fingerprint: bytes) -> Position | None:
    """The position in a token; None for an empty one.

    Raises:
        Refusal: PAGE_TOKEN_INVALID, when it is not a token or one of another query.
    """
    if not token:
        return None
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        position = json.loads(raw[_FINGERPRINT_BYTES:])
    except (ValueError, binascii.Error):
        position = None
        raw = b""
    usable = isinstance(position, list) and all(type(part) in {str, int} for part in position)
    if not usable or raw[:_FINGERPRINT_BYTES] != fingerprint[:_FINGERPRINT_BYTES]:
        raise Refusal(
            PlatformReason.PAGE_TOKEN_INVALID, "page_token was not given out for this query; begin without one"
        )
    return list(position)
