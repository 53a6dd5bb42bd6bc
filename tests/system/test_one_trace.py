"""One quote or purchase is one trace through all languages, as a collector of spans sees it, or whoever asks `tricorn trace`."""

import contextlib
import json
import os
import queue
import signal
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, NamedTuple, Self

import psycopg
import pytest
from natives import BUILD_SECONDS, languages, needs_tools, shared_builds
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from psycopg.sql import SQL, Identifier
from shop import Shop

from tricorn.data.names import RoleNames

NATIVE = [pytest.mark.slow, needs_tools]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PRICE_BASKET = "agora.pricing.v1.PricingService/PriceBasket"
SECONDS = 30
FELL_BACK = "the reference answers instead"
CREATE_QUOTE = "agora.storefront.v1.StorefrontService/CreateQuote"


class Sent(NamedTuple):
    """A span and the process that sent it."""

    process: str
    span: Span


class Collector:
    """An OTLP receiver: takes what is posted to it, and refuses everything else."""

    def __init__(self) -> None:
        self._received: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        received = self._received

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["Content-Length"]))
                good = (self.path, self.headers["Content-Type"]) == ("/v1/traces", "application/x-protobuf")
                if good:
                    received.put(content)
                self.send_response(200 if good else 400)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing: the output is the test's."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> Self:
        Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def spans(self) -> Iterator[Sent]:
        """What was received since this was last asked."""
        while not self._received.empty():
            for resource in ExportTraceServiceRequest.FromString(self._received.get()).resource_spans:
                about = {each.key: each.value.string_value for each in resource.resource.attributes}
                yield from (Sent(about["service.name"], span) for scope in resource.scope_spans for span in scope.spans)


@pytest.fixture(scope="module")
def sent(tmp_path_factory: pytest.TempPathFactory) -> list[Sent]:
    """Every span of a shop in the shape `native` from its start to its end, in between which it was asked for one quote."""
    with Collector() as collector:
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, **shared_builds()}
        shop = Shop(tmp_path_factory.mktemp("traced") / "home", "--shape", "native", environment=environment)
        shop.up(BUILD_SECONDS)
        try:
            visitor = shop.visitor()
            product = visitor.products(pageSize=1)[0]["productId"]
            visitor.http.headers["traceparent"] = f"00-{TRACE}-{CALLER}-01"
            answer = visitor.quote([(product, 2)])
        finally:
            shop.down()  # each process sends what it still has before it ends
        assert answer.status_code == 200, answer.text
        return list(collector.spans())


@pytest.mark.slow
@needs_tools
def test_a_quote_is_one_trace_from_its_caller_through_go_and_python_to_rust(sent: list[Sent]) -> None:
    trace = {each.span.span_id.hex(): each for each in sent if each.span.trace_id.hex() == TRACE}
    way = [each for each in trace.values() if each.process == "engine"]
    assert len(way) == 1, f"the engine sent {len(way)} spans of this trace"

    while (parent := way[-1].span.parent_span_id.hex()) in trace:
        way.append(trace[parent])

    assert [(each.process, each.span.name, each.span.kind) for each in way] == [
        ("engine", PRICE_BASKET, Span.SPAN_KIND_SERVER),
        ("shop", PRICE_BASKET, Span.SPAN_KIND_CLIENT),
        ("shop", CREATE_QUOTE, Span.SPAN_KIND_SERVER),
        ("edge", CREATE_QUOTE, Span.SPAN_KIND_CLIENT),
        ("edge", "POST", Span.SPAN_KIND_SERVER),
    ]
    assert way[-1].span.parent_span_id.hex() == CALLER


@pytest.mark.slow
@needs_tools
def test_no_span_of_a_quote_has_lost_its_parent_or_its_trace(sent: list[Sent]) -> None:
    trace = [each for each in sent if each.span.trace_id.hex() == TRACE]

    ids = {each.span.span_id.hex() for each in trace}
    above = [each.span.name for each in trace if each.span.parent_span_id.hex() not in ids]
    asked = [each for each in sent if (each.process, each.span.name) == ("shop", PRICE_BASKET)]

    assert above == ["POST"]
    assert len(ids) == len(trace)
    assert [each.span.trace_id.hex() for each in asked] == [TRACE]


