"""Argon2id on a few threads of its own: a login costs 50 to 100 ms of a core, and the event loop none of it."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.contrib.auth.password_validation import CommonPasswordValidator

from tricorn.contract import PlatformReason, Refusal

R = TypeVar("R")

# The password of whoever has none: it is no hash, so nothing verifies against it.
UNUSABLE = "!"
_MEMORY_KIBIBYTES = 19456
_PASSES = 5
# A hash of nothing in particular that costs what a real one costs.
_DUMMY = f"argon2$argon2id$v=19$m={_MEMORY_KIBIBYTES},t={_PASSES},p=1$" + "A" * 22 + "$" + "A" * 43


class PasswordHasher(Argon2PasswordHasher):
    """One lane, so that one hash is one core's work; memory as OWASP asks, passes for the rest of the cost."""

    time_cost = _PASSES
    memory_cost = _MEMORY_KIBIBYTES
    parallelism = 1


def encode(password: str) -> str:
    """A new salted hash, as Django stores it."""
    hasher = PasswordHasher()
    return str(hasher.encode(password, hasher.salt()))


class Passwords:
    """Hashes and verifies.

    ``computations`` counts the hashes that were computed: an unknown user costs as many as a known one.
    """

    def __init__(self, *, threads: int = 2, waiting: int = 64) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="argon2")
        self._admitted = threads + waiting
        self._busy = 0
        self._common: CommonPasswordValidator | None = None
        self.computations = 0

    async def hash(self, password: str) -> str:
        """A new salted hash.

        Raises:
            Refusal: UNAVAILABLE, when too many are waiting.
        """
        return await self._compute(lambda: encode(password))

    async def matches(self, password: str, encoded: str | None) -> bool:
        """Whether it is the password of ``encoded``. Without a usable one: false, after the same work.

        Raises:
            Refusal: UNAVAILABLE, when too many are waiting.
        """
        usable = encoded is not None and encoded.startswith("argon2$")
        right = await self._compute(lambda: bool(PasswordHasher().verify(password, encoded if usable else _DUMMY)))
        return right and usable

    async def is_common(self, password: str) -> bool:
        """Whether it is on Django's list of the 20,000 most used passwords."""
        return await self._run(lambda: self._is_common(password))

    def is_outdated(self, encoded: str) -> bool:
        """Whether it was made at another cost than new ones are."""
        return bool(PasswordHasher().must_update(encoded))

    def close(self) -> None:
        self._executor.shutdown(cancel_futures=True)

    async def _compute(self, hashing: Callable[[], R]) -> R:
        made = await self._run(hashing)
        self.computations += 1
        return made

    async def _run(self, work: Callable[[], R]) -> R:
        if self._busy >= self._admitted:
            raise Refusal(PlatformReason.UNAVAILABLE, "too many logins are waiting; try again shortly", retry_after=1.0)
        self._busy += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, work)
        finally:
            self._busy -= 1

    def _is_common(self, password: str) -> bool:
        self._common = self._common or CommonPasswordValidator()
        return password.lower().strip() in self._common.passwords
