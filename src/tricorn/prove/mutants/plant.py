"""Mutants: every place of a module, with every change that an operator makes there."""

import ast
import copy
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tricorn.prove.mutants.operators import changes

_LONGEST = 90


@dataclass(frozen=True, slots=True)
class Mutant:
    """One fault in one module.

    ``number`` is its place among all mutants of the module's text as it is now; ``name`` says what was changed where, without a line number, so
    that it stays the same when something else in the file moves.
    """

    module: str
    path: Path
    number: int
    line: int
    function: str
    in_function: bool
    operator: str
    before: str
    after: str
    name: str


def mutants_of(module: str, path: Path) -> list[Mutant]:
    """All mutants of a module, in the order of its text."""
    found: list[Mutant] = []
    seen: Counter[str] = Counter()
    tree = ast.parse(path.read_bytes())
    classes = {name for name, node in _definitions(tree, "") if isinstance(node, ast.ClassDef)}
    for number, (function, node, operator, changed) in enumerate(_all_changes(tree)):
        before, after = _text(node), _text(changed)
        name = f"{module}:{function or '<module>'}: {operator}: {before} -> {after}"
        seen[name] += 1
        if seen[name] > 1:
            name += f" (#{seen[name]})"
        line = getattr(node, "lineno", 0) or getattr(getattr(node, "target", None), "lineno", 0)
        inside = bool(function) and function not in classes
        found.append(Mutant(module, path, number, line, function, inside, operator, before, after, name))
    return found


def _definitions(node: ast.AST, outer: str) -> Iterator[tuple[str, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        inner = outer
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            inner = f"{outer}.{child.name}" if outer else child.name
            yield inner, child
        yield from _definitions(child, inner)


def planted(path: Path, number: int) -> ast.Module:
    """The tree of a file with its mutant of that number."""
    tree = ast.parse(path.read_bytes())
    for index, (_, node, _, changed) in enumerate(_all_changes(tree)):
        if index == number:
            _Replaced(node, changed).visit(tree)
            return ast.fix_missing_locations(tree)
    raise IndexError(f"{path} has no mutant {number}")


class _Replaced(ast.NodeTransformer):
    def __init__(self, node: ast.AST, by: ast.AST) -> None:
        self._node = node
        self._by = by

    def visit(self, node: ast.AST) -> ast.AST:
        return copy.deepcopy(self._by) if node is self._node else self.generic_visit(node)


def _all_changes(tree: ast.Module) -> Iterator[tuple[str, ast.AST, str, ast.AST]]:
    for function, node in _places(tree, ""):
        for operator, changed in changes(node):
            yield function, node, operator, changed


def _places(node: ast.AST, function: str) -> Iterator[tuple[str, ast.AST]]:
    """Every node that may be changed, with the qualified name of the function or class that it is in."""
    for field, value in ast.iter_fields(node):
        if field in _LEFT_OUT or (field == "keywords" and isinstance(node, ast.ClassDef)):
            continue
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or _is_no_place(child):
                continue
            inner = function
            if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                inner = f"{function}.{child.name}" if function else child.name
            else:
                yield function, child
            yield from _places(child, inner)


_LEFT_OUT = {"annotation", "returns", "decorator_list", "bases", "type_comment", "type_params", "op", "ops", "ctx"}


def _is_no_place(node: ast.AST) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom, ast.JoinedStr)):
        return True
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return True  # a docstring
    # How a dataclass makes its fields.
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"field", "TypeVar", "cast"}
    )


def _text(node: ast.AST) -> str:
    if isinstance(node, (ast.If, ast.While)):
        return f"{type(node).__name__.lower()} {_text(node.test)}:"
    if isinstance(node, ast.comprehension):
        return " ".join(f"if {_text(test)}" for test in node.ifs)
    text = " ".join(
        re.sub(r"\s+", " ", line) for line in ast.unparse(ast.fix_missing_locations(copy.deepcopy(node))).splitlines()
    )
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]} ... {text[-15:]}"
