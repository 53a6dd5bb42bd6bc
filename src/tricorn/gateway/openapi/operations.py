"""One operation of the document: what a route takes and what it may answer."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tricorn.contract import Level
from tricorn.gateway.openapi.examples import example
from tricorn.gateway.openapi.rules import Schema, is_needed
from tricorn.gateway.openapi.schemas import Schemas, filled_by_header
from tricorn.gateway.transcode.binding import Binding
from tricorn.gateway.transcode.json_read import is_map
from tricorn.gateway.transcode.query import singular_text_reader
from tricorn.gateway.transcode.template import ONE, REST

_JSON = "application/json"
_RAW = "google.api.HttpBody"
_WHOLE = "*"
_NO_CONTENT = 204
_DEEPEST_QUERY = 3
_PHRASES = {200: "Done.", 201: "Created.", 202: "Accepted.", 204: "Done; nothing to say."}


def path_of(binding: Binding) -> tuple[str, dict[str, FieldDescriptor]]:
    """The route's path as OpenAPI writes it, and the fields its parameters come from."""
    segments = list(binding.template.segments)
    parameters: dict[str, FieldDescriptor] = {}
    for variable in binding.template.variables:
        field = _field(binding, variable.field)
        name = ".".join(_json_names(binding, variable.field))
        wild = [at for at in range(variable.start, variable.end or len(segments)) if segments[at] in (ONE, REST)]
        for number, at in enumerate(wild, 1):
            label = name if len(wild) == 1 else f"{name}{number}"
            segments[at] = f"{{{label}}}"
            parameters[label] = field
    verb = f":{binding.template.verb}" if binding.template.verb else ""
    return "/" + "/".join(segments) + verb, parameters


def operation(binding: Binding, number: int, schemas: Schemas, comments: Mapping[str, str]) -> dict[str, Any]:
    """The Operation object. ``number`` counts the routes of a method, from 0."""
    policy = binding.policy
    service = policy.service.rpartition(".")[2]
    full_name = f"{policy.service}.{policy.name}"
    made: dict[str, Any] = {
        "operationId": f"{service}_{policy.name}" + (f"_{number + 1}" if number else ""),
        "tags": [policy.service],
        "summary": _spaced(policy.name),
        "description": _description(binding, comments.get(full_name, "")),
        "parameters": _parameters(binding, schemas),
        "responses": _responses(binding, schemas),
        "security": _security(binding),
    }
    body = _request_body(binding, schemas)
    if body is not None:
        made["requestBody"] = body
    return made


def _description(binding: Binding, comment: str) -> str:
    policy = binding.policy
    lines = [comment.replace("\n", " ")] if comment else []
    if policy.level is Level.USER:
        roles = sorted(policy.any_role)
        lines.append(
            f"For users with the role {' or '.join(f'`{role}`' for role in roles)}." if roles else "For users."
        )
    if policy.rate:
        lines.append(f"Limited as `{policy.rate}`.")
    if policy.server_streaming:
        lines.append(
            "A stream of server-sent events: `message` with the JSON as data, then `end`, or `problem` when it fails."
        )
    return "\n\n".join(lines)


def _security(binding: Binding) -> list[dict[str, list[str]]]:
    return [{"bearer": []}] if binding.policy.level is Level.USER else [{}, {"bearer": []}]


def _parameters(binding: Binding, schemas: Schemas) -> list[dict[str, Any]]:
    _, in_path = path_of(binding)
    made: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": schemas.field(field, is_input=True)}
        for name, field in in_path.items()
    ]
    if binding.route.body != _WHOLE:
        taken = {variable.field for variable in binding.template.variables} | {(binding.route.body,)}
        made += _query_parameters(_input(binding), (), (), taken, schemas)
    for field in _input(binding).fields:
        if not filled_by_header(field):
            continue
        if field.name == binding.policy.idempotency_key_field:
            schema = schemas.field(field, is_input=True)
            made.append(_header("Idempotency-Key", schema, required=is_needed(field, schema)))
        elif not binding.policy.safe:
            made.append(_header("If-Match", {"type": "string", "examples": ['"5"']}, required=False))
    if binding.policy.safe and binding.policy.response_etag_field is not None:
        made.append(_header("If-None-Match", {"type": "string"}, required=False))
    for parameter in made:
        description = parameter["schema"].pop("description", None)
        if description is not None:
            parameter["description"] = description
    return made


def _header(name: str, schema: Schema, *, required: bool) -> dict[str, Any]:
    return {"name": name, "in": "header", "required": required, "schema": schema}


