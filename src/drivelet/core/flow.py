"""The store: a stage runs once for its name, version, config and inputs; its folder is found again by that key."""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from drivelet.core.files import flush_to_disk, read_json, write_json
from drivelet.core.identity import (
    MANIFEST,
    check_unchanged,
    digest_file,
    digest_of,
    digest_text,
    files_of,
    identify,
    plain,
    read_stage,
)
from drivelet.core.locks import hold
from drivelet.core.machine import hardware, package_versions
from drivelet.core.memory import peak_rss_mb
from drivelet.core.progress import say

__all__ = [
    "LOCKS", "MANIFEST", "Version", "chunks_on_disk", "describe", "digest_file", "digest_of", "digest_text", "identify",
    "is_complete", "peak_rss_mb", "plain", "read_json", "run", "stage", "version_of", "write_json",
]  # fmt: skip

T = TypeVar("T")
Stage = TypeVar("Stage", bound=Callable[..., Any])

LOCKS = ".locks"


@dataclass(frozen=True)
class Version:
    """What a stage's results are known to follow from: its own version, and the versioned functions that it calls."""

    number: int
    parts: tuple[Callable[..., Any], ...] = ()


def stage(version: int = 1, *, parts: tuple[Callable[..., Any], ...] = ()) -> Callable[[Stage], Stage]:
    """Declare a function as a stage, or as a versioned part of stages.

    Args:
        version: raise it with every change of the code that changes what is written.
        parts: the versioned functions that this one calls, directly or through others; their versions enter the key.
    """

    def declare(function: Stage) -> Stage:
        function.stage_version = Version(version, parts)  # type: ignore[attr-defined]
        return function

    return declare


def version_of(function: Callable[..., Any]) -> dict[str, int]:
    """Return the version of a stage and of all its parts by their full names.

    Raises:
        TypeError: the function was never declared as a stage: then nobody could tell old results from new ones.
    """
    declared = getattr(function, "stage_version", None)
    if not isinstance(declared, Version):
        raise TypeError(f"{function.__module__}.{function.__qualname__}: no stage; declare it with flow.stage")
    found = {f"{function.__module__}.{function.__qualname__}": declared.number}
    for part in declared.parts:
        found |= version_of(part)
    return found


def run(
    function: Callable[..., Any],
    config: Any,
    *,
    store: Path,
    inputs: Mapping[str, Any],
    also: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Run `function(config, **inputs, **context, out=folder)` unless its folder is already complete; return the folder.

    Two processes that ask for the same stage of the same store wait for each other.

    Args:
        function: a plain function, declared with `stage`, that writes only to `out`.
        config: a frozen dataclass of JSON-able values.
        store: where the folders lie, one a key.
        inputs: what the result depends on: paths (known by their own stage's key or by content), numbers, text.
        also: what else it depends on and the function is not given: where its files lie, what `context` was made from.
        context: helpers that follow from `inputs` and `also` (open models, functions); they do not enter the key.
        name: folder name, where one stage runs in several roles; the function's name otherwise.

    Raises:
        InputError: the folder is complete and was changed since; or as the stage does.
    """
    name = name or function.__name__
    described = describe(function, config, {**inputs, **(also or {})})
    out = store / f"{name}-{described['key'][:12]}"
    with hold(store / LOCKS / out.name, what=str(out)):
        if _is_reusable(out):
            say(f"{name}: done before", style="dim")
            return out
        out.mkdir(parents=True, exist_ok=True)
        say(f"{name} ...", style="bold")
        started = time.perf_counter()
        function(config, **inputs, **(context or {}), out=out)
        seconds = time.perf_counter() - started
        _complete(out, described, seconds)
    say(f"{name}: {seconds:.1f} s")
    return out


def describe(function: Callable[..., Any], config: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a stage's result is known by, with its `key`."""
    described = {
        "stage": f"{function.__module__}.{function.__qualname__}",
        "version": version_of(function),
        "config": plain(config),
        "inputs": {key: identify(value) for key, value in inputs.items()},
    }
    return {"key": digest_of(described), **described}


def _is_reusable(out: Path) -> bool:
    """Whether the folder is complete, as its manifest says, and lies where it was made."""
    known = read_stage(out)
    if known is None:
        return False
    if (store := known.get("store")) != str(out.parent.absolute()):
        say(f"{out.name}: made in another place ({store}), which its files may name; made anew")
        shutil.rmtree(out)
        return False
    check_unchanged(out, known["digests"])
    return True


def _complete(out: Path, described: Mapping[str, Any], seconds: float) -> None:
    """Write the manifest once everything that it speaks of is on the disk."""
    flush_to_disk(out)
    write_json(
        out / MANIFEST,
        {
            **described,
            "store": str(out.parent.absolute()),
            "packages": package_versions(),
            "hardware": hardware(),
            "digests": {os.path.relpath(path, out): digest_file(path) for path in files_of(out)},
            "seconds": round(seconds, 2),
            "peak_rss_mb": round(peak_rss_mb(), 1),
        },
    )


def is_complete(folder: Path) -> bool:
    """Return whether a stage has finished writing this folder."""
    return (folder / MANIFEST).is_file()


def chunks_on_disk(
    folder: Path, items: Sequence[T], work: Callable[[Sequence[T]], Any], *, size: int, known_by: Any = None
) -> Iterator[Any]:
    """Yield `work(chunk)` for consecutive chunks, each kept as a JSON file, so that a second call goes on.

    A file is used again for the very items, and the very `known_by` (what else the work depends on), that it was made
    for.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(items), size)):
        path, chunk = folder / f"{number:06d}.json", items[start : start + size]
        key = digest_of([known_by, list(chunk)])
        kept: Any = read_json(path) if path.is_file() else None
        if kept is None or kept["key"] != key:
            write_json(path, {"key": key, "found": work(chunk)})
            kept = read_json(path)
        yield kept["found"]
