"""The contract of accounts, and how its parts are wired."""

import asyncio
import contextlib
from datetime import timedelta

from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles

from agora.accounts import framework
from agora.accounts.customers import Customers
from agora.accounts.directory import Directory
from agora.accounts.domain import Limit, Profile, email_key
from agora.accounts.passwords import Passwords
from agora.accounts.service import AccountsService, LoginLimits, Pair
from agora.accounts.settings import AccountsSettings
from agora.accounts.staff import ensure_key, shared_secret
from agora.accounts.tokens import AccessTokens
from agora_proto.accounts.v1 import accounts_pb2
from agora_proto.accounts.v1.accounts_tricorn import AccountsServiceBase
from agora_proto.orders.v1.orders_tricorn import OrdersServiceClient
from agora_proto.pricing.v1.pricing_tricorn import PromotionsServiceClient
from tricorn.contract import PlatformReason, Refusal, decode_page_token, encode_page_token, query_fingerprint, timestamp
from tricorn.host import Host
from tricorn.v1 import auth_pb2
from tricorn.wire import Call

_PAGE_SIZE = 20
_SWEEP_SECONDS = 600.0


class AccountsServer(AccountsServiceBase):
    def __init__(self, service: AccountsService) -> None:
        self._service = service

    async def register(self, request: accounts_pb2.RegisterRequest, call: Call) -> accounts_pb2.User:
        user = await self._service.register(
            email=request.email, password=request.password, display_name=request.display_name
        )
        return _user(user)

    async def login(self, request: accounts_pb2.LoginRequest, call: Call) -> accounts_pb2.TokenPair:
        address = call.metadata.get("client-address", "")
        pair = await self._service.login(email=request.email, password=request.password, address=address)
        return _pair(pair)

    async def refresh(self, request: accounts_pb2.RefreshRequest, call: Call) -> accounts_pb2.TokenPair:
        return _pair(await self._service.refresh(refresh_token=request.refresh_token))

    async def logout(self, request: accounts_pb2.LogoutRequest, call: Call) -> accounts_pb2.LogoutResponse:
        await self._service.logout(refresh_token=request.refresh_token)
        return accounts_pb2.LogoutResponse()

    async def get_json_web_key_set(
        self,
        request: auth_pb2.GetJsonWebKeySetRequest,
        call: Call,
    ) -> auth_pb2.JsonWebKeySet:
        keys = await self._service.public_keys()
        return auth_pb2.JsonWebKeySet(
            keys=[
                auth_pb2.JsonWebKey(kty="RSA", use="sig", alg="RS256", kid=key.kid, n=key.modulus, e=key.exponent)
                for key in keys
            ]
        )

    async def list_revocations(
        self,
        request: auth_pb2.ListRevocationsRequest,
        call: Call,
    ) -> auth_pb2.ListRevocationsResponse:
        revocations = await self._service.revocations()
        return auth_pb2.ListRevocationsResponse(
            revocations=[
                auth_pb2.SessionRevoked(session_id=each.session_id, expire_time=timestamp(each.expire_time))
                for each in revocations
            ]
        )

    async def get_me(self, request: accounts_pb2.GetMeRequest, call: Call) -> accounts_pb2.User:
        return _user(await self._service.me(call.user().user_id))

    async def update_me(self, request: accounts_pb2.UpdateMeRequest, call: Call) -> accounts_pb2.User:
        named = "display_name" in request.update_mask.paths
        given = request.user.HasField("display_name") and not request.update_mask.paths
        name = request.user.display_name if named or given else None
        caller = call.user()
        user = await self._service.change_me(
            caller.user_id, display_name=name, etag=request.etag, likely_roles=caller.roles
        )
        return _user(user)

    async def get_user(self, request: accounts_pb2.GetUserRequest, call: Call) -> accounts_pb2.PublicUser:
        user = await self._service.user(request.user_id)
        return accounts_pb2.PublicUser(
            user_id=user.user_id, display_name=user.display_name, create_time=timestamp(user.create_time)
        )

    async def list_users(self, request: accounts_pb2.ListUsersRequest, call: Call) -> accounts_pb2.ListUsersResponse:
        fingerprint = query_fingerprint(request)
        position = decode_page_token(request.page_token, fingerprint) or [""]
        after = position[0] if len(position) == 1 else None
        if not isinstance(after, str) or "\x00" in after:
            raise Refusal(PlatformReason.PAGE_TOKEN_INVALID, "page_token was not given out for this query")
        users, more = await self._service.users(
            prefix=request.query, after=after, limit=request.page_size or _PAGE_SIZE
        )
        token = encode_page_token(fingerprint, [email_key(users[-1].email)]) if more else ""
        return accounts_pb2.ListUsersResponse(users=map(_user, users), next_page_token=token)


def register(host: Host) -> None:
    settings = host.settings(AccountsSettings)
    framework.configure(
        secure=host.environment != "development",
        hosts=tuple(settings.allowed_hosts),
        origins=tuple(settings.trusted_origins),
    )
    # Models exist only once Django is configured, which importing this file must not do.
    from agora.accounts import orm  # noqa: PLC0415
    from agora.accounts.admin.bridge import Bridge  # noqa: PLC0415
    from agora.accounts.admin.pages import Pages  # noqa: PLC0415

    auth = host.auth
    if auth is None:
        raise ValueError("tricorn.toml needs [auth]: accounts issues the tokens that it describes")
    publish = orm.outbox(host.poke)
    threads = orm.Threads(settings.write_connections, "agora-accounts", host.database.url)
    transact = orm.Transactions(threads, publish)
    passwords = Passwords(threads=settings.hash_threads)
    directory = Directory(host.database, host.announce)
    window = timedelta(seconds=settings.login_window_seconds)
    service = AccountsService(
        transact=transact,
        reads=directory,
        rename=directory.rename,
        passwords=passwords,
        tokens=AccessTokens(issuer=auth.issuer, audience=auth.audience),
        clock=host.clock,
        limits=LoginLimits(Limit(settings.account_attempts, window), Limit(settings.address_attempts, window)),
    )
    customers = Customers(host.client(PromotionsServiceClient), host.client(OrdersServiceClient))
    page_threads = orm.Threads(settings.admin_connections, "agora-admin", host.database.url)
    bridge = Bridge(service, customers, publish)

    async def start() -> None:
        bridge.start()
        framework.share_secret(await transact(shared_secret))
        await transact(ensure_key)

    async def stop() -> None:
        await asyncio.to_thread(page_threads.close)
        await asyncio.to_thread(threads.close)
        passwords.close()

    async def sweep(stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            await directory.sweep()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), _SWEEP_SECONDS)

    host.on_start(start)
    host.on_stop(stop)
    host.background("accounts.sweeper", sweep)
    host.serve(AccountsServer(service))
    host.mount("/admin", Pages(page_threads, bridge))
    host.mount(
        "/static", Starlette(routes=[Mount("/static", StaticFiles(packages=[("django.contrib.admin", "static")]))])
    )


def _user(user: Profile) -> accounts_pb2.User:
    return accounts_pb2.User(
        user_id=user.user_id,
        email=user.email,
        display_name=user.display_name,
        roles=user.roles,
        create_time=timestamp(user.create_time),
        update_time=timestamp(user.update_time),
        etag=user.etag,
    )


def _pair(pair: Pair) -> accounts_pb2.TokenPair:
    return accounts_pb2.TokenPair(
        access_token=pair.access_token,
        refresh_token=pair.refresh_token,
        expires_in=int(pair.life.total_seconds()),
        token_type="Bearer",  # noqa: S106 - the scheme's name
    )