def _query_parameters(
    message: Descriptor,
    path: tuple[str, ...],
    names: tuple[str, ...],
    taken: set[tuple[str, ...]],
    schemas: Schemas,
) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for field in message.fields:
        here, spelled = (*path, field.name), (*names, field.json_name)
        if here in taken or is_map(field) or (not path and filled_by_header(field)):
            continue
        if singular_text_reader(field) is None:
            if field.message_type is not None and not field.is_repeated and len(here) < _DEEPEST_QUERY:
                made += _query_parameters(field.message_type, here, spelled, taken, schemas)
            continue
        schema = schemas.field(field, is_input=True)
        required = not path and is_needed(field, schema)
        parameter: dict[str, Any] = {"name": ".".join(spelled), "in": "query", "required": required, "schema": schema}
        if field.is_repeated:
            parameter |= {"style": "form", "explode": True}
        made.append(parameter)
    return made


def _request_body(binding: Binding, schemas: Schemas) -> dict[str, Any] | None:
    if not binding.takes_body:
        return None
    if binding.takes_raw_body:
        return {"required": False, "content": {"*/*": {"schema": {"type": "string", "format": "binary"}}}}
    if binding.route.body == _WHOLE:
        in_path = {variable.field[0] for variable in binding.template.variables}
        message = _input(binding)
        schema = (
            schemas.message(message, is_input=True, without=in_path)
            if in_path
            else schemas.reference(message, is_input=True)
        )
        resolved = schemas.components[message.full_name + "Input"] if "$ref" in schema else schema
        required = bool(resolved.get("required") or resolved.get("allOf"))
    else:
        field = _field(binding, (binding.route.body,))
        schema = schemas.field(field, is_input=True)
        required = is_needed(field, schema)
    return {"required": required, "content": {_JSON: _media(schema, schemas)}}


def _media(schema: Schema, schemas: Schemas) -> dict[str, Any]:
    shown = example(schema, schemas.components)
    return {"schema": schema} if shown is None else {"schema": schema, "example": shown}


def _responses(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    policy = binding.policy
    good: dict[str, Any] = {"description": _PHRASES.get(policy.status, "Done."), "headers": _headers(binding)}
    if policy.status != _NO_CONTENT:
        good["content"] = _answer_content(binding, schemas)
    statuses = {400, 401, 405, 406, 500, 503, 504}
    statuses |= {403} if policy.any_role else set()
    statuses |= {404} if binding.template.variables else set()
    statuses |= {408, 413, 415} if binding.takes_body else set()
    statuses |= {409} if not policy.safe else set()
    statuses |= {412} if policy.request_etag_field is not None else set()
    statuses |= {422} if policy.idempotency_key_field is not None else set()
    statuses |= {429} if policy.rate else set()
    failures = {str(status): {"$ref": f"#/components/responses/Problem{status}"} for status in sorted(statuses)}
    unchanged = {"304": {"description": "Not modified."}} if policy.safe and policy.response_etag_field else {}
    return {str(policy.status): good, **unchanged, **failures, "default": {"$ref": "#/components/responses/Problem"}}


def _answer_content(binding: Binding, schemas: Schemas) -> dict[str, Any]:
    if binding.answers_raw_body:
        return {"*/*": {"schema": {"type": "string", "format": "binary"}}}
    output: Any = binding.policy.output.DESCRIPTOR
    if binding.route.response_body:
        schema = schemas.field(output.fields_by_name[binding.route.response_body], is_input=False)
    else:
        schema = schemas.reference(output, is_input=False)
    if binding.policy.server_streaming:
        return {"text/event-stream": {"schema": _event(schema)}}
    return {_JSON: _media(schema, schemas)}


def _event(message: Schema) -> Schema:
    """One event of a stream. The specification has no word for the whole of it before OpenAPI 3.2."""
    data = {"type": "string", "contentMediaType": _JSON, "contentSchema": message}
    names = {"type": "string", "enum": ["message", "end", "problem"]}
    return {
        "type": "object",
        "title": "Event",
        "properties": {"id": {"type": "string"}, "event": names, "data": data},
        "required": ["event", "data"],
    }


def _headers(binding: Binding) -> dict[str, Any]:
    names = ["X-Request-Id", "Server-Timing"]
    names += ["ETag"] if binding.policy.response_etag_field else []
    names += ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] if binding.policy.rate else []
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _input(binding: Binding) -> Descriptor:
    return binding.policy.input.DESCRIPTOR  # type: ignore[return-value]


def _field(binding: Binding, path: tuple[str, ...]) -> FieldDescriptor:
    message: Any = _input(binding)
    for name in path[:-1]:
        message = message.fields_by_name[name].message_type
    return message.fields_by_name[path[-1]]  # type: ignore[no-any-return]


def _json_names(binding: Binding, path: tuple[str, ...]) -> list[str]:
    return [_field(binding, path[:length]).json_name for length in range(1, len(path) + 1)]


def _spaced(name: str) -> str:
    words = "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
    return words[:1].upper() + words[1:]
