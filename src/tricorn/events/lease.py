"""Who may deliver what: leases on the slots of a context's outbox, by the clock of its PostgreSQL.

Every relay announces itself and takes its fair share of the eight slots. A slot's fence grows with each new holder;
whatever a relay writes names the fences it holds, so a relay that was stopped and wakes after its lease ended writes
nothing.
"""

import math
import time
import uuid
from collections.abc import Collection

from tricorn.data import Connection, Database
from tricorn.events.partition import SLOTS

LEASE_SECONDS = 10.0

_ANNOUNCE = """
WITH gone AS (DELETE FROM relay_member WHERE until < clock_timestamp() AND holder <> $1),
me AS (
    INSERT INTO relay_member (holder, name, until) VALUES ($1, $2, clock_timestamp() + make_interval(secs => $3))
    ON CONFLICT (holder) DO UPDATE SET until = excluded.until
)
SELECT count(*) FROM relay_member WHERE until >= clock_timestamp() AND holder <> $1
"""
_RENEW = """
UPDATE relay_lease SET until = clock_timestamp() + make_interval(secs => $2)
WHERE holder = $1 AND until > clock_timestamp() AND slot = ANY($3::smallint[]) RETURNING slot, fence
"""
_CLAIM = """
UPDATE relay_lease SET holder = $1, fence = fence + 1, until = clock_timestamp() + make_interval(secs => $2)
WHERE slot IN (
    SELECT slot FROM relay_lease WHERE until <= clock_timestamp() ORDER BY slot LIMIT $3 FOR UPDATE SKIP LOCKED
) RETURNING slot, fence
"""
_RELEASE = """
UPDATE relay_lease SET holder = NULL, until = '-infinity' WHERE holder = $1 AND slot = ANY($2::smallint[])
"""

HELD = """
held AS MATERIALIZED (
    SELECT slot FROM relay_lease WHERE holder = $1 AND fence = ($2::bigint[])[slot + 1] FOR SHARE
)
"""
"""A common table expression with the slots that the caller (holder $1, fences $2) still holds; they cannot be taken
over before its transaction ends."""


class Leases:
    """The slots that one relay holds.

    Args:
        name: Shown to operators.
        seconds: How long a lease lasts unless it is renewed; renew it every third of that.
    """

    def __init__(self, database: Database, name: str, *, seconds: float = LEASE_SECONDS) -> None:
        self.holder = str(uuid.uuid4())
        self.seconds = seconds
        self.fences = [0] * SLOTS
        self.others = 0
        self._database = database
        self._name = name
        self._until = 0.0

    @property
    def slots(self) -> list[int]:
        """The slots held, as far as this process can tell without asking."""
        return [slot for slot, fence in enumerate(self.fences) if fence and self.valid]

    @property
    def valid(self) -> bool:
        """False once the leases would have ended by this process's monotonic clock, which runs on while it is
        stopped.
        """
        return time.monotonic() < self._until

    def holds(self, slot: int, fence: int) -> bool:
        return self.fences[slot] == fence and self.valid

    @property
    def surplus(self) -> int:
        """How many slots this relay holds above its fair share."""
        return max(0, sum(map(bool, self.fences)) - self._share)

    @property
    def _share(self) -> int:
        return math.ceil(SLOTS / (self.others + 1))

    async def beat(self) -> set[int]:
        """Renews what is held and takes what is free, up to the fair share; the slots that were gained or lost."""
        asked = time.monotonic()
        before = list(self.fences)
        async with self._database.transaction() as connection:
            self.others = await connection.fetchval(_ANNOUNCE, self.holder, self._name, self.seconds)
            held = [slot for slot, fence in enumerate(before) if fence]
            fences = await self._take(connection, held)
        self.fences = fences
        self._until = asked + self.seconds
        return {slot for slot in range(SLOTS) if fences[slot] != before[slot]}

    async def _take(self, connection: Connection, held: list[int]) -> list[int]:
        fences = [0] * SLOTS
        rows = await connection.fetch(_RENEW, self.holder, self.seconds, held) if held else []
        for row in rows:
            fences[row["slot"]] = row["fence"]
        missing = self._share - len(rows)
        if missing > 0:
            for row in await connection.fetch(_CLAIM, self.holder, self.seconds, missing):
                fences[row["slot"]] = row["fence"]
        return fences

    async def release(self, slots: Collection[int]) -> None:
        """Gives slots back; what is under way in them is delivered again by the next holder and found done."""
        for slot in slots:
            self.fences[slot] = 0
        await self._database.execute(_RELEASE, self.holder, list(slots))

    async def leave(self) -> None:
        """Gives everything back."""
        await self.release(range(SLOTS))
        await self._database.execute("DELETE FROM relay_member WHERE holder = $1", self.holder)
