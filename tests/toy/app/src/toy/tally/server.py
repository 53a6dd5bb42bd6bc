"""How many notes each author has written; it learns of them by events."""

from toy_proto.notes.v1.notes_pb2 import NoteAdded
from toy_proto.reasons import Reason
from toy_proto.tally.v1 import tally_pb2 as contract
from toy_proto.tally.v1.tally_tricorn import TallyServiceBase

from tricorn.contract import Refusal
from tricorn.data import Connection, Database
from tricorn.events import EventMeta, Work
from tricorn.host import Host
from tricorn.wire import Call


class TallyRepository:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_counted(self, author: str) -> bool:
        return not await self._connection.fetchval("SELECT true FROM uncounted WHERE author = $1", author)

    async def count(self, author: str, meta: EventMeta) -> None:
        await self._connection.execute(
            "INSERT INTO tally VALUES ($1, 1) ON CONFLICT (author) DO UPDATE SET notes = tally.notes + 1", author
        )
        await self._connection.execute(
            "INSERT INTO entry (subject, sequence, taken_by) VALUES ($1, $2, 'python')", meta.subject, meta.sequence
        )


class TallyServer(TallyServiceBase):
    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_tally(self, request: contract.GetTallyRequest, call: Call) -> contract.Tally:
        notes = await self._database.fetchval("SELECT notes FROM tally WHERE author = $1", request.author)
        return contract.Tally(author=request.author, notes=notes or 0)


async def on_note_added(event: NoteAdded, meta: EventMeta, work: Work[TallyRepository]) -> None:
    if not await work.repository.is_counted(event.author):
        raise Refusal(Reason.NOTE_LOCKED, f"nobody counts the note {event.note_id}")
    await work.repository.count(event.author, meta)


def register(host: Host) -> None:
    host.serve(TallyServer(host.database))
    host.subscribe(NoteAdded, on_note_added, group="tally.notes", repository=TallyRepository)
