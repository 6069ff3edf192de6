"""Which of the closed answers a reply gives, in whatever dress models put it."""

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple, cast

QUOTES = "\"'`*_\u201c\u201d\u2018\u2019\u00ab\u00bb"
OPENING, CLOSING = QUOTES + "([{", QUOTES + ")]}.!,;:"
ENDS = CLOSING + " \t\r\n"
ANSWER_KEYS = ("answer", "final_answer", "label", "state", "value", "result", "choice", "prediction", "response")

LONGEST = 20_000
"""Characters at the end of a reply that are looked at: an answer that stands before so many is none."""

_THOUGHT_END = re.compile(r"</\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_THOUGHT = re.compile(r"<\s*(?:think|thinking|thought|reasoning)\s*>", re.IGNORECASE)
_FENCE = re.compile(r"```(?:[\w-]*[ \t]*\n)?(.*?)```", re.DOTALL)
_TAGGED = re.compile(r"<answer>(.*?)</answer>|\\boxed\{(?:\\text\{)?([^{}]*)\}", re.DOTALL | re.IGNORECASE)
_OBJECT = re.compile(r"\{[^{}]*\}")
_LINE = re.compile(r"[^\n]+")
_DRESS = re.escape(QUOTES)
_OPENING = re.escape(OPENING)
_LABELLED = re.compile(
    rf"(?<![^\n.!?>`])[\s{_OPENING}#\u2022-]{{0,12}}(?:(?:so|thus|therefore|hence)[\s,]+)?(?:(?:the|my)\s+)?"
    rf"(?:(?:final|correct|best|short)\s+)*answer[{_DRESS}]*(?:\s+(?:is|would\s+be)\b|\s*[:=\u2013-])+([^\n]*)",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"[.!;,(]|\s[-\u2013\u2014]\s|\bbecause\b|\bas\b|\bsince\b", re.IGNORECASE)


class Found(NamedTuple):
    """A choice, and where in the text it is spelt; an empty place where the text gives it in other letters."""

    choice: str
    start: int
    end: int


Reader = Callable[[str, int, int, Sequence[str]], Found | None]


def parse(text: str, choices: Sequence[str]) -> str | None:
    """Return the choice that a text gives; None where it gives none, or names two."""
    found = find(text, choices)
    return found.choice if found else None


def find(text: str, choices: Sequence[str]) -> Found | None:
    """Return the choice that a text gives and where; None where it gives none, or names two.

    Read are a bare answer whatever its case, one in quotes, emphasis, brackets, a code fence, `<answer>` or a box, a
    JSON object, a line "Answer: ..." or "The answer is ...", and a line of its own beside prose that names no other
    answer. What stands inside `<think>` counts for nothing.
    """
    start = max((match.end() for match in _THOUGHT_END.finditer(text)), default=0)
    start = max(start, len(text) - LONGEST)
    if _THOUGHT.search(text, start):
        return None  # it was still thinking when it was cut
    return _find(text, start, len(text), choices)


def _find(text: str, lo: int, hi: int, choices: Sequence[str]) -> Found | None:
    if found := bare(text, lo, hi, choices):
        return found
    readers: tuple[tuple[Iterable[tuple[int, int]], Reader], ...] = (
        (_spans(_FENCE, text, lo, hi), _find),
        (_spans(_TAGGED, text, lo, hi), _find),
        (_spans(_OBJECT, text, lo, hi), _from_json),
    )
    for spans, read in readers:
        if told := [read(text, *span, choices) for span in spans]:
            return _agreed(told)
    lines = [found for span in _spans(_LINE, text, lo, hi) if (found := bare(text, *span, choices))]
    if told := [_before_aside(text, *span, choices) for span in _spans(_LABELLED, text, lo, hi)]:
        return _agreed([*lines, *told])
    found = _agreed(lines)
    return found if found and not _names_another(text, lo, hi, found, choices) else None


def bare(text: str, lo: int, hi: int, choices: Sequence[str]) -> Found | None:
    """Return the choice that `text[lo:hi]` is but for quotes, emphasis, brackets, and the marks that end it."""
    matches = [(choice, match) for choice in choices if (match := _dressed(choice).fullmatch(text, lo, hi))]
    # "St." may be "St." or "St" with a full stop.
    longest = max(matches, key=lambda pair: pair[1].end(1) - pair[1].start(1), default=None)
    return Found(longest[0], *longest[1].span(1)) if longest else None


def _spans(pattern: re.Pattern[str], text: str, lo: int, hi: int) -> list[tuple[int, int]]:
    return [match.span(match.lastindex or 0) for match in pattern.finditer(text, lo, hi)]


def _agreed(told: Sequence[Found | None]) -> Found | None:
    """Return the last of several where all say the same."""
    return told[-1] if told and len({found.choice if found else None for found in told}) == 1 else None


def _before_aside(text: str, lo: int, hi: int, choices: Sequence[str]) -> Found | None:
    """Read an answer that an explanation may follow, unless that names another answer."""
    if found := bare(text, lo, hi, choices):
        return found
    for aside in _ASIDE.finditer(text, lo, hi):
        found = bare(text, lo, aside.start(), choices)
        if found:
            return None if _names_another(text, aside.start(), hi, found, choices) else found
    return None


def _names_another(text: str, lo: int, hi: int, found: Found, choices: Sequence[str]) -> bool:
    rest = text[lo : max(lo, found.start)] + "\n" + text[max(lo, found.end) : hi]
    return any(_word(choice).search(rest) for choice in choices if choice != found.choice)


def _from_json(text: str, lo: int, hi: int, choices: Sequence[str]) -> Found | None:
    try:
        told = json.loads(text[lo:hi])
    except (ValueError, RecursionError):
        return _before_aside(text, lo, hi, choices)
    values = list(_answers_in(told))
    read = [bare(value, 0, len(value), choices) for value in values]
    answer = _agreed(read)
    if answer is None:
        return None
    places = list(_word(answer.choice).finditer(text, lo, hi))
    return Found(answer.choice, *(places[-1].span() if places else (hi, hi)))


def _answers_in(told: Mapping[str, Any]) -> Iterable[str]:
    """Yield the values that answer: those under a key that says so, or the only one."""
    named = [value for key, value in told.items() if key.casefold() in ANSWER_KEYS]
    for value in named or (list(told.values()) if len(told) == 1 else []):
        for one in cast("list[Any]", value) if isinstance(value, list) else [value]:
            yield {True: "yes", False: "no"}[one] if isinstance(one, bool) else str(one)


@lru_cache(maxsize=4096)
def _dressed(choice: str) -> re.Pattern[str]:
    opening, closing = re.escape(OPENING), re.escape(CLOSING)
    return re.compile(rf"(?:[\s{opening}]|[-\u2022#]+\s)*({_spelt(choice)})[\s{closing}]*", re.IGNORECASE)


@lru_cache(maxsize=4096)
def _word(choice: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w.>-]){_spelt(choice)}(?![\w-])", re.IGNORECASE)


def _spelt(choice: str) -> str:
    """A pattern of how a choice may be written: another dash, blanks for underscores, a blank after a sign."""
    ways = {" ": r"\s+", "_": r"[_\s]", "-": "[-\u2010-\u2015]", ">": r">\s*", "<": r"<\s*"}
    return "".join(ways.get(letter, re.escape(letter)) for letter in choice)
