import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import asyncpg
import pytest
from till import BUYER, Till, usd

from agora.payments.acquirer import SandboxAcquirer
from agora.payments.domain.payment import Answer, Kind, Payment, State
from agora.payments.repository import PaymentsRepository
from agora.payments.service import PaymentsService
from tricorn import failpoints
from tricorn.contract import Refusal
from tricorn.data import Database, uuid7

pytestmark = pytest.mark.usefixtures("balanced")


async def test_an_authorised_payment_is_captured_and_refunded_in_parts(till: Till) -> None:
    authorised = await till.authorise(1000)
    assert (authorised.state, authorised.amount, authorised.captured) == (State.AUTHORISED, 1000, 0)
    captured = await till.capture(authorised)
    assert (captured.state, captured.captured) == (State.CAPTURED, 1000)
    part = await till.refund(captured, 300)
    assert (part.state, part.refunded) == (State.CAPTURED, 300)
    rest = await till.refund(captured)
    assert (rest.state, rest.refunded) == (State.REFUNDED, 1000)
    assert await till.service.payment(authorised.payment_id) == rest


async def test_a_voided_payment_cannot_be_captured(till: Till) -> None:
    payment = await till.authorise()
    assert (await till.void(payment)).state is State.VOIDED
    with pytest.raises(Refusal) as refused:
        await till.capture(payment)
    assert (refused.value.reason, refused.value.metadata) == ("INVALID_STATE", {"state": "VOIDED"})


@pytest.mark.parametrize(
    ("method", "reason"), [("test_declined", "PAYMENT_DECLINED"), ("test_insufficient_funds", "INSUFFICIENT_FUNDS")]
)
async def test_a_declined_payment_is_remembered_with_its_reason_and_books_nothing(
    till: Till, database: Database, method: str, reason: str
) -> None:
    for _ in range(2):
        with pytest.raises(Refusal, match=reason):
            await till.authorise(method=method, key="k")
    assert (await till.service.payment_by_key("k")).state is State.DECLINED
    assert await database.fetchval("SELECT count(*) FROM payment") == 1
    assert await database.fetchval("SELECT count(*) FROM ledger_transaction") == 0


async def test_an_unknown_method_names_the_field(till: Till) -> None:
    with pytest.raises(Refusal, match="INVALID_ARGUMENT") as refused:
        await till.authorise(method="shells")
    assert [violation.field for violation in refused.value.violations] == ["method"]


async def test_a_lost_answer_is_asked_for_again_and_authorises_once(till: Till, database: Database) -> None:
    payment = await till.authorise(method="test_answer_lost")
    assert payment.state is State.AUTHORISED
    assert await database.fetchval("SELECT count(*) FROM acquirer_authorisation") == 1


async def test_a_slow_acquirer_is_waited_for(database: Database) -> None:
    service = PaymentsService(PaymentsRepository(database), SandboxAcquirer(database, 0.05), lambda: None)
    assert (await Till(service).authorise(method="test_slow")).state is State.AUTHORISED


async def test_each_key_has_its_effect_once(till: Till) -> None:
    authorised = [await till.authorise(key="a") for _ in range(2)]
    captured = [await till.capture(authorised[0], key="c") for _ in range(2)]
    refunded = [await till.refund(authorised[0], 300, key="r") for _ in range(2)]
    assert authorised[0] == authorised[1]
    assert captured[0] == captured[1]
    assert refunded[0] == refunded[1]
    assert (await till.service.payment(authorised[0].payment_id)).refunded == 300


async def test_a_key_answers_what_it_answered_then_whatever_became_of_the_payment(till: Till) -> None:
    payment = await till.authorise(key="a")
    captured = await till.capture(payment, key="c")
    await till.refund(payment)
    assert await till.capture(payment, key="c") == captured
    assert (await till.authorise(key="a")).state is State.AUTHORISED


async def test_a_refusal_is_remembered_for_its_key(till: Till) -> None:
    payment = await till.authorise()
    with pytest.raises(Refusal, match="INVALID_STATE"):
        await till.refund(payment, 1, key="r")
    await till.capture(payment)
    with pytest.raises(Refusal, match="INVALID_STATE"):
        await till.refund(payment, 1, key="r")
    assert (await till.refund(payment, 1, key="another")).refunded == 1


async def test_a_key_with_another_request_is_refused(till: Till) -> None:
    payment = await till.authorise(1000, key="a")
    other = await till.authorise(1000, key="b")
    await till.capture(payment, key="c")
    await till.refund(payment, 10, key="r")
    for call in (
        till.authorise(1001, key="a"),
        till.authorise(1000, "test_slow", key="a"),
        till.service.authorise("a", usd(1000), "test_ok", "order-2", BUYER),
        till.service.authorise("a", usd(1000), "test_ok", "order-1", uuid7()),
        till.refund(payment, 11, key="r"),
        till.refund(payment, key="r"),
        till.capture(other, key="c"),
    ):
        with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
            await call


