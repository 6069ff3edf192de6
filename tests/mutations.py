"""Damage for fuzz tests: bytes and JSON values changed a little, and what a reader may do about them."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivelet.core.errors import InputError

MEMORY = 4 << 30
"""Bytes of address space that a reader may take beyond what is taken: libraries reserve far more than they use."""

PIECES = (
    b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\r", b"\n", b"\n\n", b",", b";", b'"', b"'", b"[", b"]", b"{", b"}", b":",
    b" ", b"nan", b"inf", b"-inf", b"-1", b"0", b"1e999", b"1e308", b"9" * 400, b"9" * 5000, b"null", b"true", b"NaN",
    b"-Infinity", b"\\ud800", b"\xed\xa0\x80", b"../../x", b"/dev/zero", b"[" * 3000, b'{"a":' * 3000, b"x" * 3000,
    b"\xff" * 8, b"\x7f\xff\xff\xff", b"\x00" * 300,
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, "", "text", "\ud800", "../../x", "/dev/zero", "x" * 3000, "nan", [], {}, [[]], [[[]]], [None],
    {"a": 1}, 0, -1, 1, 2**31, 2**63, 10**400, -0.0, 0.5, 1e308, float("nan"), float("inf"), [1] * 50,
)  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn, whole: bytes, *, most: int = 4) -> bytes:
    """Bytes with some cut out, put in, written over or doubled, at a few places."""
    content = whole
    for _ in range(draw(st.integers(1, most))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.sampled_from((0, 1, 2, 4, 16, 200, 10**9))))
        piece = draw(st.one_of(st.sampled_from((b"", *PIECES)), st.binary(max_size=8)))
        doubled = content[start:end] if draw(st.booleans()) else b""
        content = content[:start] + doubled + piece + content[end - (end > start and draw(st.booleans())) :]
    return content


def as_text(content: bytes) -> str:
    """Return bytes as text, whatever they are."""
    return content.decode("utf-8", "replace")


def damaged_text(whole: str) -> st.SearchStrategy[str]:
    """A short text, damaged."""
    return damaged(whole.encode(), most=2).map(as_text)


@st.composite
def mistyped(draw: st.DrawFn, whole: Any) -> Any:
    """A JSON value with something else in a few places, or without a key."""
    root = [deepcopy(whole)]
    for _ in range(draw(st.integers(1, 3))):
        parent: Any = root
        key: Any = 0
        while isinstance(parent[key], (dict, list)) and parent[key] and draw(st.integers(0, 4)):
            parent = parent[key]
            key = draw(st.sampled_from(sorted(parent) if isinstance(parent, dict) else range(len(parent))))
        if parent is not root and not draw(st.integers(0, 4)):
            del parent[key]
        else:
            parent[key] = deepcopy(draw(st.sampled_from(VALUES)))
    return root[0]


def damaged_json(whole: Any) -> st.SearchStrategy[bytes]:
    """The text of a JSON value, damaged as text or as a value."""
    return st.one_of(damaged(json.dumps(whole).encode()), mistyped(whole).map(lambda value: json.dumps(value).encode()))


def damaged_lines(whole: list[Any]) -> st.SearchStrategy[bytes]:
    """JSON lines, damaged as text or one of them as a value."""
    text = b"".join(json.dumps(line).encode() + b"\n" for line in whole)
    changed = st.sampled_from(range(len(whole))).flatmap(
        lambda place: mistyped(whole[place]).map(
            lambda value: b"".join(
                json.dumps(value if number == place else line).encode() + b"\n" for number, line in enumerate(whole)
            )
        )
    )
    return st.one_of(damaged(text), changed)


def runs(few: int, many: int) -> pytest.MarkDecorator:
    """Parametrise a test with `examples`: few in `make test`, many in `make fuzz`."""
    return pytest.mark.parametrize("examples", [few, pytest.param(many, marks=pytest.mark.fuzz)])


def fuzz(inputs: st.SearchStrategy[Any], examples: int, read: Callable[[Any], Any]) -> None:
    """Read many inputs in bounded memory; each is read, or refused in a clear line."""

    @settings(max_examples=examples, suppress_health_check=list(HealthCheck), print_blob=False)
    @given(inputs)
    def each(found: Any) -> None:
        answered(lambda: read(found))

    with bounded_memory():
        each()


def answered(call: Callable[[], Any]) -> Any:
    """Return what a call returns, None where it is refused; anything else that it raises is a fault."""
    try:
        return call()
    except InputError as error:
        assert str(error).strip()
        return None


def reading(path: Path, read: Callable[[], Any]) -> Callable[[bytes], Any]:
    """Return what writes bytes to a file and reads it."""

    def write_and_read(content: bytes) -> Any:
        path.write_bytes(content)
        return read()

    return write_and_read


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Let allocations fail that would take the machine's memory."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
