"""A small library behind a gateway: its contract is compiled here, its answers are given by the tests."""

import asyncio
import base64
import importlib
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import google.rpc.status_pb2
import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from google.protobuf.message import Message

import tricorn.v1.options_pb2
import tricorn.v1.validate_pb2
from tricorn.contract import MethodPolicy, service_policies, validate
from tricorn.gateway import AuthConfig, Gateway, GatewayConfig, Rate, create_app
from tricorn.gateway.serve import GatewayServer
from tricorn.supervise.public import listen
from tricorn.v1.auth_pb2 import JsonWebKey, JsonWebKeySet, ListRevocationsResponse
from tricorn.wire import current_call

_HERE = Path(__file__).parent
_PLATFORM_PROTO = Path(tricorn.v1.options_pb2.__file__).parents[1] / "proto"
_GOOGLE = Path(google.rpc.status_pb2.__file__).parents[2]


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ModuleType]:
    """The generated module of the toy contract."""
    out = tmp_path_factory.mktemp("toy")
    includes = [f"-I{path}" for path in (_HERE / "proto", _PLATFORM_PROTO, _GOOGLE)]
    command = [sys.executable, "-m", "grpc_tools.protoc", *includes, f"--python_out={out}", "library/v1/library.proto"]
    subprocess.run(command, check=True, timeout=60)
    made = out / "library" / "v1" / "library_pb2.py"
    made.write_text(made.read_text().replace("from buf.validate import", "from tricorn.v1 import"))
    sys.path.insert(0, str(out))
    try:
        yield importlib.import_module("library.v1.library_pb2")
    finally:
        sys.path.remove(str(out))


@dataclass
class LibraryBackend:
    """Answers by functions that a test sets for a method; remembers what it was asked and by whom."""

    answers: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    requests: list[Any] = field(default_factory=list)
    callers: list[Any] = field(default_factory=list)

    async def invoke(self, policy: MethodPolicy, request: Message, *, deadline: float | None = None) -> Message:
        del deadline
        call = current_call()
        self.requests.append(request)
        self.callers.append(call.identity if call else None)
        validate(request)
        answer = self.answers[policy.name](request) if policy.name in self.answers else policy.output()
        return await answer if hasattr(answer, "__await__") else answer

    async def open_stream(self, policy: MethodPolicy, request: Message) -> AsyncIterator[Message]:
        self.requests.append(request)
        validate(request)
        async for item in self.answers[policy.name](request):
            yield item


class Issuer:
    """Issues tokens and shows its keys."""

    issuer = "https://library.example"
    audience = "library"

    def __init__(self, keys: dict[str, rsa.RSAPrivateKey]) -> None:
        self.private = keys
        self.shown = ["k1"]
        self.questions = 0
        self.revocations = ListRevocationsResponse()
        self.is_down = False

    async def keys(self) -> JsonWebKeySet:
        self.questions += 1
        if self.is_down:
            raise ConnectionError("down")
        return JsonWebKeySet(keys=[self._public(kid) for kid in self.shown])

    async def revoked(self) -> ListRevocationsResponse:
        return self.revocations

    def token(
        self, user: str = "ann", *, roles: tuple[str, ...] = (), session: str = "s1", kid: str = "k1", **claims: Any
    ) -> str:
        body = {
            "iss": self.issuer,
            "aud": self.audience,
            "sub": user,
            "sid": session,
            "roles": list(roles),
            "iat": int(time.time()),
            "exp": int(time.time()) + 900,
            **claims,
        }
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, self.private[kid], algorithm="RS256", headers={"kid": kid})

    def bearer(self, *args: Any, **kwargs: Any) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token(*args, **kwargs)}"}

    def config(self, **changes: Any) -> AuthConfig:
        settings: dict[str, Any] = {
            "issuer": self.issuer,
            "audience": self.audience,
            "keys": self.keys,
            "revocations": self.revoked,
        }
        return AuthConfig(**(settings | changes))

    def _public(self, kid: str) -> JsonWebKey:
        numbers = self.private[kid].public_key().public_numbers()
        return JsonWebKey(kty="RSA", use="sig", alg="RS256", kid=kid, n=_base64(numbers.n), e=_base64(numbers.e))


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture(scope="session")
def rsa_keys() -> dict[str, rsa.RSAPrivateKey]:
    return {kid: rsa.generate_private_key(public_exponent=65537, key_size=2048) for kid in ("k1", "k2")}


@pytest.fixture
def issuer(rsa_keys: dict[str, rsa.RSAPrivateKey]) -> Issuer:
    return Issuer(rsa_keys)


@pytest.fixture
def backend() -> LibraryBackend:
    return LibraryBackend()


MakeGateway = Callable[..., Gateway]


@pytest.fixture
def make_gateway(toy: ModuleType, backend: LibraryBackend, issuer: Issuer) -> MakeGateway:
    """Makes the library's gateway; keyword arguments replace settings."""
    service = toy.DESCRIPTOR.services_by_name["LibraryService"].full_name

    def make(**changes: Any) -> Gateway:
        settings: dict[str, Any] = {
            "backend": backend,
            "policies": service_policies(service),
            "title": "Library",
            "version": "1.2.3",
            "roles": {"librarian": "May add books."},
            "rates": {"read": Rate(1000, 1.0), "write": Rate(1000, 1.0)},
            "auth": issuer.config(),
        }
        return create_app(GatewayConfig(**(settings | changes)))

    return make


MakeClient = Callable[[Gateway], httpx.AsyncClient]


@pytest.fixture
def make_client() -> MakeClient:
    """A client that speaks to an application without a socket."""

    def make(app: Gateway) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=app, client=("203.0.113.7", 5000))  # type: ignore[arg-type]
        return httpx.AsyncClient(transport=transport, base_url="http://library.example")

    return make


@pytest.fixture
async def client(make_gateway: MakeGateway, make_client: MakeClient) -> AsyncIterator[httpx.AsyncClient]:
    async with make_client(make_gateway()) as made:
        yield made


class Served:
    def __init__(self, port: int, stop: asyncio.Event, task: "asyncio.Task[None]", server: GatewayServer) -> None:
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.stop = stop
        self.task = task
        self.server = server

    async def raw(self, *parts: bytes) -> bytes:
        """Sends bytes and reads until the server closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for part in parts:
            writer.write(part)
            await writer.drain()
        async with asyncio.timeout(10):
            data = await reader.read()
        writer.close()
        return data


@asynccontextmanager
async def _served(app: Gateway, **settings: Any) -> AsyncIterator[Served]:
    listener = listen("127.0.0.1", 0)
    stop = asyncio.Event()
    server = GatewayServer(app, stop, **{"drain_time": 5.0, "idle_time": 0.0, **settings})
    task = asyncio.create_task(server.serve([listener]))
    await server.serving.wait()
    try:
        yield Served(listener.getsockname()[1], stop, task, server)
    finally:
        stop.set()
        await task


@pytest.fixture
def serving() -> Any:
    """Serves an application on a socket of its own, on the test's loop."""
    return _served
