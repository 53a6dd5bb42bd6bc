"""Finds the route of a path: literals before variables, one segment before the rest, and 405 told apart from 404."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from tricorn.gateway.transcode.template import ONE, REST, Template

R = TypeVar("R")
_ANSWERED_BY_OTHERS = frozenset({"HEAD", "OPTIONS"})


class RouteConflictError(ValueError):
    """Two methods claim the same verb and path."""


@dataclass(slots=True)
class Leaf(Generic[R]):
    """What is at one path: routes by HTTP method."""

    routes: dict[str, R] = field(default_factory=dict)


@dataclass(slots=True)
class _Node(Generic[R]):
    literals: dict[str, "_Node[R]"] = field(default_factory=dict)
    one: "_Node[R] | None" = None
    leaf: Leaf[R] | None = None
    rest: Leaf[R] | None = None


class Router(Generic[R]):
    """Routes by template. A custom verb (``:cancel``) is part of the path, so each has a tree of its own."""

    def __init__(self) -> None:
        self._trees: dict[str, _Node[R]] = {"": _Node()}
        self._fixed: dict[str, Leaf[R]] = {}

    def add(self, method: str, template: Template, route: R) -> None:
        """Adds a route.

        Raises:
            RouteConflictError: The path has this method already.
        """
        node = self._trees.setdefault(template.verb, _Node())
        for segment in template.segments:
            if segment == REST:
                break
            if segment == ONE:
                node.one = node.one or _Node()
                node = node.one
            else:
                node = node.literals.setdefault(segment, _Node())
        if template.segments[-1] == REST:
            leaf = node.rest = node.rest or Leaf()
        else:
            leaf = node.leaf = node.leaf or Leaf()
        path = "/" + "/".join(template.segments) + (f":{template.verb}" if template.verb else "")
        if method in leaf.routes:
            raise RouteConflictError(f"{method} {path} is claimed twice")
        leaf.routes[method] = route
        if ONE not in template.segments and REST not in template.segments:
            self._fixed[path] = leaf

    def find(self, path: str, method: str) -> tuple[Leaf[R], list[str]] | None:
        """What is at a path as it was sent (still percent-encoded), and its segments without the verb; None: nothing is
        there. A value may hold a colon: it is taken for a custom verb that nobody has when the method does not fit.
        """
        fixed = self._fixed.get(path)
        if fixed is not None:
            return fixed, path[1:].split("/")
        segments = path[1:].split("/")
        name, colon, verb = segments[-1].rpartition(":")
        if colon and verb in self._trees:
            bare = [*segments[:-1], name]
            leaf = _walk(self._trees[verb], bare, 0)
            if leaf is not None:
                return leaf, bare
        leaf = _walk(self._trees[""], segments, 0)
        if leaf is None or (colon and method not in leaf.routes and method not in _ANSWERED_BY_OTHERS):
            return None
        return leaf, segments


def _walk(node: _Node[R], segments: list[str], at: int) -> Leaf[R] | None:
    if at == len(segments):
        return node.leaf
    segment = segments[at]
    below = node.literals.get(segment)
    if below is not None:
        found = _walk(below, segments, at + 1)
        if found is not None:
            return found
    if node.one is not None and segment:
        found = _walk(node.one, segments, at + 1)
        if found is not None:
            return found
    return node.rest
