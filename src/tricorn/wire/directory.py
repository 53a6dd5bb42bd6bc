"""Where each contract is answered: in this process, or at addresses of others."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tricorn.contract import MethodPolicy, PlatformReason, Refusal
from tricorn.wire.client import Channel
from tricorn.wire.local import LocalChannel
from tricorn.wire.remote import RemoteChannel
from tricorn.wire.service import Service

SCHEMA_VERSION = 1


def read_endpoints(path: Path) -> Mapping[str, Sequence[str]]:
    """Reads an endpoints file: ``{"version": 1, "endpoints": {"package.Service": ["unix:/run/x.sock", ...]}}``.

    Raises:
        ValueError: The file is not of that form.
    """
    try:
        said = json.loads(path.read_text())
        version, endpoints = said["version"], said["endpoints"]
        well_formed = all(
            isinstance(name, str)
            and isinstance(addresses, list)
            and addresses
            and all(isinstance(a, str) for a in addresses)
            for name, addresses in endpoints.items()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{path}: not an endpoints file: {error}"
        raise ValueError(message) from error
    if version != SCHEMA_VERSION or not well_formed:
        message = f"{path}: version {SCHEMA_VERSION} with a list of addresses for each service is expected"
        raise ValueError(message)
    return endpoints  # type: ignore[no-any-return]


class OneChannel:
    """Every call goes to one process: for contracts that every process answers for itself."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def channel(self, policy: MethodPolicy) -> Channel:
        return self._channel


class Endpoints:
    """Answers with this process where it hosts the contract, else with the addresses in turn."""

    def __init__(self, local: Service, endpoints: Mapping[str, Sequence[str]] | None = None) -> None:
        self._service = local
        self._local = LocalChannel(local)
        self._remote: dict[str, RemoteChannel] = {}
        self._endpoints = dict(endpoints or {})
        self._turn = 0

    def channel(self, policy: MethodPolicy) -> Channel:
        if self._service.hosts(policy.full_name):
            return self._local
        addresses = self._endpoints.get(policy.service)
        if not addresses:
            raise Refusal(PlatformReason.UNAVAILABLE, f"nothing answers {policy.service} here")
        self._turn += 1
        return self.at(addresses[self._turn % len(addresses)])

    def at(self, address: str) -> RemoteChannel:
        """The channel to an address; made once."""
        channel = self._remote.get(address)
        if channel is None:
            channel = self._remote[address] = RemoteChannel(address)
        return channel

    @property
    def addresses(self) -> list[str]:
        """Every address that is known, once."""
        return sorted({address for addresses in self._endpoints.values() for address in addresses})

    async def close(self) -> None:
        for channel in self._remote.values():
            await channel.close()
