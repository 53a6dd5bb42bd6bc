"""The published set of operators: what a mutant changes. Each changes one place of a module; all of them are tried at every place.

=============  ==========================================================================================
name           change
=============  ==========================================================================================
boundary       ``<`` and ``<=``, ``>`` and ``>=`` for each other
comparison     ``<`` for ``>=``, ``==`` for ``!=``, ``in`` for ``not in``, ``is`` for ``is not``, and back
arithmetic     ``+`` for ``-``, ``*`` for ``//``, ``/`` for ``*``, ``%`` for ``//``, ``**`` for ``*``, and back; likewise ``+=``, ...
constant       an integer by one up, by one down; a float doubled; True for False
connective     ``and`` for ``or``, and back
negation       the condition of an ``if``, ``while``, conditional expression or comprehension negated; a ``not`` left out
sign           a unary minus left out
extreme        ``min`` for ``max``, ``any`` for ``all``, ``floor`` for ``ceil``, and back
order          ``sorted`` the other way round; ``reversed`` left out; the key of a sort left out
rounding       ``a // b`` rounded up
removal        a ``continue``, ``break``, ``raise``, augmented assignment or call for its effect left out
result         ``return x`` of a truth value negated; of anything else None
=============  ==========================================================================================

Left out are annotations, docstrings and other texts, decorators, imports, and what only says how a class is made.
"""

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any

Change = tuple[str, ast.AST]
"""The operator's name, and what stands in the node's place."""

_BOUNDARY: dict[type[ast.cmpop], type[ast.cmpop]] = {ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}
_OPPOSITE: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.GtE,
    ast.GtE: ast.Lt,
    ast.Gt: ast.LtE,
    ast.LtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}
_ARITHMETIC: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.FloorDiv,
    ast.FloorDiv: ast.Mult,
    ast.Div: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.LShift: ast.RShift,
    ast.RShift: ast.LShift,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}
_EXTREMES = {"min": "max", "max": "min", "any": "all", "all": "any", "floor": "ceil", "ceil": "floor"}


def changes(node: ast.AST) -> Iterator[Change]:
    """Every change of one node; the node itself stays as it is."""
    for operator in _OPERATORS.get(type(node), ()):
        for name, changed in operator(node):
            yield name, ast.copy_location(changed, node)


def _compare(node: ast.Compare) -> Iterator[Change]:
    for index, operator in enumerate(node.ops):
        for name, table in (("boundary", _BOUNDARY), ("comparison", _OPPOSITE)):
            other = table.get(type(operator))
            if other is not None:
                changed = copy.deepcopy(node)
                changed.ops[index] = other()
                yield name, changed


def _binary(node: ast.BinOp | ast.AugAssign) -> Iterator[Change]:
    other = _ARITHMETIC.get(type(node.op))
    if other is not None and not _is_text(node):
        changed = copy.deepcopy(node)
        changed.op = other()
        yield "arithmetic", changed
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.FloorDiv):
        minus = ast.UnaryOp(
            ast.USub(),
            ast.BinOp(ast.UnaryOp(ast.USub(), copy.deepcopy(node.left)), ast.FloorDiv(), copy.deepcopy(node.right)),
        )
        yield "rounding", minus
    if isinstance(node, ast.AugAssign):
        yield "removal", ast.Pass()


def _is_text(node: ast.BinOp | ast.AugAssign) -> bool:
    parts = (node.left, node.right) if isinstance(node, ast.BinOp) else (node.value,)
    return any(
        isinstance(part, ast.JoinedStr) or (isinstance(part, ast.Constant) and isinstance(part.value, str))
        for part in parts
    )


def _constant(node: ast.Constant) -> Iterator[Change]:
    value: Any = node.value
    if isinstance(value, bool):
        yield "constant", ast.Constant(not value)
    elif isinstance(value, int):
        yield "constant", ast.Constant(value + 1)
        yield "constant", ast.Constant(value - 1)
    elif isinstance(value, float):
        yield "constant", ast.Constant(value * 2 if value else 1.0)


def _connective(node: ast.BoolOp) -> Iterator[Change]:
    changed = copy.deepcopy(node)
    changed.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
    yield "connective", changed


