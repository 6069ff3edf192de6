"""The query language: conditions on answers and on what was measured, joined by `and`, `or`, `not` and parentheses.

    traffic_light.state=yellow and cone.count>=3-5 and not (speed_mps<1 or turning)

A condition is a name, one of `=` `!=` `<` `<=` `>` `>=`, and a value, in double quotes where it holds a space. A
field's value is an answer or any label that its task can read (`some`, `7`, `"25 mph"`); `<` and its like take answers
that are numbers. A word (`standing`) is short for a condition. `not` binds closest, then `and`, then `or`.
"""

import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import NoReturn

from drivelet.core.artifacts import Field
from drivelet.core.errors import InputError

CHANNELS = ("speed_mps", "yaw_rate_radps", "acceleration_mps2", "t", "luma")
"""What is measured of a frame: the columns of `Frame`, and the mean grey level of its picture (0..255)."""
WORDS = {
    "standing": "speed_mps>-0.5 and speed_mps<0.5",
    "moving": "speed_mps<=-0.5 or speed_mps>=0.5",
    "braking": "acceleration_mps2<-2",
    "turning": "yaw_rate_radps<-0.15 or yaw_rate_radps>0.15",
    "dark": "luma<40",
}
"""Words that stand for a measurement; what is not measured has no word."""
OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip
INVERSE = {"=": "!=", "!=": "=", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}
DEEPEST = 40
LONGEST = 60
"""Parentheses and `not`s within each other, and characters of a value."""

_SPACE = re.compile(r"\s*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")
_OPERATOR = re.compile(r"!=|<=|>=|=|<|>")
_VALUE = re.compile(r'"([^"]*)"|([^\s()"]+)')
_NUMBER = re.compile(r"(>?)(\d+)(?:-\d+)?", re.ASCII)


@dataclass(frozen=True)
class Answers:
    """The field's answer is one of these, in the order of its choices."""

    field: str
    answers: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.field}={_quoted(answer)}" for answer in self.answers]
        return parts[0] if len(parts) == 1 else f"({' or '.join(parts)})"


@dataclass(frozen=True)
class Measured:
    """The channel compares so with a number; a frame that lacks the channel never does."""

    channel: str
    op: str
    value: float

    def __str__(self) -> str:
        return f"{self.channel}{self.op}{self.value!r}"


@dataclass(frozen=True)
class AllOf:
    """Every part holds."""

    parts: tuple["Query", ...]

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, AnyOf) else str(part) for part in self.parts)