@pytest.fixture(scope="module", params=["python", pytest.param("native", marks=NATIVE)])
def shape(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, shape: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One that keeps its traces itself."""
    if shape == "python":
        yield request.getfixturevalue("agora")
        return
    environment = {"TRICORN_TRACE_RATE": "1000", "TRICORN_LOG_LEVEL": "debug", **shared_builds()}
    shop = Shop(tmp_path_factory.mktemp("kept") / "home", "--shape", shape, environment=environment)
    yield shop.up(BUILD_SECONDS)
    shop.down()


def _trace(shop: Shop, trace: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(shop.command("trace", trace, "--json", "--home", str(shop.home)).stdout)
    return found


def test_a_purchase_is_one_trace_through_all_languages_to_the_handler_of_its_event(shop: Shop, shape: str) -> None:
    buyer = shop.buyer()
    film = next(film for film in buyer.products(pageSize=50) if film["inventory"]["available"] > 10)
    trace = uuid.uuid4().hex
    buyer.http.headers["traceparent"] = f"00-{trace}-{CALLER}-01"
    order = buyer.order([(film["productId"], 1)])
    del buyer.http.headers["traceparent"]
    assert order.headers["x-trace-id"] == trace
    buyer.settled(order.json()["orderId"])

    spans: list[dict[str, Any]] = []

    def all_have_sent() -> bool:
        # Each process sends its spans in its own time.
        spans[:] = _trace(shop, trace)
        ids = {span["span"] for span in spans}
        return (
            any(span["kind"] == "consumer" for span in spans)
            and {span["process"] for span in spans} == {*languages(shape)}
            and {span["parent"] for span in spans} - ids == {CALLER}
        )

    shop.wait_until(all_have_sent, SECONDS)

    ids = {span["span"] for span in spans}
    assert [span["parent"] for span in spans if span["parent"] not in ids] == [CALLER]
    answered = {(span["process"], span["name"].rpartition("/")[2]) for span in spans if span["kind"] == "server"}
    assert shape == "python" or answered >= {("edge", "POST"), ("engine", "PriceBasket"), ("inventory", "Reserve")}
    asked = {span["name"].rpartition("/")[2] for span in spans}
    assert {
        "POST",
        "CreateOrder",
        "CreateQuote",
        "PriceBasket",
        "Reserve",
        "Authorise",
        "Confirm",
        "Capture",
    } <= asked
    handled = [span["name"] for span in spans if span["kind"] == "consumer"]
    assert any(name.endswith("agora.orders.v1.OrderPlaced") for name in handled), handled


@pytest.mark.parametrize("shape", [pytest.param("native", marks=NATIVE)], indirect=True)
def test_what_is_logged_of_a_request_carries_the_id_of_its_trace(shop: Shop, shape: str) -> None:
    visitor, trace = shop.visitor(), uuid.uuid4().hex
    product = visitor.products(pageSize=1)[0]["productId"]
    visitor.http.headers["traceparent"] = f"00-{trace}-{CALLER}-01"
    statuses = {visitor.quote([(product, 2)]).status_code}  # the engine notes each call that it has answered

    def both_have_logged() -> bool:
        # Both the edge and the shop ask the engine, and have the reference answer when it is late; of many such calls they log a few.
        statuses.update(
            {visitor.quote([(product, 2)]).status_code, visitor.http.get(f"/api/v1/products/{product}").status_code}
        )
        return {process for process, line in _lines(shop, trace) if line["event"] == FELL_BACK} >= {"edge", "shop"}

    engine = shop.pid("engine")
    os.kill(engine, signal.SIGSTOP)
    try:
        shop.wait_until(both_have_logged, SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(engine, signal.SIGCONT)

    with _denied(shop, "inventory"):
        failed = visitor.quote([(product, 2)]).status_code

    assert (statuses, failed) == ({200}, 500)
    shop.wait_until(lambda: {process for process, _ in _lines(shop, trace)} >= set(languages(shape)), SECONDS)
    assert all(len(line["span_id"]) == 16 for _, line in _lines(shop, trace))


@contextlib.contextmanager
def _denied(shop: Shop, context: str) -> Iterator[None]:
    """A context that may not read its own tables for a while."""
    with psycopg.connect(shop.state()["databaseUrl"], autocommit=True) as connection:
        names = {"schema": Identifier(context), "role": Identifier(RoleNames(connection.info.dbname).runtime(context))}
        connection.execute(SQL("REVOKE SELECT ON ALL TABLES IN SCHEMA {schema} FROM {role}").format(**names))
        try:
            yield
        finally:
            connection.execute(SQL("GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}").format(**names))


def _lines(shop: Shop, trace: str) -> list[tuple[str, dict[str, Any]]]:
    """What the logs say of a trace, each line with the process whose log it is in."""
    found = []
    for log in sorted((shop.home / "logs").glob("*.jsonl")):
        whole, _, _ = log.read_text().rpartition("\n")  # the last line may be on its way
        lines = (json.loads(line) for line in whole.splitlines() if trace in line)
        found += [(log.stem, line) for line in lines if line.get("trace_id") == trace]
    return found


def test_a_trace_is_shown_as_a_tree_with_times_processes_and_languages(agora: Shop) -> None:
    trace = (
        agora.visitor()
        .http.get("/api/v1/products?pageSize=4", headers={"traceparent": f"00-{uuid.uuid4().hex}-{CALLER}-01"})
        .headers["x-trace-id"]
    )

    shown = agora.command("trace", trace[:12], "--home", str(agora.home)).stdout.splitlines()

    assert shown[0].startswith(f"trace {trace}: ")
    assert shown[0].endswith(" ms, shop (python)")
    assert shown[2].split()[-4:] == ["GET", "shop", "python", "server"]
    below = next(line for line in shown if "CatalogService/SearchProducts" in line)
    assert below.split("ms  ")[-1].startswith("    agora.catalog.v1.CatalogService")


def test_a_trace_that_is_not_there_or_not_the_only_one_is_said(agora: Shop) -> None:
    beginning = uuid.uuid4().hex[:20]
    for number in range(2):
        traceparent = f"00-{beginning}{number:012}-{CALLER}-01"
        agora.visitor().http.get("/health/live", headers={"traceparent": traceparent})
    agora.command("trace", f"{beginning}{0:012}", "--home", str(agora.home))
    agora.command("trace", f"{beginning}{1:012}", "--home", str(agora.home))

    several = agora.command("trace", beginning, "--home", str(agora.home), check=False)
    unknown = agora.command("trace", uuid.uuid4().hex, "--home", str(agora.home), check=False)
    no_id = agora.command("trace", "not an id", "--home", str(agora.home), check=False)
    empty = agora.command("trace", "abcd", "--home", str(agora.home / "empty"), check=False)

    assert [done.returncode for done in (several, unknown, no_id, empty)] == [1, 1, 1, 1]
    assert f"2 traces begin with '{beginning}'" in several.stderr
    assert "no trace begins with" in unknown.stderr
    assert "is no trace's id" in no_id.stderr
    assert "no traces are kept in" in empty.stderr
