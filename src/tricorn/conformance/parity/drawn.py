"""Requests drawn from the contracts: every public route, with values that fit and such as do not, the same for the same seed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from google.protobuf.descriptor import Descriptor
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tricorn.conformance.parity.compare import Leniency
from tricorn.conformance.parity.exchange import Ask
from tricorn.conformance.parity.json_text import document, query_values
from tricorn.conformance.parity.tables import Case, Step
from tricorn.contract import HttpRoute, Level, MethodPolicy
from tricorn.gateway.transcode.template import parse_template

NOBODY = ""
_NO_VERSION = "0"
_SOME_ID = "00000000-0000-7000-8000-000000000000"

Draw = Callable[[st.SearchStrategy[Any]], Any]


def drawn_cases(  # noqa: PLR0917
    policies: Sequence[MethodPolicy],
    actors: Sequence[str],
    values: Mapping[str, Sequence[str]],
    lenient: Mapping[str, Leniency],
    count: int,
    number: int,
) -> list[Case]:
    """So many cases, spread over the routes of the policies.

    Args:
        policies: Methods; those without a public route are left out.
        actors: Variables that hold tokens.
        values: Texts for fields by name; they may hold variables. What has an effect must be refused with them.
        lenient: What the answers of a method may differ in, by its full name.
        count: How many, at most.
        number: The seed.
    """
    routes = [
        (policy, route)
        for policy in policies
        if policy.level is not Level.INTERNAL and not policy.client_streaming
        for route in policy.routes
    ]
    cases = []
    for index, (policy, route) in enumerate(routes):
        share = count // len(routes) + (index < count % len(routes))
        about = lenient.get(policy.full_name, Leniency())
        asks = _found(_asks(policy, route, actors, values), share, number) if share else []
        cases += [
            Case(f"gateway/drawn: {route.verb} {route.template} {place + 1}", (Step(ask, about, {}),))
            for place, ask in enumerate(asks)
        ]
    return cases


def _found(asks: st.SearchStrategy[Ask], count: int, number: int) -> list[Ask]:
    collected: dict[Ask, None] = {}

    @seed(number)
    @settings(
        max_examples=count,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(asks)
    def collect(ask: Ask) -> None:
        collected[ask] = None

    collect()
    return list(collected)[:count]


@st.composite
def _asks(
    draw: Draw, policy: MethodPolicy, route: HttpRoute, actors: Sequence[str], values: Mapping[str, Sequence[str]]
) -> Ask:
    message = cast("Descriptor", policy.input.DESCRIPTOR)
    target, taken = _path(draw, route, message, values)
    headers: list[tuple[str, str]] = []
    who = draw(
        st.sampled_from([*actors, NOBODY])
        if policy.level is Level.PUBLIC
        else st.sampled_from([*actors] * 3 + [NOBODY])
    )
    if who:
        headers.append(("Authorization", f"Bearer ${{{who}}}"))
    if policy.idempotency_key_field and draw(st.integers(0, 3)):
        headers.append(("Idempotency-Key", draw(st.sampled_from(["a key", "${new:key}", "k" * 101, ""]))))
    if policy.request_etag_field and not policy.safe:
        # A version that nothing has: whatever else is right, nothing is changed.
        headers.append(("If-Match", f'"{_NO_VERSION}"'))
    body = None
    if route.body:
        field = message.fields_by_name.get(route.body)
        within = field.message_type if field is not None else message
        assert within is not None  # noqa: S101 - a route's body is a message
        text = draw(document(within, values, slack=draw(st.integers(0, 3)) > 0))
        body = text.encode("utf-8", "surrogatepass")
        headers.append(("Content-Type", "application/json"))
    parameters = _query(draw, message, taken, values) if route.body != "*" or draw(st.integers(0, 9)) == 0 else []
    if parameters:
        target += "?" + "&".join(parameters)
    return Ask(route.verb, target, tuple(headers), body)


def _path(
    draw: Draw, route: HttpRoute, message: Descriptor, values: Mapping[str, Sequence[str]]
) -> tuple[str, set[str]]:
    template = parse_template(route.template)
    segments = list(template.segments)
    taken = set()
    for variable in template.variables:
        taken.add(variable.field[0])
        good = [*values.get(variable.field[-1], ()), _SOME_ID]
        odd = ["no id", "%00", "%ff", "..", "%2F", "a:b", "%2e%2e", "🎬", "a+b", "x" * 80, "1"]
        chosen = draw(st.sampled_from(good)) if draw(st.integers(0, 3)) else draw(st.sampled_from(odd))
        segments[variable.start] = chosen if "${" in chosen else quote(chosen, safe="%:+")
    del message
    verb = f":{template.verb}" if template.verb else ""
    return "/" + "/".join(segments) + verb, taken


def _query(draw: Draw, message: Descriptor, taken: set[str], values: Mapping[str, Sequence[str]]) -> list[str]:
    """Parameters for the fields that are left, each perhaps twice, spelled either way, and perhaps one that is unknown."""
    found = []
    for field in message.fields:
        if field.name in taken or field.message_type is not None or draw(st.integers(0, 2)) == 0:
            continue
        name = draw(st.sampled_from([field.json_name] * 4 + [field.name]))
        times = 2 if draw(st.integers(0, 9)) == 0 else 1
        found += [f"{name}={_encoded(draw(query_values(field, values)))}" for _ in range(times)]
    if draw(st.integers(0, 9)) == 0:
        found.append(
            draw(
                st.sampled_from(["colour=red", "pageSize", "=", "&", "pageSize[]=1", "page%53ize=1", "a=%zz", "%ff=1"])
            )
        )
    return found


def _encoded(value: str) -> str:
    return value if "${" in value else quote(value, safe="+")
