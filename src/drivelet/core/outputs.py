"""Output folders of commands: the command runs as a stage in `OUT/stages`, and what it wrote is laid out in `OUT`.

What an earlier call made stands until the next one is complete; partial work lies under its own key, so that a call
with other inputs or settings never goes on from it.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivelet.core import flow
from drivelet.core.errors import InputError
from drivelet.core.files import read_json, write_json
from drivelet.core.identity import RUN, STAGES, digest_file, digest_of, files_of, identify, plain, read_stage
from drivelet.core.locks import hold
from drivelet.core.machine import hardware, package_versions

FORMAT = 1
"""Version of the layout of output folders, in every `run.json`."""
TABLE = ".lance"
EDITED = (".csv", ".json", ".jsonl", ".md", ".html", ".txt", ".jinja")
"""People edit such files; they get copies of their own, where others share their bytes with the stage's file."""


def command(
    function: Callable[..., Any],
    config: Any,
    *,
    out: Path,
    inputs: Mapping[str, Any],
    also: Mapping[str, Any] | None = None,
    context: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Run a stage in `out/stages`, lay what it wrote out in `out`, and write `out/run.json`; return `out`.

    The arguments are those of `flow.run`.

    Raises:
        InputError: a file in `out` that no earlier call wrote is in the way; or as the stage does.
    """
    described_as = flow.describe(function, config, {**inputs, **(also or {})})  # told before `out` is made
    refuse_other(out, described_as["stage"])
    with locked(out):
        folder = flow.run(function, config, store=out / STAGES, inputs=inputs, also=also, context=context, name=name)
        publish(folder, out)
    return out


@contextmanager
def locked(out: Path) -> Generator[None]:
    """Hold an output folder; a second process that wants it waits. A call that is refused leaves no new folder."""
    stood = out.exists()
    try:
        with hold(out / STAGES / flow.LOCKS / "out", what=str(out)):
            yield
    except InputError:
        if not stood and all(flow.LOCKS in path.parts for path in files_of(out)):
            shutil.rmtree(out)
        raise


def publish(folder: Path, out: Path) -> None:
    """Lay the files of a finished stage out in `out` and describe them in `out/run.json`; files of the call before go.

    Raises:
        InputError: `out` holds what another command made, or a file that no earlier call wrote is in the way.
    """
    known = read_stage(folder)
    if known is None:
        raise ValueError(f"{folder}: no finished stage")
    refuse_other(out, known["stage"])
    ours = _written_before(out)
    names = sorted(known["digests"])
    for name in names:
        if (foreign := _in_the_way(out, name, ours, known["digests"][name])) is not None:
            raise InputError(f"{foreign}: was not written by this command; move it, or choose another --out")
    for name in sorted(ours - set(names)):
        (out / name).unlink(missing_ok=True)
    for table in {name.partition(TABLE + os.sep)[0] + TABLE for name in ours | set(names) if TABLE + os.sep in name}:
        shutil.rmtree(out / table, ignore_errors=True)
    for name in names:
        _lay(folder / name, out / name)
    shown = {key: value for key, value in known.items() if key not in ("digests", "store")}
    write_json(out / RUN, {"format": FORMAT, "command": sys.argv[1:], **shown, "files": known["digests"]})


def refuse_other(out: Path, stage: str = "") -> None:
    """Refuse an output folder whose `run.json` says that another stage made it.

    Raises:
        InputError: it does.
    """
    try:
        told: Any = read_json(out / RUN)
        maker, words = str(told.get("stage", "")), " ".join(map(str, told["command"]))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return
    if maker and maker != stage:
        raise InputError(f"{out}: holds what another command made (drivelet {words[:80]}); choose another --out")


def _written_before(out: Path) -> set[str]:
    """Return the files that the call before wrote, by their paths in `out`; none that lead out of it."""
    try:
        files: Any = read_json(out / RUN)["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return set()
    return {name for name in files if not Path(name).is_absolute() and ".." not in Path(name).parts}


def _key_of(place: Path) -> str:
    try:
        return str(read_json(place)["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _in_the_way(out: Path, name: str, ours: set[str], digest: str) -> Path | None:
    """Return what stands where `name` is to lie and is neither ours nor the same; None where nothing does."""
    for parent in (out / part for part in Path(name).parents if part != Path()):
        if parent.exists() and not parent.is_dir():
            return parent
    place = out / name
    if name in ours or not os.path.lexists(place):
        return None
    return None if place.is_file() and digest_file(place) == digest else place


def _lay(source: Path, place: Path) -> None:
    """Put a file in its place, whole: as a copy where people edit such files, else as a second name of the same."""
    if place.is_file() and not place.is_symlink() and digest_file(place) == digest_file(source):
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    partial = place.with_name(f"{place.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        if source.suffix in EDITED:
            raise OSError("wants a copy")
        os.link(source, partial)
    except OSError:
        shutil.copy2(source, partial)
    partial.replace(place)


@contextmanager
def described(
    out: Path, *, config: Any, inputs: Mapping[str, Any], name: str = RUN
) -> Generator[str]:  # fmt: skip
    """Write `run.json` once the work inside is done: for commands that keep their own account of what is finished.

    Args:
        out: the output folder.
        config: the command's configuration.
        inputs: what it was given: paths with their content, names, numbers.
        name: of the file; beside an output that is a single file it is another.

    Yields:
        The key of the call before, finished or not, where it was asked for something else; else an empty text.
    """
    if name == RUN:
        refuse_other(out)
    known = {key: identify(value) for key, value in inputs.items()}
    place = out / name
    key, before = digest_of([config, known]), _key_of(place)
    head = {"format": FORMAT, "key": key, "command": sys.argv[1:]}
    out.mkdir(parents=True, exist_ok=True)
    if key != before:
        write_json(place, {**head, "finished": False})
    started = time.time()
    try:
        yield before if before != key else ""
    except InputError:
        if not before:
            place.unlink(missing_ok=True)
        if not any(out.iterdir()):
            out.rmdir()
        raise
    write_json(
        place,
        {
            **head,
            "finished": True,
            "config": plain(config),
            "inputs": {key: {"given": plain(inputs[key]), "known_by": known[key]} for key in inputs},
            "packages": package_versions(),
            "hardware": hardware(),
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(started)),
            "seconds": round(time.time() - started, 2),
        },
    )
