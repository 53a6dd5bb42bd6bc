"""One route of one method: makes its request from path, query, headers and body, and the body of its answer."""

from collections.abc import Mapping
from typing import Any, cast

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message

from tricorn.contract import HttpRoute, MethodPolicy
from tricorn.gateway.transcode.json_read import message_reader, reader_of, value_reader
from tricorn.gateway.transcode.json_text import Malformed, parse_json
from tricorn.gateway.transcode.json_write import field_writer, to_json
from tricorn.gateway.transcode.query import FieldPath, QueryReader, decode_text, put, singular_text_reader
from tricorn.gateway.transcode.template import TemplateError, Variable, parse_template
from tricorn.gateway.transcode.well_known import Arguments

_HTTP_BODY = "google.api.HttpBody"
_MASK = "update_mask"
_WHOLE = "*"


class Binding:
    """A route, ready to be used.

    Raises:
        TemplateError: The contract's route cannot be served: a field it names does not exist or does not fit into a
        path.
    """

    def __init__(self, policy: MethodPolicy, route: HttpRoute) -> None:
        self.policy = policy
        self.route = route
        self.template = parse_template(route.template)
        self._input = cast("Descriptor", policy.input.DESCRIPTOR)
        self._variables = [self._variable(variable) for variable in self.template.variables]
        taken: set[FieldPath] = {variable.field for variable in self.template.variables}
        if route.body not in ("", _WHOLE):
            taken.add((route.body,))
        self._query = QueryReader(self._input, taken, everything_taken=route.body == _WHOLE)
        self._body_field = self._named(self._input, route.body) if route.body not in ("", _WHOLE) else None
        output = cast("Descriptor", policy.output.DESCRIPTOR)
        self._answer_field = self._named(output, route.response_body) if route.response_body else None
        self.takes_body = bool(route.body)
        body_type = (
            self._body_field.message_type if self._body_field is not None else self._input if route.body else None
        )
        self.takes_raw_body = body_type is not None and body_type.full_name == _HTTP_BODY
        answer_type = self._answer_field.message_type if self._answer_field is not None else output
        self.answers_raw_body = answer_type is not None and answer_type.full_name == _HTTP_BODY
        mask = self._input.fields_by_name.get(_MASK)
        self._fills_mask = (
            route.verb == "PATCH"
            and self._body_field is not None
            and mask is not None
            and mask.message_type is FieldMask.DESCRIPTOR
        )
        if self._body_field is not None and not self.takes_raw_body:
            self._read_field = value_reader(self._body_field)

    def request(
        self, segments: list[str], query: str, body: bytes, content_type: str, headers: Mapping[str, tuple[str, str]]
    ) -> Message:
        """The request message.

        Args:
            segments: The path's, still percent-encoded.
            query: The query string without its question mark.
            body: The whole body; empty is the same as ``{}``.
            content_type: Of the body; kept in a HttpBody.
            headers: Fields that headers fill: the field's name to the header's name and value.

        Raises:
            Malformed: Something does not fit; the path says where.
        """
        arguments, mask = self._read_body(body, content_type) if body else ({}, [])
        for field, start, end, read in self._variables:
            value = self._captured(segments, field, start, end, read)
            if not put(arguments, field, value):
                raise Malformed("differs from the one in the path", *self._json_path(field))
        if query:
            self._query.read(query, arguments)
        if mask and _MASK not in arguments:
            arguments[_MASK] = {"paths": mask}
        for name, (header, value) in headers.items():
            if not put(arguments, (name,), value):
                raise Malformed(f"differs from the header {header}", self._input.fields_by_name[name].json_name)
        return self.policy.input(**arguments)

    def answer(self, message: Any) -> tuple[bytes, str]:
        """The body and its content type."""
        body = getattr(message, self._answer_field.name) if self._answer_field is not None else message
        if self.answers_raw_body:
            return body.data, body.content_type or "application/octet-stream"
        if self._answer_field is not None:
            return orjson.dumps(field_writer(self._answer_field)(body)), "application/json"
        return to_json(body), "application/json"

    def _read_body(self, body: bytes, content_type: str) -> tuple[Arguments, list[str]]:
        """The arguments, and the fields that a PATCH names, for a field mask that nobody gave."""
        if self.takes_raw_body:
            raw = {"content_type": content_type, "data": body}
            return (raw if self._body_field is None else {self._body_field.name: raw}), []
        value = parse_json(body)
        if self._body_field is None:
            return reader_of(self._input)(value), []
        if value is None:
            return {}, []
        arguments = {self._body_field.name: self._read_field(value)}
        if not self._fills_mask or type(value) is not dict or self._body_field.message_type is None:
            return arguments, []
        fields = message_reader(self._body_field.message_type).fields()
        return arguments, [fields[key].name for key in value]

    def _captured(self, segments: list[str], field: FieldPath, start: int, end: int | None, read: Any) -> Any:
        try:
            parts = segments[start:end]
            return read(decode_text(parts[0]) if len(parts) == 1 else "/".join(decode_text(part) for part in parts))
        except Malformed as bad:
            raise bad.within(*self._json_path(field)) from None

    def _json_path(self, path: FieldPath) -> list[str]:
        names: list[str] = []
        descriptor: Any = self._input
        for name in path:
            field = descriptor.fields_by_name[name]
            names.append(field.json_name)
            descriptor = field.message_type
        return names

    def _variable(self, variable: Variable) -> tuple[FieldPath, int, int | None, Any]:
        descriptor: Any = self._input
        field = None
        for name in variable.field:
            field = self._named(descriptor, name)
            descriptor = field.message_type
        read = singular_text_reader(field) if field is not None and not field.is_repeated else None
        if read is None:
            raise TemplateError(f"{self.policy.full_name}: {'.'.join(variable.field)} cannot stand in a path")
        return variable.field, variable.start, variable.end, read

    def _named(self, descriptor: Descriptor | None, name: str) -> FieldDescriptor:
        field = descriptor.fields_by_name.get(name) if descriptor is not None else None
        if field is None:
            raise TemplateError(
                f"{self.policy.full_name}: {self.route.template} names the field {name}, which does not exist"
            )
        return field
