import json
import re
from typing import Any

import httpx
import jsonschema_rs
import openapi_spec_validator
import pytest

pytestmark = pytest.mark.usefixtures("toy")


@pytest.fixture
async def document(client: httpx.AsyncClient) -> Any:
    return (await client.get("/openapi.json")).json()


def operations(document: Any) -> dict[str, Any]:
    return {each["operationId"]: each for path in document["paths"].values() for each in path.values()}


async def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    openapi_spec_validator.validate(document, cls=openapi_spec_validator.OpenAPIV31SpecValidator)


async def test_the_document_is_the_same_every_time(make_gateway: Any, make_client: Any) -> None:
    async with make_client(make_gateway()) as one, make_client(make_gateway()) as other:
        assert (await one.get("/openapi.json")).content == (await other.get("/openapi.json")).content


async def test_every_public_route_is_there_and_no_internal_one(document: Any) -> None:
    found = {(verb, path) for path, verbs in document["paths"].items() for verb in verbs}

    assert ("get", "/v1/books/{bookId}") in found
    assert ("get", "/v1/shelves/{name1}/books/{name2}") in found
    assert ("post", "/v1/books/{bookId}:lend") in found
    assert not [name for name in operations(document) if "Recount" in name]


async def test_rules_are_schema_keywords(document: Any) -> None:
    body = document["components"]["schemas"]["library.v1.CreateBookRequestInput"]
    query = {each["name"]: each for each in operations(document)["LibraryService_ListBooks"]["parameters"]}

    assert body["required"] == ["title"]
    assert body["properties"]["title"] == {"type": "string", "minLength": 1, "maxLength": 200}
    assert body["additionalProperties"] is False
    assert (query["pageSize"]["schema"]["minimum"], query["pageSize"]["schema"]["maximum"]) == (0, 100)
    assert query["filter.genres"]["schema"]["type"] == "array"
    assert "labels" not in query


async def test_answers_always_have_their_plain_fields(document: Any) -> None:
    book = document["components"]["schemas"]["library.v1.Book"]

    assert book["required"] == ["bookId", "title", "genre", "copies", "etag"]
    assert book["properties"]["copies"]["type"] == "string"


async def test_headers_security_and_failures_are_told(document: Any) -> None:
    made = operations(document)
    create, update = made["LibraryService_CreateBook"], made["LibraryService_UpdateBook"]

    assert "Idempotency-Key" in {each["name"] for each in create["parameters"]}
    assert "If-Match" in {each["name"] for each in update["parameters"]}
    assert create["security"] == [{"bearer": []}]
    assert "`librarian`" in create["description"]
    assert {"201", "400", "401", "403", "413", "415", "429", "default"} <= create["responses"].keys()
    assert "application/problem+json" in document["components"]["responses"]["Problem400"]["content"]


async def test_every_example_fits_its_schema(document: Any) -> None:
    checked = 0
    text = json.dumps(document["components"])
    components = json.loads(re.sub(r'"format": "(int32|int64|password|binary|double|float)"', '"format": "x"', text))
    for each in operations(document).values():
        bodies = [each.get("requestBody", {}), *each["responses"].values()]
        for media in [media for body in bodies for media in body.get("content", {}).values() if "example" in media]:
            schema = {**media["schema"], "components": components}
            jsonschema_rs.Draft202012Validator(schema).validate(media["example"])
            checked += 1
    assert checked > 10