@dataclass(frozen=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple["Query", ...]

    def __str__(self) -> str:
        return " or ".join(map(str, self.parts))


Query = Answers | Measured | AllOf | AnyOf


def parse(text: str, fields: Mapping[str, Field]) -> Query:
    """Read a query; `parse(str(query))` gives the query back.

    `not` is moved down to the conditions, and conditions on one field that stand beside each other become one set of
    answers, so that alternatives of one field exclude each other as they do on the road.

    Raises:
        InputError: no query; the message shows the place.
    """
    reader = _Reader(text, fields)
    query = reader.alternatives(depth=0)
    if not reader.at_end():
        reader.fail("expected `and`, `or` or the end")
    return query


def leaves(query: Query) -> list[Answers | Measured]:
    """Return the conditions of a query, in order."""
    if isinstance(query, Answers | Measured):
        return [query]
    return [leaf for part in query.parts for leaf in leaves(part)]


class _Reader:
    """A position in the text, and one method a rule of the grammar (recursive descent)."""

    def __init__(self, text: str, fields: Mapping[str, Field]) -> None:
        self.text = text
        self.fields = fields
        self.place = 0

    def fail(self, what: str, *, at: int | None = None) -> NoReturn:
        at = self.skip() if at is None else at
        where = f"at {self.text[at : at + 30]!r}" if self.text[at:].strip() else "at its end"
        raise InputError(f"query {self.text[:200]!r}, character {at + 1} ({where}): {what}")

    def skip(self) -> int:
        space = _SPACE.match(self.text, self.place)
        self.place = space.end() if space else self.place
        return self.place

    def at_end(self) -> bool:
        return self.skip() == len(self.text)

    def take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self.text, self.skip())
        self.place = found.end() if found else self.place
        return found

    def keyword(self, word: str) -> bool:
        found = _NAME.match(self.text, self.skip())
        if found is None or found.group().lower() != word:
            return False
        self.place = found.end()
        return True

    def symbol(self, symbol: str) -> bool:
        if not self.text.startswith(symbol, self.skip()):
            return False
        self.place += len(symbol)
        return True

    def alternatives(self, *, depth: int, negated: bool = False) -> Query:
        return self.joined("or", self.conjunction, depth=depth, negated=negated)

    def conjunction(self, *, depth: int, negated: bool) -> Query:
        return self.joined("and", self.part, depth=depth, negated=negated)

    def joined(self, word: str, rule: Callable[..., Query], *, depth: int, negated: bool) -> Query:
        start = self.skip()
        parts = [rule(depth=depth, negated=negated)]
        while self.keyword(word):
            parts.append(rule(depth=depth, negated=negated))
        # De Morgan: below a `not`, `or` means all of the negated parts.
        return self.folded(parts, every=(word == "and") != negated, at=start)

    def part(self, *, depth: int, negated: bool) -> Query:
        if depth > DEEPEST:
            self.fail(f"nested deeper than {DEEPEST}; write it plainer")
        if self.keyword("not"):
            return self.part(depth=depth + 1, negated=not negated)
        if self.symbol("("):
            inner = self.alternatives(depth=depth + 1, negated=negated)
            if not self.symbol(")"):
                self.fail("expected `)`")
            return inner
        return self.condition(negated=negated)

    def condition(self, *, negated: bool) -> Query:
        start = self.skip()
        name = self.take(_NAME)
        if name is None or name.group().lower() in ("and", "or"):
            self.fail("expected a condition, such as traffic_light.state=red", at=start)
        if name.group() in WORDS:
            word = _Reader(WORDS[name.group()], self.fields)
            return word.alternatives(depth=0, negated=negated)
        if name.group() not in self.fields and name.group() not in CHANNELS:
            self.fail(self.no_such_name(name.group()), at=start)
        op = self.take(_OPERATOR)
        if op is None:
            self.fail(f"expected one of {' '.join(OPERATORS)} after {name.group()}")
        at = self.skip()
        value = self.take(_VALUE)
        if value is None:
            self.fail(f"expected a value after {name.group()}{op.group()}", at=at)
        word = value.group(1) if value.group(1) is not None else value.group(2)
        if name.group() in self.fields:
            return self.on_field(self.fields[name.group()], op.group(), word, at, negated)
        return self.on_channel(name.group(), op.group(), word, at, negated)

    def no_such_name(self, name: str) -> str:
        known = [*self.fields, *CHANNELS, *WORDS]
        near = get_close_matches(name, known, n=1)
        return f"nothing is known as {name!r}; " + (
            f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
        )

    def on_channel(self, name: str, op: str, word: str, at: int, negated: bool) -> Query:
        try:
            number = float(word)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            self.fail(f"{name} is compared with a number, which {word!r} is not", at=at)
        return Measured(name, INVERSE[op] if negated else op, number)

    def on_field(self, field: Field, op: str, word: str, at: int, negated: bool) -> Query:
        allowed = field.parse(word) if len(word) <= LONGEST else frozenset[str]()
        if not allowed:
            self.fail(f"{word!r} is no answer of {field.name}; known: {', '.join(field.choices)}", at=at)
        inside = allowed if op in ("=", "!=") else self.compared(field, op, allowed, at)
        keep = (op == "!=") == negated
        return self.checked(field.name, [c for c in field.choices if (c in inside) == keep], at)

    def compared(self, field: Field, op: str, allowed: frozenset[str], at: int) -> frozenset[str]:
        ranks = {answer: rank for answer in field.answers if (rank := _rank(answer)) is not None}
        if len(ranks) < 2 or not allowed <= ranks.keys():
            self.fail(f"{op} needs answers that are numbers; write {field.name}=... or !=", at=at)
        edge = (min if op in ("<", ">=") else max)(ranks[answer] for answer in allowed)
        return frozenset(answer for answer, rank in ranks.items() if OPERATORS[op](rank, edge))

    def checked(self, name: str, answers: Sequence[str], at: int) -> Answers:
        if not answers:
            self.fail(f"no answer of {name} is left; a frame has one answer", at=at)
        return Answers(name, tuple(answers))

    def folded(self, parts: Sequence[Query], *, every: bool, at: int) -> Query:
        """Join parts: like joins are flattened, and the sets of one field united (or intersected)."""
        kind = AllOf if every else AnyOf
        flat = [leaf for part in parts for leaf in (part.parts if isinstance(part, kind) else (part,))]
        sets: dict[str, frozenset[str]] = {}
        for part in flat:
            if isinstance(part, Answers):
                mine = frozenset(part.answers)
                before = sets.get(part.field, mine)
                sets[part.field] = before & mine if every else before | mine
        joined: dict[Query, None] = {}
        for part in flat:
            if isinstance(part, Answers):
                order = self.fields[part.field].choices
                part = self.checked(part.field, [c for c in order if c in sets[part.field]], at)
            joined[part] = None
        return next(iter(joined)) if len(joined) == 1 else kind(tuple(joined))


def _rank(answer: str) -> int | None:
    number = _NUMBER.fullmatch(answer)
    return int(number.group(2)) + bool(number.group(1)) if number else None


def _quoted(answer: str) -> str:
    return answer if _VALUE.fullmatch(answer) else f'"{answer}"'
