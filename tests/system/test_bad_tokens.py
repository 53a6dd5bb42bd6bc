"""A token that is not the shop's own, whole and of now, opens nothing: neither what needs one nor what is public."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from refusals import refused
from shop import Shop, Visitor


class Mint:
    """Makes tokens as accounts does, with its own key, and a little differently."""

    def __init__(self, shop: Shop, visitor: Visitor) -> None:
        self.token: str = visitor.tokens["accessToken"]
        self.kid = jwt.get_unverified_header(self.token)["kid"]
        self.claims = jwt.decode(self.token, options={"verify_signature": False})
        self.private = shop.sql(f"SELECT private_pem FROM accounts.signing_keys WHERE kid = '{self.kid}'")
        key = serialization.load_pem_private_key(self.private.encode(), None)
        self.public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def sign(self, *, key: object = None, algorithm: str = "RS256", kid: str | None = None, **claims: object) -> str:
        changed = {name: value for name, value in {**self.claims, **claims}.items() if value is not None}
        return jwt.encode(changed, key or self.private, algorithm, headers={"kid": kid or self.kid})  # type: ignore[arg-type]

    def unsigned(self) -> str:
        head = _part({"alg": "none", "typ": "JWT", "kid": self.kid})
        return f"{head}.{self.token.split('.')[1]}."

    def signed_with_the_public_key(self) -> str:
        """HMAC with what everyone can read: believed by whoever lets the token choose the algorithm."""
        signed = f"{_part({'alg': 'HS256', 'typ': 'JWT', 'kid': self.kid})}.{_part(self.claims)}"
        digest = hmac.new(self.public, signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"

    def with_other_roles(self) -> str:
        """The signature of one token under the claims of another."""
        head, _, signature = self.token.split(".")
        return f"{head}.{_part({**self.claims, 'roles': ['staff']})}.{signature}"


def _part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.fixture(scope="module")
def mint(agora: Shop) -> Mint:
    return Mint(agora, agora.buyer())


def _header(agora: Shop, value: str | bytes, path: str = "/api/v1/users/me") -> Any:
    raw = value if isinstance(value, bytes) else value.encode()
    return agora.visitor().http.get(path, headers={b"Authorization": raw})


def test_a_token_made_with_the_shops_own_key_is_believed(agora: Shop, mint: Mint) -> None:
    """Else the refusals below would say nothing."""
    assert _header(agora, f"Bearer {mint.sign(exp=int(time.time()) + 60)}").status_code == 200


@pytest.mark.parametrize("path", ["/api/v1/users/me", "/api/v1/products", "/api/v1/users"])
@pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda mint: mint.sign(exp=int(time.time()) - 60), id="ended"),
        pytest.param(lambda mint: mint.sign(exp=None), id="without an end"),
        pytest.param(lambda mint: mint.sign(exp="tomorrow"), id="an end in words"),
        pytest.param(lambda mint: mint.sign(nbf=int(time.time()) + 600), id="not yet valid"),
        pytest.param(lambda mint: mint.sign(iss="somebody"), id="another issuer"),
        pytest.param(lambda mint: mint.sign(aud="somewhere"), id="another audience"),
        pytest.param(lambda mint: mint.sign(sub=None), id="nobody"),
        pytest.param(lambda mint: mint.sign(sid=None), id="no session"),
        pytest.param(lambda mint: mint.sign(roles="staff"), id="roles that are no list"),
        pytest.param(lambda mint: mint.sign(kid="../../etc/passwd"), id="an invented key id"),
        pytest.param(lambda mint: mint.sign(algorithm="RS512"), id="RS512"),
        pytest.param(lambda mint: mint.sign(key=rsa.generate_private_key(65537, 2048)), id="another key"),
        pytest.param(lambda mint: mint.sign(key="secret" * 8, algorithm="HS256"), id="HS256"),
        pytest.param(lambda mint: mint.signed_with_the_public_key(), id="HS256 with the public key"),
        pytest.param(lambda mint: mint.unsigned(), id="unsigned"),
        pytest.param(lambda mint: mint.with_other_roles(), id="a role put into it"),
        pytest.param(lambda mint: mint.token[:-8], id="cut short"),
        pytest.param(lambda mint: mint.token + "." + mint.token, id="two in one"),
        pytest.param(lambda _: "..", id="three empty parts"),
        pytest.param(lambda _: "x" * 9000, id="9 kB"),
    ],
)
def test_a_bad_token_is_refused_everywhere(agora: Shop, mint: Mint, path: str, make: Callable[[Mint], str]) -> None:
    answer = _header(agora, f"Bearer {make(mint)}", path)

    refused(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize("value", [b"", b"Bearer", b"Basic c3RhZmY6YWdvcmEtZGVtbw==", b"staff", b"Bearer \xe4"])
def test_a_header_without_a_bearer_token_is_refused(agora: Shop, value: bytes) -> None:
    refused(_header(agora, value), 401, "UNAUTHENTICATED")


def test_who_sends_no_token_is_asked_for_one(agora: Shop) -> None:
    answer = agora.visitor().http.get("/api/v1/users/me")

    refused(answer, 401, "UNAUTHENTICATED")
    assert answer.headers["www-authenticate"] == "Bearer"
