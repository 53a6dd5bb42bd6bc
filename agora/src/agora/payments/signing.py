"""The signer: a pure contract of its own, but for the keys, which never leave this file's folder."""

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from agora.payments.domain.ledger import chained_hash, signed_message
from agora_proto.payments.v1 import payments_pb2 as pb
from agora_proto.payments.v1.payments_tricorn import SigningServiceBase
from tricorn.wire import Call

_ACTIVE = "active"
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class SigningKey:
    """`key_id` is the first 16 hexadecimal digits of the SHA-256 of the raw public key."""

    key_id: str
    private: Ed25519PrivateKey

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


class KeyRing:
    """Ed25519 keys in a folder that only the process's user can enter: one active key, and the public halves of all.

    `<key id>.key` is the active key's 32 secret bytes; `<key id>.pub` are 32 bytes for every key there ever was;
    `active` names the active one. Any number of processes may share the folder; a rotation is seen by all at once.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen: tuple[int, int] | None = None
        self._key: SigningKey | None = None

    def active(self) -> SigningKey:
        """The key to sign with; made on first use."""
        try:
            status = (self._folder / _ACTIVE).stat()
        except FileNotFoundError:
            self._create(only_first=True)
            status = (self._folder / _ACTIVE).stat()
        mark = (status.st_ino, status.st_mtime_ns)
        if self._key is None or mark != self._seen:
            self._key, self._seen = self._load(), mark
        return self._key

    def rotate(self) -> SigningKey:
        """Makes a new active key. The old one's secret is destroyed; what it signed can still be checked."""
        self.active()
        self._create(only_first=False)
        return self.active()

    def public_keys(self) -> dict[str, bytes]:
        """Every public key that signatures were ever made with, by id, the active one included."""
        self.active()
        return {path.stem: path.read_bytes() for path in sorted(self._folder.glob("*.pub"))}

    def _load(self) -> SigningKey:
        with self._locked():
            key_id = (self._folder / _ACTIVE).read_text(encoding="ascii")
            secret = (self._folder / f"{key_id}.key").read_bytes()
        return SigningKey(key_id, Ed25519PrivateKey.from_private_bytes(secret))

    def _create(self, *, only_first: bool) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._locked():
            active = self._folder / _ACTIVE
            old = active.read_text(encoding="ascii") if active.exists() else None
            if old and only_first:
                return
            private = Ed25519PrivateKey.generate()
            public = private.public_key().public_bytes_raw()
            key_id = hashlib.sha256(public).hexdigest()[:16]
            _write(self._folder / f"{key_id}.pub", public)
            _write(self._folder / f"{key_id}.key", private.private_bytes_raw())
            _write(active, key_id.encode("ascii"))
            if old:
                (self._folder / f"{old}.key").unlink(missing_ok=True)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        descriptor = os.open(self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def keys_folder(state: Path) -> Path:
    """Where the keys lie in the context's folder."""
    return state / "signing"


def _write(path: Path, content: bytes) -> None:
    """All of it or nothing, durable, and never readable by others."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(path)


class SigningServer(SigningServiceBase):
    def __init__(self, ring: KeyRing) -> None:
        self._ring = ring

    async def sign_transaction(self, request: pb.SignTransactionRequest, call: Call) -> pb.SignTransactionResponse:
        key = self._ring.active()
        return pb.SignTransactionResponse(
            hash=chained_hash(request.previous_hash, request.payload),
            signature=key.private.sign(signed_message(request.previous_hash, request.payload)),
            key_id=key.key_id,
        )

    async def list_signing_keys(self, request: pb.ListSigningKeysRequest, call: Call) -> pb.ListSigningKeysResponse:
        active = self._ring.active().key_id
        return pb.ListSigningKeysResponse(
            keys=[
                pb.SigningKey(key_id=key_id, public_key=public, active=key_id == active)
                for key_id, public in self._ring.public_keys().items()
            ]
        )