async def test_a_key_that_was_refused_takes_no_other_payment_s_money(till: Till, database: Database) -> None:
    refused = await till.void(await till.authorise(1000))
    with pytest.raises(Refusal, match="INVALID_STATE"):
        await till.capture(refused, key="c")
    process = Till(PaymentsService(PaymentsRepository(database), SandboxAcquirer(database, 0), lambda: None))
    other = await till.authorise(500)

    for asked in (till, process):
        with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
            await asked.capture(other, key="c")

    assert (await till.service.payment(other.payment_id)).state is State.AUTHORISED


@pytest.mark.parametrize("kind", [Kind.CAPTURE, Kind.VOID, Kind.REFUND])
async def test_what_the_acquirer_did_is_booked_though_the_key_was_refused_meanwhile(
    database: Database, kind: Kind
) -> None:
    """The key is refused for another payment after it was looked up for this one, which is asked for twice at once."""
    refused: list[Payment] = []
    both = asyncio.Barrier(2)

    class Later(PaymentsRepository):
        async def answer(self, kind: Kind, key: str) -> Answer | None:
            if key == "k":
                await both.wait()
            return await super().answer(kind, key)

    class Slower(SandboxAcquirer):
        async def capture(self, key: str, reference: str) -> None:
            await super().capture(key, reference)
            await refuse(key)

        async def void(self, key: str, reference: str) -> None:
            await super().void(key, reference)
            await refuse(key)

        async def refund(self, key: str, reference: str, minor_units: int) -> int:
            done = await super().refund(key, reference, minor_units)
            await refuse(key)
            return done

    async def refuse(key: str) -> None:
        if key == "k":
            await both.wait()
            with pytest.raises(Refusal, match="INVALID_STATE"):
                await change(quick, refused[0])

    async def change(till: Till, payment: Payment) -> Payment:
        return await {Kind.CAPTURE: till.capture, Kind.VOID: till.void, Kind.REFUND: till.refund}[kind](
            payment, key="k"
        )

    quick = Till(PaymentsService(PaymentsRepository(database), SandboxAcquirer(database, 0), lambda: None))
    slow = Till(PaymentsService(Later(database), Slower(database, 0), lambda: None))
    refused.append(await quick.void(await quick.authorise(1000)))
    payment = await slow.authorise(500, key="slow")
    if kind is Kind.REFUND:
        await slow.capture(payment, key="slow")

    async with asyncio.timeout(20):
        done, again = await asyncio.gather(change(slow, payment), change(slow, payment))

    assert again == done
    assert done.state is {Kind.CAPTURE: State.CAPTURED, Kind.VOID: State.VOIDED, Kind.REFUND: State.REFUNDED}[kind]
    assert await slow.service.payment(done.payment_id) == done
    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await change(slow, payment)


async def test_what_the_acquirer_did_by_a_key_is_booked_for_its_own_payment_alone(till: Till) -> None:
    payment, other = await till.authorise(), await till.authorise()
    with _failing("payments.capture.acquired"):
        await till.capture(payment, key="k")

    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await till.capture(other, key="k")

    assert (await till.capture(payment, key="k")).state is State.CAPTURED
    assert (await till.service.payment(other.payment_id)).state is State.AUTHORISED


async def test_what_the_acquirer_gave_back_by_a_key_is_not_the_answer_to_another_amount(till: Till) -> None:
    payment = await till.capture(await till.authorise(1000))
    with _failing("payments.refund.acquired"):
        await till.refund(payment, 300, key="k")

    with pytest.raises(Refusal, match="IDEMPOTENCY_KEY_REUSED"):
        await till.refund(payment, 200, key="k")

    assert (await till.refund(payment, 300, key="k")).refunded == 300


@contextmanager
def _failing(step: str) -> Iterator[None]:
    failpoints.arm(f"{step}=1*error")
    try:
        with pytest.raises(failpoints.FailpointError):
            yield
    finally:
        failpoints.arm("")


async def test_more_than_is_left_or_another_currency_is_not_refunded(till: Till) -> None:
    payment = await till.capture(await till.authorise(1000))
    await till.refund(payment, 600)
    with pytest.raises(Refusal) as exceeded:
        await till.refund(payment, 401)
    assert (exceeded.value.reason, exceeded.value.metadata) == ("AMOUNT_EXCEEDED", {"left": "400"})
    with pytest.raises(Refusal, match="CURRENCY_MISMATCH"):
        await till.service.refund("e", payment.payment_id, type(usd(1))("EUR", 1))


async def test_what_does_not_exist_is_not_found(till: Till) -> None:
    missing = uuid7()
    for call in (
        till.service.payment(missing),
        till.service.payment_by_key("none"),
        till.service.capture("c", missing),
        till.service.void("v", missing),
        till.service.refund("r", missing, None),
    ):
        with pytest.raises(Refusal, match="NOT_FOUND"):
            await call


