"""Rate limits by GCRA (the generic cell rate algorithm): one number for each caller, exact, with bursts."""

import ipaddress
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from tricorn.gateway.config import Rate


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request may pass. ``reset``: seconds until the whole burst is there again; ``retry_after``: until one
    may pass.
    """

    allowed: bool
    limit: int
    remaining: int
    reset: float
    retry_after: float


class LimitStore(Protocol):
    """Where the numbers are kept: in this process, or shared by several gateways."""

    async def take(self, key: str, rate: Rate) -> Verdict:
        """Counts one request of a caller."""
        ...


class MemoryLimits:
    """The numbers of this process, for at most ``entries`` callers; of more, those seen longest ago start afresh."""

    def __init__(self, clock: Callable[[], float], entries: int) -> None:
        self._clock = clock
        self._entries = entries
        self._arrivals: OrderedDict[str, float] = OrderedDict()

    async def take(self, key: str, rate: Rate) -> Verdict:
        return self.take_now(key, rate)

    def take_now(self, key: str, rate: Rate) -> Verdict:
        """Like `take`, for those who know that nothing has to be awaited."""
        now = self._clock()
        burst = rate.burst or rate.limit
        interval = rate.period / rate.limit
        tolerance = interval * burst
        arrival = max(self._arrivals.get(key, now), now) + interval
        excess = arrival - now - tolerance
        if excess > interval * 1e-9:
            return Verdict(
                allowed=False, limit=rate.limit, remaining=0, reset=arrival - interval - now, retry_after=excess
            )
        self._arrivals[key] = arrival
        self._arrivals.move_to_end(key)
        if len(self._arrivals) > self._entries:
            self._arrivals.popitem(last=False)
        left = int((tolerance - (arrival - now)) / interval + 1e-9)
        return Verdict(allowed=True, limit=rate.limit, remaining=left, reset=arrival - now, retry_after=0.0)


class ClientAddresses:
    """Who is at the other end: the peer, or, behind a trusted proxy, the nearest address that is no trusted proxy."""

    def __init__(self, trusted: list[str]) -> None:
        self._trusted = [ipaddress.ip_network(network, strict=False) for network in trusted]
        self._is_trusted = lru_cache(maxsize=1024)(self._look_up)

    def client(self, peer: str, forwarded: list[str]) -> str:
        """The address; ``forwarded`` are the X-Forwarded-For headers in the order they came."""
        if not self._trusted or not forwarded or not self._is_trusted(peer):
            return peer
        hops = [hop.strip() for value in forwarded for hop in value.split(",")]
        for hop in reversed(hops):
            try:
                ipaddress.ip_address(hop)
            except ValueError:
                return peer
            peer = hop
            if not self._is_trusted(hop):
                return hop
        return peer

    def trusts(self, peer: str) -> bool:
        return bool(self._trusted) and self._is_trusted(peer)

    def _look_up(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._trusted)


@lru_cache(maxsize=4096)
def limit_group(address: str) -> str:
    """What of an address is limited as one: an IPv4 address, the /64 of an IPv6 address (one household owns all of it)."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False).network_address)
    return address
