"""The grammar of filter expressions: text into a tree, and a tree into its canonical text; nothing is evaluated here.

::

    condition  := both ("|" both)*                       also "||", "or"
    both       := negation ("&" negation)*               also "&&", "and"
    negation   := "!" negation | comparison              also "not"
    comparison := sum (("<" | "<=" | ">" | ">=" | "==" | "!=") sum)*     also "=" for "=="
    sum        := product (("+" | "-") product)*
    product    := sign (("*" | "/") sign)*
    sign       := "-" sign | "+" sign | power
    power      := atom (("^" | "**") ["-"] NUMBER)?
    atom       := NUMBER [UNIT] | COLUMN | FUNCTION "(" sum ")" | "(" condition ")"

A column is a name, or any text in double quotes or backticks. Words may be in capitals.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NoReturn

from napari_subpixel.errors import FilterError, suggest

#: Units that may follow a number, and the canonical one with what the number is multiplied by.
UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("nm", "nanometer", "nanometers", "nanometre", "nanometres"), ("nm", 1.0)),
    **dict.fromkeys(("um", "\xb5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), ("nm", 1000.0)),
    **dict.fromkeys(("px", "pix", "pixel", "pixels"), ("px", 1.0)),
    **dict.fromkeys(("photon", "photons", "ph"), ("photon", 1.0)),
    **dict.fromkeys(("frame", "frames"), ("frame", 1.0)),
}
#: Functions of each row.
ROW_FUNCTIONS = ("abs", "sqrt")
#: Functions of all rows of the table, which give one number; rows without a value do not count.
TABLE_FUNCTIONS = ("mean", "median", "std", "min", "max")
#: Conditions may be nested this deeply.
MAX_DEPTH = 60
#: A sum or a product has at most this many terms.
MAX_TERMS = 200
#: An expression has at most this many characters.
MAX_LENGTH = 10_000
#: What the tokens look like, in the order in which they are tried.
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[^\W\d]\w*)"
    r"|(?P<quoted>\"[^\"]+\"|`[^`]+`)"
    r"|(?P<operator>&&|\|\||<=|>=|==|!=|\*\*|[<>=!&|()+\-*/^\u2264\u2265\u2260])"
    r"|(?P<end>$)"
    r"|(?P<wrong>.))",
    re.DOTALL,
)
#: Other spellings of operators.
_SPELLINGS = {"&&": "&", "||": "|", "=": "==", "**": "^", "and": "&", "or": "|", "not": "!"}
_SPELLINGS |= {"\u2264": "<=", "\u2265": ">=", "\u2260": "!="}
_COMPARISONS = ("<", "<=", ">", ">=", "==", "!=")
#: How tightly each kind of node binds.
_CONDITION, _BOTH, _NEGATION, _COMPARISON, _SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(9)


@dataclass(frozen=True)
class Number:
    """A number, with its canonical unit or none."""

    value: float
    unit: str
    start: int


@dataclass(frozen=True)
class Column:
    """A column by the name that was written."""

    name: str
    start: int


@dataclass(frozen=True)
class Sign:
    """The negative of a quantity."""

    operand: Quantity
    start: int


@dataclass(frozen=True)
class Arithmetic:
    """The sum, difference, product or quotient of two quantities."""

    operator: str
    left: Quantity
    right: Quantity
    start: int


@dataclass(frozen=True)
class Power:
    """A quantity to the power of a number."""

    base: Quantity
    exponent: float
    start: int


@dataclass(frozen=True)
class Function:
    """A function of a quantity."""

    name: str
    argument: Quantity
    start: int


@dataclass(frozen=True)
class Comparison:
    """A chain of comparisons: as many operators as there are operands, less one."""

    operands: tuple[Quantity, ...]
    operators: tuple[str, ...]
    start: int


@dataclass(frozen=True)
class Not:
    """The negation of a condition."""

    operand: Condition
    start: int


@dataclass(frozen=True)
class Logical:
    """Conditions joined by "&" or by "|"."""

    operator: str
    operands: tuple[Condition, ...]
    start: int


Quantity = Number | Column | Sign | Arithmetic | Power | Function
Condition = Comparison | Not | Logical
Node = Quantity | Condition


@dataclass(frozen=True)
class _Token:
    kind: str
    text: str
    start: int


def parse(text: str) -> Condition:
    """Return the condition that an expression states.

    Parameters
    ----------
    text : str

    Returns
    -------
    Comparison, Not or Logical

    Raises
    ------
    FilterError
        If it is none; the message has ``^`` in front of the place of the mistake.

    Examples
    --------
    >>> to_text(parse("NOT (10 < x and x<20nm) || frame = 3"))
    '!(10 < x & x < 20 nm) | frame == 3'
    """
    if len(text) > MAX_LENGTH:
        raise FilterError(f"a filter has at most {MAX_LENGTH:,} characters, got {len(text):,}")
    return _Parser(text).whole()


def to_text(node: Node) -> str:
    """Return the canonical text of a tree; parsing it gives the same tree, but for where its parts start."""
    return _text(node, _CONDITION)


def columns_of(node: Node) -> Iterator[Column]:
    """Yield every column that a tree names, as often as it does."""
    if isinstance(node, Column):
        yield node
    for part in parts_of(node):
        yield from columns_of(part)


def numbers_of(node: Node) -> Iterator[Number]:
    """Yield every number in a tree."""
    if isinstance(node, Number):
        yield node
    for part in parts_of(node):
        yield from numbers_of(part)


def parts_of(node: Node) -> tuple[Node, ...]:
    """Return the nodes right below one."""
    if isinstance(node, Sign | Not):
        return (node.operand,)
    if isinstance(node, Arithmetic):
        return node.left, node.right
    if isinstance(node, Power):
        return (node.base,)
    if isinstance(node, Function):
        return (node.argument,)
    if isinstance(node, Comparison | Logical):
        return node.operands
    return ()


def mistake(text: str, place: int, what: str) -> str:
    """Return a message on one line, with ``^`` in front of the place of the mistake."""
    marked = " ".join(f"{text[:place]}^{text[place:]}".split())
    return f"filter {marked!r}: {what}"


class _Parser:
    """A recursive descent through the tokens of one expression."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.next = 0
        self.depth = 0

    def _tokens(self) -> Iterator[_Token]:
        place = 0
        while True:
            match = _TOKEN.match(self.text, place)
            assert match is not None  # any character is a token
            assert match.lastgroup is not None
            kind, start = match.lastgroup, match.start(match.lastgroup)
            text = match[kind]
            if kind == "wrong":
                heading = ": a heading with its unit needs double quotes" if text == "[" else ""
                self.fail(start, f"unexpected {text!r}{heading}")
            if kind == "name" and text.lower() in _SPELLINGS:
                kind = "operator"
            if kind == "operator":
                text = _SPELLINGS.get(text.lower(), text)
            yield _Token(kind, text, start)
            if kind == "end":
                return
            place = match.end()

    def fail(self, place: int, what: str) -> NoReturn:
        raise FilterError(mistake(self.text, place, what))

    @property
    def token(self) -> _Token:
        return self.tokens[self.next]

    def taken(self, *operators: str) -> _Token | None:
        """Return the next token and go past it, if it is one of these operators."""
        token = self.token
        if token.kind != "operator" or token.text not in operators:
            return None
        self.next += 1
        return token

    def whole(self) -> Condition:
        if self.token.kind == "end":
            raise FilterError("the filter is empty; expected a comparison such as 'photons > 500'")
        node = self.condition()
        if self.token.kind != "end":
            self.fail(self.token.start, f"unexpected {self.token.text!r}, expected '&', '|' or the end")
        condition = self.as_condition(node)
        if next(columns_of(condition), None) is None:
            self.fail(0, "names no column")
        return condition

    def as_condition(self, node: Node) -> Condition:
        if not isinstance(node, Condition):
            self.fail(node.start, "expected a comparison, such as 'photons > 500', got a quantity alone")
        return node

    def as_quantity(self, node: Node) -> Quantity:
        if isinstance(node, Condition):
            self.fail(node.start, "expected a quantity, got a comparison")
        return node

    def condition(self) -> Node:
        return self.joined("|", self.both)

    def both(self) -> Node:
        return self.joined("&", self.negation)

    def joined(self, operator: str, operand: Callable[[], Node]) -> Node:
        """Read operands that an operator joins; without it, the one operand as it is."""
        first = operand()
        conditions = [first]
        while self.taken(operator):
            conditions.append(operand())
        if len(conditions) == 1:
            return first
        flat: list[Condition] = []
        for node in map(self.as_condition, conditions):
            flat += node.operands if isinstance(node, Logical) and node.operator == operator else (node,)
        return Logical(operator, tuple(flat), first.start)

    def negation(self) -> Node:
        token = self.taken("!")
        if token is None:
            return self.comparison()
        with self.deeper(token):
            return Not(self.as_condition(self.negation()), token.start)

    def comparison(self) -> Node:
        first = self.sum()
        operands, operators = [first], []
        while (token := self.taken(*_COMPARISONS)) is not None:
            operators.append(token.text)
            operands.append(self.sum())
        if not operators:
            return first
        return Comparison(tuple(map(self.as_quantity, operands)), tuple(operators), first.start)

    def sum(self) -> Node:
        return self.arithmetic(("+", "-"), self.product)

    def product(self) -> Node:
        return self.arithmetic(("*", "/"), self.sign)

    def arithmetic(self, operators: tuple[str, ...], operand: Callable[[], Node]) -> Node:
        node, terms = operand(), 1
        while (token := self.taken(*operators)) is not None:
            terms += 1
            if terms > MAX_TERMS:
                self.fail(token.start, f"more than {MAX_TERMS} terms")
            node = Arithmetic(token.text, self.as_quantity(node), self.as_quantity(operand()), node.start)
        return node

    def sign(self) -> Node:
        token = self.taken("-", "+")
        if token is None:
            return self.power()
        with self.deeper(token):
            operand = self.as_quantity(self.sign())
        return operand if token.text == "+" else Sign(operand, token.start)

    def power(self) -> Node:
        base = self.atom()
        if self.taken("^") is None:
            return base
        negative = self.taken("-") is not None
        token = self.token
        if token.kind != "number":
            self.fail(token.start, "the exponent of a power must be a number")
        self.next += 1
        return Power(self.as_quantity(base), -float(token.text) if negative else float(token.text), base.start)

    def atom(self) -> Node:
        token = self.token
        self.next += token.kind != "end"
        if token.kind == "number":
            return self.number(token)
        if token.kind == "quoted":
            return Column(token.text[1:-1], token.start)
        if token.kind == "name":
            is_call = self.token.kind == "operator" and self.token.text == "("
            return self.function(token) if is_call else Column(token.text, token.start)
        if token.kind == "operator" and token.text == "(":
            with self.deeper(token):
                node = self.condition()
            self.closing(token)
            return node
        if token.kind == "end":
            self.fail(token.start, "ends where a column or a number is expected")
        self.fail(token.start, f"unexpected {token.text!r}, expected a column or a number")

    def number(self, token: _Token) -> Number:
        value, unit = float(token.text), ""
        if value == float("inf"):
            self.fail(token.start, "the number is too large")
        if self.token.kind == "name":
            name = self.token.text
            known = UNITS.get(name) or UNITS.get(name.lower())
            if known is None:
                self.fail(self.token.start, f"unknown unit {name!r}{suggest(name, UNITS)}; there are nm, um, px")
            unit, factor = known
            value *= factor
            self.next += 1
        return Number(value, unit, token.start)

    def function(self, token: _Token) -> Node:
        name = token.text.lower()
        known = (*ROW_FUNCTIONS, *TABLE_FUNCTIONS)
        if name not in known:
            self.fail(
                token.start, f"unknown function {token.text!r}{suggest(name, known)}; there are {', '.join(known)}"
            )
        opened = self.token
        self.next += 1
        with self.deeper(opened):
            argument = self.as_quantity(self.sum())
        self.closing(opened)
        return Function(name, argument, token.start)

    def closing(self, opened: _Token) -> None:
        if self.taken(")") is None:
            ends = self.token.kind == "end"
            self.fail(
                opened.start if ends else self.token.start, "this '(' is never closed" if ends else "expected ')'"
            )

    def deeper(self, token: _Token) -> _Depth:
        if self.depth >= MAX_DEPTH:
            self.fail(token.start, f"more than {MAX_DEPTH} levels deep")
        return _Depth(self)


