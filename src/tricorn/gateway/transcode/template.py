"""Path templates of google.api.http: ``/v1/{name=shelves/*/books/**}:publish``."""

import re
from dataclasses import dataclass

_VARIABLE = re.compile(r"\{([a-zA-Z_][a-zA-Z0-9_.]*)(?:=([^{}]*))?\}")
_LITERAL = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=@]|%[0-9A-Fa-f]{2})+")
_VERB = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")

ONE = "*"
REST = "**"


class TemplateError(ValueError):
    """A template that google.api.http does not allow."""


@dataclass(frozen=True, slots=True)
class Variable:
    """A field (its path of proto names) and the segments it captures, from ``start`` up to ``end``; None: to the last
    one.
    """

    field: tuple[str, ...]
    start: int
    end: int | None


@dataclass(frozen=True, slots=True)
class Template:
    """A template in its parts: segments (literals, `ONE`, `REST`), the variables over them, and the custom verb (""
    when there is none).
    """

    segments: tuple[str, ...]
    variables: tuple[Variable, ...]
    verb: str


def parse_template(text: str) -> Template:
    """Takes a template apart.

    Raises:
        TemplateError: It is not one; the text says why.
    """
    if not text.startswith("/"):
        raise TemplateError(f"{text}: a path begins with /")
    segments: list[str] = []
    variables: list[Variable] = []
    position, verb = 1, ""
    while True:
        found = _VARIABLE.match(text, position)
        start = len(segments)
        if found:
            inner = (found[2] or ONE).split("/")
            segments += inner
            variables.append(Variable(tuple(found[1].split(".")), start, None if inner[-1] == REST else len(segments)))
            position = found.end()
        else:
            end = min((at for at in (text.find("/", position), text.find(":", position)) if at >= 0), default=len(text))
            segments.append(text[position:end])
            position = end
        if position == len(text):
            break
        if text[position] == ":":
            verb = text[position + 1 :]
            break
        if text[position] != "/":
            raise TemplateError(f"{text}: a variable fills whole segments")
        position += 1
    _check(text, segments, variables, verb)
    return Template(tuple(segments), tuple(variables), verb)


def _check(text: str, segments: list[str], variables: list[Variable], verb: str) -> None:
    for index, segment in enumerate(segments):
        if segment == REST and index != len(segments) - 1:
            raise TemplateError(f"{text}: ** stands last")
        if segment not in (ONE, REST) and not _LITERAL.fullmatch(segment) and text != "/":
            raise TemplateError(f"{text}: {segment!r} is no segment")
    if ":" in text and not text.endswith("}") and verb and not _VERB.fullmatch(verb):
        raise TemplateError(f"{text}: {verb!r} is no verb")
    fields = [variable.field for variable in variables]
    if len(set(fields)) != len(fields):
        raise TemplateError(f"{text}: a field stands twice")
