"""The signer keeps its keys where the reference does, and signs as it does."""

import asyncio
import stat
from pathlib import Path

import pytest
from engine_process import SIGNING, Engine, started

from agora.payments.domain.ledger import signed_message
from agora.payments.signing import KeyRing, keys_folder
from agora_proto.payments.v1 import payments_pb2 as pay
from tricorn.contract import PlatformReason, Refusal

REQUEST = pay.SignTransactionRequest(payload=b"a transaction", previous_hash=bytes(range(32)))


def ring(home: Path) -> KeyRing:
    return KeyRing(keys_folder(home / "contexts" / "payments"))


async def sign(engine: Engine) -> pay.SignTransactionResponse:
    answer = await engine.call(f"{SIGNING}/SignTransaction", REQUEST)
    assert isinstance(answer, pay.SignTransactionResponse)
    return answer


async def test_both_sign_alike_with_a_key_that_the_reference_made(binary: Path, tmp_path: Path) -> None:
    key = ring(tmp_path).active()

    async with started(binary, tmp_path) as engine:
        signed = await sign(engine)

    assert signed.key_id == key.key_id
    # Ed25519 is deterministic.
    assert signed.signature == key.private.sign(signed_message(REQUEST.previous_hash, REQUEST.payload))


async def test_both_sign_alike_with_a_key_that_the_engine_made(engine: Engine) -> None:
    signed = await sign(engine)

    key = ring(engine.home).active()
    assert signed.key_id == key.key_id
    assert signed.signature == key.private.sign(signed_message(REQUEST.previous_hash, REQUEST.payload))


async def test_a_rotation_by_the_reference_is_seen_at_once(engine: Engine) -> None:
    before = await sign(engine)

    new = ring(engine.home).rotate()

    after = await sign(engine)
    listed = await engine.call(f"{SIGNING}/ListSigningKeys", pay.ListSigningKeysRequest())
    assert isinstance(listed, pay.ListSigningKeysResponse)
    assert before.key_id != after.key_id == new.key_id
    assert {(key.key_id, key.active) for key in listed.keys} == {(before.key_id, False), (new.key_id, True)}
    assert {key.key_id: key.public_key for key in listed.keys} == ring(engine.home).public_keys()


async def test_a_key_is_made_once_by_whoever_comes_first(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path) as one, started(binary, tmp_path) as other:
        signed = await asyncio.gather(*(sign(engine) for engine in (one, other) * 8))

    assert len({each.key_id for each in signed}) == 1
    assert len(list(keys_folder(tmp_path / "contexts" / "payments").glob("*.key"))) == 1


async def test_a_secret_is_readable_by_its_owner_only_and_never_said(binary: Path, tmp_path: Path) -> None:
    async with started(binary, tmp_path, environment={"TRICORN_LOG_LEVEL": "debug"}) as engine:
        signed = await sign(engine)
        said = engine.log.read_bytes()

    folder = keys_folder(tmp_path / "contexts" / "payments")
    secret = folder / f"{signed.key_id}.key"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert secret.read_bytes() not in said
    assert secret.read_bytes().hex().encode() not in said


async def test_a_broken_key_is_an_internal_error_that_is_logged(engine: Engine) -> None:
    key = ring(engine.home).active()
    (keys_folder(engine.home / "contexts" / "payments") / f"{key.key_id}.key").write_bytes(b"short")

    with pytest.raises(Refusal) as refused:
        await sign(engine)

    assert refused.value.reason == PlatformReason.INTERNAL
    assert key.key_id not in refused.value.detail
    (line,) = (line for line in engine.lines() if line["event"] == "the signer's keys cannot be read")
    assert line["error"] == f"{key.key_id}.key has not 32 bytes"