class _Depth:
    """Counts how deep a parser is."""

    def __init__(self, parser: _Parser) -> None:
        self.parser = parser

    def __enter__(self) -> None:
        self.parser.depth += 1

    def __exit__(self, *_: object) -> None:
        self.parser.depth -= 1


def _text(node: Node, at_least: int) -> str:
    """Return the text of a node, in parentheses where it binds less tightly than asked for."""
    text, binds = _bare_text(node)
    return text if binds >= at_least else f"({text})"


def _bare_text(node: Node) -> tuple[str, int]:
    if isinstance(node, Number):
        return f"{number_text(node.value)} {node.unit}".rstrip(), _ATOM
    if isinstance(node, Column):
        return _name_text(node.name), _ATOM
    if isinstance(node, Sign):
        return f"-{_text(node.operand, _SIGN)}", _SIGN
    if isinstance(node, Arithmetic):
        binds = _SUM if node.operator in "+-" else _PRODUCT
        return f"{_text(node.left, binds)} {node.operator} {_text(node.right, binds + 1)}", binds
    if isinstance(node, Power):
        return f"{_text(node.base, _ATOM)}^{number_text(node.exponent)}", _POWER
    if isinstance(node, Function):
        return f"{node.name}({_text(node.argument, _SUM)})", _ATOM
    if isinstance(node, Comparison):
        texts = [_text(operand, _SUM) for operand in node.operands]
        rest = (f" {operator} {text}" for operator, text in zip(node.operators, texts[1:], strict=True))
        return texts[0] + "".join(rest), _COMPARISON
    if isinstance(node, Not):
        return f"!{_text(node.operand, _ATOM)}", _NEGATION
    binds = _CONDITION if node.operator == "|" else _BOTH
    return f" {node.operator} ".join(_text(operand, binds + 1) for operand in node.operands), binds


def _name_text(name: str) -> str:
    if name.isidentifier() and name.lower() not in _SPELLINGS:
        return name
    return f"`{name}`" if '"' in name else f'"{name}"'


def number_text(value: float) -> str:
    """Return the shortest text that reads as exactly this number."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(float(value))
