"""One quote is one trace, through Python and Rust, as a collector of spans sees it."""

import queue
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple, Self

import pytest
from natives import BUILD_SECONDS, needs_tools, shared_builds
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from shop import Shop

pytestmark = [pytest.mark.slow, needs_tools]
TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
PRICE_BASKET = "agora.pricing.v1.PricingService/PriceBasket"
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


def test_a_quote_is_one_trace_from_its_caller_through_python_to_rust(sent: list[Sent]) -> None:
    trace = {each.span.span_id.hex(): each for each in sent if each.span.trace_id.hex() == TRACE}
    way = [each for each in trace.values() if each.process == "engine"]
    assert len(way) == 1, f"the engine sent {len(way)} spans of this trace"

    while (parent := way[-1].span.parent_span_id.hex()) in trace:
        way.append(trace[parent])

    assert [(each.process, each.span.name, each.span.kind) for each in way] == [
        ("engine", PRICE_BASKET, Span.SPAN_KIND_SERVER),
        ("shop", PRICE_BASKET, Span.SPAN_KIND_CLIENT),
        ("shop", CREATE_QUOTE, Span.SPAN_KIND_CLIENT),
        ("shop", "POST", Span.SPAN_KIND_SERVER),
    ]
    assert way[-1].span.parent_span_id.hex() == CALLER


def test_no_span_of_a_quote_has_lost_its_parent_or_its_trace(sent: list[Sent]) -> None:
    trace = [each for each in sent if each.span.trace_id.hex() == TRACE]

    ids = {each.span.span_id.hex() for each in trace}
    above = [each.span.name for each in trace if each.span.parent_span_id.hex() not in ids]
    asked = [each for each in sent if (each.process, each.span.name) == ("shop", PRICE_BASKET)]

    assert above == ["POST"]
    assert len(ids) == len(trace)
    assert [each.span.trace_id.hex() for each in asked] == [TRACE]
