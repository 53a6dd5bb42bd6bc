"""What a session is carried by: signed access tokens, random refresh tokens, and the keys behind them."""

import base64
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from agora.accounts.domain import ACCESS_LIFE
from tricorn.data import uuid7

_KEY_BITS = 2048
_REFRESH_BYTES = 32


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of a key, as RFC 7517 writes it: base64url without padding."""

    kid: str
    modulus: str
    exponent: str


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key pair; the private half as PKCS 8 PEM."""

    public: PublicKey
    private_pem: str


def new_signing_key() -> SigningKey:
    """Takes a tenth of a second or more: not on the event loop."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=_KEY_BITS)
    numbers = private.public_key().public_numbers()
    pem = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return SigningKey(PublicKey(uuid7(), _base64url(numbers.n), _base64url(numbers.e)), pem.decode())


def new_refresh_token() -> str:
    """256 random bits, base64url."""
    return secrets.token_urlsafe(_REFRESH_BYTES)


class AccessTokens:
    """Writes access tokens: JWT, RS256, for one issuer and audience."""

    def __init__(self, *, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience

    def sign(self, key: SigningKey, *, user_id: str, session_id: str, roles: Sequence[str], now: datetime) -> str:
        """A token that ends ``ACCESS_LIFE`` after ``now``."""
        issued = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": user_id,
            "sid": session_id,
            "roles": sorted(roles),
            "iat": issued,
            "exp": issued + int(ACCESS_LIFE.total_seconds()),
            "jti": uuid7(),
        }
        return jwt.encode(claims, _private_key(key.private_pem), algorithm="RS256", headers={"kid": key.public.kid})


@lru_cache(maxsize=4)
def _private_key(pem: str) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, rsa.RSAPrivateKey):
        raise TypeError("a signing key must be an RSA key")
    return key


def _base64url(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