async def test_one_key_many_times_at_once_has_one_effect(till: Till, database: Database) -> None:
    payments = await asyncio.gather(*(till.authorise(1000, key="a") for _ in range(8)))
    assert len({payment.payment_id for payment in payments}) == 1
    captured = await asyncio.gather(*(till.capture(payments[0], key="c") for _ in range(8)))
    assert {payment.state for payment in captured} == {State.CAPTURED}
    refunded = await asyncio.gather(*(till.refund(payments[0], 400, key="r") for _ in range(8)))
    assert {payment.refunded for payment in refunded} == {400}
    assert await database.fetchval("SELECT count(*) FROM ledger_transaction") == 3


async def test_refunds_at_once_never_give_back_more_than_was_taken(till: Till) -> None:
    payment = await till.capture(await till.authorise(1000))
    calls = [till.refund(payment, 300, key=f"r{number}") for number in range(8)]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes} <= {Payment, Refusal}
    assert {outcome.reason for outcome in outcomes if isinstance(outcome, Refusal)} <= {"AMOUNT_EXCEEDED", "ABORTED"}
    for number in range(8):
        try:
            await till.refund(payment, 300, key=f"r{number}")
        except Refusal as refusal:
            assert refusal.reason == "AMOUNT_EXCEEDED"  # noqa: PT017 - either outcome is right
    assert (await till.service.payment(payment.payment_id)).refunded == 900


async def test_capture_and_void_at_once_let_one_win(till: Till) -> None:
    for _ in range(10):
        payment = await till.authorise()
        outcomes = await asyncio.gather(till.capture(payment), till.void(payment), return_exceptions=True)
        assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Payment", "Refusal"]
        [refusal] = [outcome for outcome in outcomes if isinstance(outcome, Refusal)]
        assert refusal.reason == "INVALID_STATE"


@pytest.mark.parametrize("kind", ["authorise", "capture", "void", "refund"])
async def test_a_crash_between_the_acquirer_and_the_books_is_mended_by_the_same_call(till: Till, kind: str) -> None:
    payment = await till.authorise(1000)
    if kind == "refund":
        await till.capture(payment)

    async def call() -> Payment:
        if kind == "authorise":
            return await till.authorise(500, key="k")
        if kind == "refund":
            return await till.refund(payment, 100, key="k")
        return await (till.capture if kind == "capture" else till.void)(payment, key="k")

    with _failing(f"payments.{kind}.acquired"):
        await call()
    done = await call()
    assert (done.amount, done.captured, done.refunded) == {
        "authorise": (500, 0, 0),
        "capture": (1000, 1000, 0),
        "void": (1000, 0, 0),
        "refund": (1000, 1000, 100),
    }[kind]


async def test_nothing_is_paid_without_a_booking_for_an_amount_of_zero(till: Till) -> None:
    payment = await till.capture(await till.authorise(0))
    assert (payment.state, payment.captured) == (State.CAPTURED, 0)


async def test_the_database_refuses_an_unbalanced_transaction(database: Database) -> None:
    insert = (
        "INSERT INTO ledger_transaction (transaction_id, kind, payment_id, currency, accounts, amounts)"
        " VALUES ($1, 'CAPTURE', $1, 'USD', $2, $3::text::bigint[])"
    )
    pair = ["acquirer:clearing", "merchant:sales"]
    await database.execute(insert, uuid7(), pair, "{100,-100}")
    await database.execute("DELETE FROM ledger_transaction")
    for accounts, amounts, constraint in (
        (pair, "{100,-99}", "entries_sum_to_zero"),
        (pair, "[0:1]={100,-100}", "entries_are_whole"),
        (pair, "{100,-50,-50}", "entries_are_whole"),
        ([*pair, *pair, "buyer:held"], "{1,1,1,-3,0}", "entries_are_whole"),
        (pair, "{NULL,100}", "entries_are_whole"),
        (["acquirer:clearing", "elsewhere"], "{100,-100}", "accounts_are_known"),
    ):
        with pytest.raises(asyncpg.CheckViolationError, match=constraint):
            await database.execute(insert, uuid7(), accounts, amounts)


async def test_what_another_process_did_to_a_new_payment_holds(till: Till, database: Database) -> None:
    other = Till(PaymentsService(PaymentsRepository(database), SandboxAcquirer(database, 0), lambda: None))
    captured, refunded, voided = [await till.authorise(1000) for _ in range(3)]
    await other.capture(captured, key="c")
    answered = await other.capture(refunded, key="r")
    await other.refund(refunded, 300)
    await other.void(voided)

    with pytest.raises(Refusal, match="INVALID_STATE") as again:
        await till.capture(captured)
    assert await till.capture(refunded, key="r") == answered
    with pytest.raises(Refusal, match="INVALID_STATE") as too_late:
        await till.capture(voided)

    assert (again.value.metadata, too_late.value.metadata) == ({"state": "CAPTURED"}, {"state": "VOIDED"})
