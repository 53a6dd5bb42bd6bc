"""Notes: everything in one file, as small things may be."""

from collections.abc import AsyncIterator

from google.protobuf import json_format
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict
from toy_proto.notes.v1 import notes_pb2 as contract
from toy_proto.notes.v1.notes_tricorn import KeysServiceBase, NotesServiceBase
from toy_proto.reasons import Reason

from tricorn.contract import PlatformReason, Refusal
from tricorn.data import Connection, uuid7
from tricorn.events import Begin
from tricorn.host import Host
from tricorn.v1 import auth_pb2
from tricorn.wire import Call


class NotesRepository:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, note_id: str, author: str, text: str) -> None:
        await self._connection.execute("INSERT INTO note VALUES ($1, $2, $3, false)", note_id, author, text)

    async def get(self, note_id: str) -> contract.Note:
        row = await self._connection.fetchrow("SELECT * FROM note WHERE note_id = $1 FOR UPDATE", note_id)
        if row is None:
            raise Refusal(PlatformReason.NOT_FOUND, f"there is no note {note_id}")
        return contract.Note(note_id=str(row[0]), author=row[1], text=row[2], locked=row[3])

    async def lock(self, note_id: str) -> None:
        await self._connection.execute("UPDATE note SET locked = true WHERE note_id = $1", note_id)


class NotesServer(NotesServiceBase):
    def __init__(self, begin: Begin[NotesRepository]) -> None:
        self._begin = begin

    async def add_note(self, request: contract.AddNoteRequest, call: Call) -> contract.Note:
        note = contract.Note(note_id=uuid7(), author=request.author, text=request.text)
        async with self._begin() as work:
            await work.repository.add(note.note_id, note.author, note.text)
            await work.publish(contract.NoteAdded(note_id=note.note_id, author=note.author), subject=note.note_id)
        return note

    async def get_note(self, request: contract.GetNoteRequest, call: Call) -> contract.Note:
        async with self._begin() as work:
            return await work.repository.get(request.note_id)

    async def lock_note(self, request: contract.LockNoteRequest, call: Call) -> contract.Note:
        async with self._begin() as work:
            note = await work.repository.get(request.note_id)
            if note.locked:
                raise Refusal(Reason.NOTE_LOCKED, "somebody was faster", metadata={"note_id": note.note_id})
            await work.repository.lock(request.note_id)
        note.locked = True
        return note

    async def import_notes(
        self, request: AsyncIterator[contract.ImportNotesRequest], call: Call
    ) -> contract.ImportNotesResponse:
        imported = 0
        async for each in request:
            await self.add_note(each.note, call)
            imported += 1
        return contract.ImportNotesResponse(imported=imported)

    async def count_down(
        self, request: contract.CountDownRequest, call: Call
    ) -> AsyncIterator[contract.CountDownResponse]:
        for number in range(getattr(request, "from"), -1, -1):
            yield contract.CountDownResponse(number=number)

    async def shout(
        self, request: AsyncIterator[contract.ShoutRequest], call: Call
    ) -> AsyncIterator[contract.ShoutResponse]:
        async for each in request:
            yield contract.ShoutResponse(text=each.text.upper())


class ToySettings(BaseSettings):
    """Whom the toy believes."""

    model_config = SettingsConfigDict(env_prefix="TOY_", extra="ignore")

    keys: str = Field("{}", description="The public keys of whoever gives out tokens, as a JSON Web Key Set.")


class KeysServer(KeysServiceBase):
    """Somebody else gives out the tokens; without keys nobody can log in here."""

    def __init__(self, keys: str) -> None:
        self._keys = json_format.Parse(keys, auth_pb2.JsonWebKeySet())

    async def get_json_web_key_set(
        self, request: auth_pb2.GetJsonWebKeySetRequest, call: Call
    ) -> auth_pb2.JsonWebKeySet:
        return self._keys

    async def list_revocations(
        self, request: auth_pb2.ListRevocationsRequest, call: Call
    ) -> auth_pb2.ListRevocationsResponse:
        return auth_pb2.ListRevocationsResponse()


def register(host: Host) -> None:
    host.serve(NotesServer(host.begin(NotesRepository)))
    host.serve(KeysServer(host.settings(ToySettings).keys))
