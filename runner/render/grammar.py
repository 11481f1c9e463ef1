"""How templates are read: Jinja2's grammar, with numbers as written and checks built in."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence

from jinja2 import nodes
from jinja2.lexer import Lexer, Token
from jinja2.visitor import NodeTransformer

from runner.render.mistakes import NoSuch
from runner.render.numbers import Number

_RawToken = tuple[int, str, str]
# Which token ends what another one begins; `raw` has one token for all of its tag.
_ENDS = {
    "block_begin": "block_end",
    "comment_begin": "comment_end",
    "raw_begin": "raw_begin",
    "raw_end": "raw_end",
}
_LINE_END = re.compile(r"[ \t]*(?:\n|\Z)")
_SIGNED = re.compile(r"\{[%#][-+]|[-+][%#]\}")


class OurLexer(Lexer):
    """Keeps the digits of a number, and takes away the lines that hold a tag and nothing else."""

    def wrap(
        self, stream: object, name: str | None = None, filename: str | None = None
    ) -> Iterator[Token]:
        for line, kind, text in stream:  # type: ignore[attr-defined]  # Jinja2's type is narrower
            if kind == "float":
                digits = text.replace("_", "")
                yield Token(line, kind, Number(digits, digits))  # type: ignore[arg-type]  # no str
            else:
                yield from super().wrap([(line, kind, text)], name, filename)

    def tokeniter(
        self,
        source: str,
        name: str | None,
        filename: str | None = None,
        state: str | None = None,
    ) -> Iterator[_RawToken]:
        tokens = super().tokeniter(source, name, filename, state)
        has_lines = "\n" in source and ("{%" in source or "{#" in source)
        return _without_tag_lines(list(tokens)) if has_lines else tokens


def _without_tag_lines(tokens: Sequence[_RawToken]) -> Iterator[_RawToken]:
    """Leave nothing of a line that holds one tag or comment, as Mustache does.

    Tokens have their line numbers already, so these stay right.
    """
    cut_before: set[int] = set()
    cut_after: set[int] = set()
    index = 0
    while index < len(tokens):
        end = _end_of_tag(tokens, index)
        if end is not None and _is_alone(tokens, index, end):
            cut_before.add(index - 1)
            cut_after.add(end + 1)
        index = index + 1 if end is None else end + 1
    for number, (line, kind, text) in enumerate(tokens):
        begin = _line_end(text) if number in cut_after else 0
        end = text.rfind("\n") + 1 if number in cut_before else len(text)
        if kind != "data" or begin < end:
            yield line, kind, text[begin:end] if kind == "data" else text


def _end_of_tag(tokens: Sequence[_RawToken], begin: int) -> int | None:
    """Where a tag or comment ends that begins here; None where none does."""
    wanted = _ENDS.get(tokens[begin][1])
    found = (at for at in range(begin, len(tokens)) if tokens[at][1] == wanted)
    return next(found, None) if wanted else None


def _is_alone(tokens: Sequence[_RawToken], begin: int, end: int) -> bool:
    # What is included stands in that line; and who writes `-` or `+` has said what they want.
    words = (text for _, kind, text in tokens[begin:end] if kind == "name")
    if next(words, "") == "include" or _SIGNED.search(tokens[begin][2] + tokens[end][2]):
        return False
    before = tokens[begin - 1] if begin else (1, "data", "\n")
    after = tokens[end + 1] if end + 1 < len(tokens) else (1, "data", "")
    is_first = begin == 1
    _, line_end, tail = before[2].rpartition("\n")
    starts_line = before[1] == "data" and not tail.strip(" \t") and (line_end or is_first)
    is_last = end + 2 >= len(tokens)
    found = _LINE_END.match(after[2]) if after[1] == "data" else None
    return bool(starts_line and found and (found[0].endswith("\n") or is_last))


def _line_end(text: str) -> int:
    found = _LINE_END.match(text)
    return found.end() if found else 0


class Checks(NodeTransformer):
    """Has the environment look at what a template prints, compares, decides on and goes through."""

    def __init__(
        self,
        filters: Collection[str],
        tests: Collection[str],
        texts: Collection[str],
        filename: str | None,
    ) -> None:
        self._filename = filename
        self._branches = 0
        self._filters = filters
        self._tests = tests
        # The filters that make text of what they are given.
        self._texts = texts

    def visit_Output(self, node: nodes.Output) -> nodes.Node:
        for number, child in enumerate(node.nodes):
            if not isinstance(child, nodes.TemplateData):
                node.nodes[number] = self._shown(child)
        return node

    def visit_Concat(self, node: nodes.Concat) -> nodes.Node:
        node.nodes = [self._shown(child) for child in node.nodes]
        return node

    def visit_Filter(self, node: nodes.Filter) -> nodes.Node:
        if node.name not in self._filters:
            raise NoSuch("filter", node.name, self._filters, node.lineno, self._filename)
        if node.node is not None and node.name in self._texts:
            name, node.node = named(node.node), self._visited(node.node)
            node.node = _call(node, "shown", node.node, nodes.Const(name))
            inner, node.node = node.node, None
            self.generic_visit(node)
            node.node = inner
            return node
        return self.generic_visit(node)

    def visit_Test(self, node: nodes.Test) -> nodes.Node:
        if node.name not in self._tests:
            raise NoSuch("test", node.name, self._tests, node.lineno, self._filename)
        return self.generic_visit(node)

    def visit_Compare(self, node: nodes.Compare) -> nodes.Node:
        values = [self._visited(each) for each in (node.expr, *(op.expr for op in node.ops))]
        signs = nodes.Const(tuple(op.op for op in node.ops))
        return _call(node, "compare", signs, *values)

    def visit_If(self, node: nodes.If) -> nodes.Node:
        # One call for both, because the sandbox makes each of them dear.
        self._branches += 1
        name, where = named(node.test), (self._filename, node.lineno, self._branches)
        self.generic_visit(node)
        node.test = _call(node, "branch", node.test, *map(nodes.Const, (name, *where)))
        return node

    def visit_CondExpr(self, node: nodes.CondExpr) -> nodes.Node:
        name = named(node.test)
        self.generic_visit(node)
        node.test = _call(node, "condition", node.test, nodes.Const(name))
        return node

    def visit_Not(self, node: nodes.Not) -> nodes.Node:
        name, node.node = named(node.node), self._visited(node.node)
        node.node = _call(node, "condition", node.node, nodes.Const(name))
        return node

    def visit_And(self, node: nodes.And) -> nodes.Node:
        return self._either(node)

    def visit_Or(self, node: nodes.Or) -> nodes.Node:
        return self._either(node)

    def visit_For(self, node: nodes.For) -> nodes.Node:
        name, tested = named(node.iter), node.test and named(node.test)
        self.generic_visit(node)
        node.iter = _call(node, "items", node.iter, nodes.Const(name))
        if node.test is not None:
            node.test = _call(node, "condition", node.test, nodes.Const(tested))
        return node

    def visit_Const(self, node: nodes.Const) -> nodes.Node:
        if not isinstance(node.value, Number):
            return node
        return _call(node, "number", nodes.Const(str(node.value)))

    def _either(self, node: nodes.And | nodes.Or) -> nodes.Node:
        # What stands on the right is the result, and who decides on that looks at it.
        name = named(node.left)
        self.generic_visit(node)
        node.left = _call(node, "condition", node.left, nodes.Const(name))
        return node

    def _shown(self, node: nodes.Expr) -> nodes.Expr:
        return _call(node, "shown", self._visited(node), nodes.Const(named(node)))

    def _visited(self, node: nodes.Expr) -> nodes.Expr:
        visited: nodes.Expr = self.visit(node)
        return visited


def _call(node: nodes.Node, function: str, *args: nodes.Node) -> nodes.Call:
    """Call one of the environment's own functions."""
    callee = nodes.EnvironmentAttribute(function)
    made = nodes.Call(callee, list(args), [], None, None, lineno=node.lineno)
    return made.set_environment(node.environment)  # type: ignore[return-value,arg-type]  # itself


def named(node: nodes.Node) -> str | None:
    """What to call a value in a complaint: `row.name`; None for a text of the template's own."""
    if isinstance(node, nodes.Name):
        return node.name
    if isinstance(node, nodes.Getattr):
        return f"{named(node.node) or 'this'}.{node.attr}"
    if isinstance(node, nodes.Getitem) and isinstance(node.arg, nodes.Const):
        return f"{named(node.node) or 'this'}.{node.arg.value}"
    if isinstance(node, nodes.Filter) and node.node is not None:
        return named(node.node)
    literals = [each.value for each in node.find_all(nodes.Const)]
    literals += [node.value] if isinstance(node, nodes.Const) else []
    if any(isinstance(each, str) and "{" in each for each in literals):
        return None
    return "this"