def _condition(node: ast.If | ast.While | ast.IfExp) -> Iterator[Change]:
    if isinstance(node.test, ast.Compare) and len(node.test.ops) == 1:
        return  # that is `comparison`
    changed = copy.deepcopy(node)
    changed.test = _negated(node.test)
    yield "negation", changed


def _comprehension(node: ast.comprehension) -> Iterator[Change]:
    for index, test in enumerate(node.ifs):
        changed = copy.deepcopy(node)
        changed.ifs[index] = _negated(test)
        yield "negation", changed


def _negated(test: ast.expr) -> ast.expr:
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        return copy.deepcopy(test.operand)
    return ast.UnaryOp(ast.Not(), copy.deepcopy(test))


def _unary(node: ast.UnaryOp) -> Iterator[Change]:
    if isinstance(node.op, ast.USub) and not isinstance(node.operand, ast.Constant):
        yield "sign", copy.deepcopy(node.operand)
    elif isinstance(node.op, ast.Not):
        yield "negation", copy.deepcopy(node.operand)


def _call(node: ast.Call) -> Iterator[Change]:
    name = (
        node.func.attr
        if isinstance(node.func, ast.Attribute)
        else node.func.id
        if isinstance(node.func, ast.Name)
        else ""
    )
    if name in _EXTREMES:
        changed = copy.deepcopy(node)
        if isinstance(changed.func, ast.Attribute):
            changed.func.attr = _EXTREMES[name]
        elif isinstance(changed.func, ast.Name):
            changed.func.id = _EXTREMES[name]
        yield "extreme", changed
    if name == "reversed" and len(node.args) == 1:
        yield "order", ast.Call(ast.Name("list", ast.Load()), [copy.deepcopy(node.args[0])], [])
    if name in {"sorted", "sort"}:
        yield "order", _the_other_way(node)
    if name in {"sorted", "sort", "min", "max"} and any(keyword.arg == "key" for keyword in node.keywords):
        changed = copy.deepcopy(node)
        changed.keywords = [keyword for keyword in changed.keywords if keyword.arg != "key"]
        yield "order", changed


def _the_other_way(node: ast.Call) -> ast.Call:
    changed = copy.deepcopy(node)
    for keyword in changed.keywords:
        if keyword.arg == "reverse":
            keyword.value = _negated(keyword.value)
            return changed
    changed.keywords.append(ast.keyword("reverse", ast.Constant(value=True)))
    return changed


def _leave_out(node: ast.AST) -> Iterator[Change]:
    yield "removal", ast.Pass()


def _effect(node: ast.Expr) -> Iterator[Change]:
    if isinstance(node.value, ast.Call):
        yield "removal", ast.Pass()


def _result(node: ast.Return) -> Iterator[Change]:
    value = node.value
    if value is None or (isinstance(value, ast.Constant) and value.value is None):
        return
    if isinstance(value, (ast.Compare, ast.BoolOp)) or (
        isinstance(value, ast.UnaryOp) and isinstance(value.op, ast.Not)
    ):
        yield "result", ast.Return(_negated(value))
    else:
        yield "result", ast.Return(ast.Constant(None))


_OPERATORS: dict[type[ast.AST], tuple[Callable[[Any], Iterator[Change]], ...]] = {
    ast.Compare: (_compare,),
    ast.BinOp: (_binary,),
    ast.AugAssign: (_binary,),
    ast.Constant: (_constant,),
    ast.BoolOp: (_connective,),
    ast.If: (_condition,),
    ast.While: (_condition,),
    ast.IfExp: (_condition,),
    ast.comprehension: (_comprehension,),
    ast.UnaryOp: (_unary,),
    ast.Call: (_call,),
    ast.Continue: (_leave_out,),
    ast.Break: (_leave_out,),
    ast.Raise: (_leave_out,),
    ast.Expr: (_effect,),
    ast.Return: (_result,),
}

OPERATORS = (
    "boundary",
    "comparison",
    "arithmetic",
    "constant",
    "connective",
    "negation",
    "sign",
    "extreme",
    "order",
    "rounding",
    "removal",
    "result",
)
"""Their names, in the order of the table."""
