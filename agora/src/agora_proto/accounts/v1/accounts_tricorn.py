"""Made by `tricorn gen`. Do not edit."""

import abc
from collections.abc import AsyncIterator

from agora_proto.accounts.v1 import accounts_pb2
from tricorn.v1 import auth_pb2
from tricorn.wire.call import Call, Caller


class AccountsServiceClient:
    SERVICE = "agora.accounts.v1.AccountsService"

    def __init__(self, caller: Caller) -> None:
        self._caller = caller

    async def register(self, request: accounts_pb2.RegisterRequest, *, deadline: float | None = None) -> accounts_pb2.User:
        return await self._caller.call("agora.accounts.v1.AccountsService/Register", request, deadline)  # type: ignore[return-value]

    async def login(self, request: accounts_pb2.LoginRequest, *, deadline: float | None = None) -> accounts_pb2.TokenPair:
        return await self._caller.call("agora.accounts.v1.AccountsService/Login", request, deadline)  # type: ignore[return-value]

    async def refresh(self, request: accounts_pb2.RefreshRequest, *, deadline: float | None = None) -> accounts_pb2.TokenPair:
        return await self._caller.call("agora.accounts.v1.AccountsService/Refresh", request, deadline)  # type: ignore[return-value]

    async def logout(self, request: accounts_pb2.LogoutRequest, *, deadline: float | None = None) -> accounts_pb2.LogoutResponse:
        return await self._caller.call("agora.accounts.v1.AccountsService/Logout", request, deadline)  # type: ignore[return-value]

    async def get_json_web_key_set(self, request: auth_pb2.GetJsonWebKeySetRequest, *, deadline: float | None = None) -> auth_pb2.JsonWebKeySet:
        return await self._caller.call("agora.accounts.v1.AccountsService/GetJsonWebKeySet", request, deadline)  # type: ignore[return-value]

    async def list_revocations(self, request: auth_pb2.ListRevocationsRequest, *, deadline: float | None = None) -> auth_pb2.ListRevocationsResponse:
        return await self._caller.call("agora.accounts.v1.AccountsService/ListRevocations", request, deadline)  # type: ignore[return-value]

    async def get_me(self, request: accounts_pb2.GetMeRequest, *, deadline: float | None = None) -> accounts_pb2.User:
        return await self._caller.call("agora.accounts.v1.AccountsService/GetMe", request, deadline)  # type: ignore[return-value]

    async def update_me(self, request: accounts_pb2.UpdateMeRequest, *, deadline: float | None = None) -> accounts_pb2.User:
        return await self._caller.call("agora.accounts.v1.AccountsService/UpdateMe", request, deadline)  # type: ignore[return-value]

    async def get_user(self, request: accounts_pb2.GetUserRequest, *, deadline: float | None = None) -> accounts_pb2.PublicUser:
        return await self._caller.call("agora.accounts.v1.AccountsService/GetUser", request, deadline)  # type: ignore[return-value]

    async def list_users(self, request: accounts_pb2.ListUsersRequest, *, deadline: float | None = None) -> accounts_pb2.ListUsersResponse:
        return await self._caller.call("agora.accounts.v1.AccountsService/ListUsers", request, deadline)  # type: ignore[return-value]


class AccountsServiceBase(abc.ABC):
    SERVICE = "agora.accounts.v1.AccountsService"

    @abc.abstractmethod
    async def register(self, request: accounts_pb2.RegisterRequest, call: Call) -> accounts_pb2.User: ...

    @abc.abstractmethod
    async def login(self, request: accounts_pb2.LoginRequest, call: Call) -> accounts_pb2.TokenPair: ...

    @abc.abstractmethod
    async def refresh(self, request: accounts_pb2.RefreshRequest, call: Call) -> accounts_pb2.TokenPair: ...

    @abc.abstractmethod
    async def logout(self, request: accounts_pb2.LogoutRequest, call: Call) -> accounts_pb2.LogoutResponse: ...

    @abc.abstractmethod
    async def get_json_web_key_set(self, request: auth_pb2.GetJsonWebKeySetRequest, call: Call) -> auth_pb2.JsonWebKeySet: ...

    @abc.abstractmethod
    async def list_revocations(self, request: auth_pb2.ListRevocationsRequest, call: Call) -> auth_pb2.ListRevocationsResponse: ...

    @abc.abstractmethod
    async def get_me(self, request: accounts_pb2.GetMeRequest, call: Call) -> accounts_pb2.User: ...

    @abc.abstractmethod
    async def update_me(self, request: accounts_pb2.UpdateMeRequest, call: Call) -> accounts_pb2.User: ...

    @abc.abstractmethod
    async def get_user(self, request: accounts_pb2.GetUserRequest, call: Call) -> accounts_pb2.PublicUser: ...

    @abc.abstractmethod
    async def list_users(self, request: accounts_pb2.ListUsersRequest, call: Call) -> accounts_pb2.ListUsersResponse: ...
