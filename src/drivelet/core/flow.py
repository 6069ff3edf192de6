"""The store: a stage runs once for its name, version, config and inputs; its folder is found again by that key."""

import hashlib
import json
import resource
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, TypeVar, cast

from drivelet.core.progress import say

T = TypeVar("T")

MANIFEST = "manifest.json"
PACKAGES = ("drivelet", "numpy", "torch", "transformers", "peft", "diffusers", "compressed-tensors", "pylance")
WHOLE_DIGEST_LIMIT = 256 * 2**20


def run(
    stage: Callable[..., Any],
    config: Any,
    *,
    store: Path,
    inputs: Mapping[str, Any],
    context: Mapping[str, Any] | None = None,
    name: str | None = None,
) -> Path:
    """Run `stage(config, **inputs, **context, out=folder)` unless its folder is already complete; return the folder.

    Args:
        stage: a plain function that writes only to `out`; an attribute `stage_version` on it enters the key.
        config: a frozen dataclass of JSON-able values.
        store: where the folders lie, one a key.
        inputs: what the result depends on: paths (known by their own stage's key or by content), numbers, text.
        context: helpers that follow from the inputs (open models, functions); they do not enter the key.
        name: folder name, where one stage runs in several roles; the function's name otherwise.
    """
    name = name or stage.__name__
    described = {
        "stage": f"{stage.__module__}.{stage.__qualname__}",
        "version": getattr(stage, "stage_version", 1),
        "config": plain(config),
        "inputs": {key: identify(value) for key, value in inputs.items()},
    }
    key = digest_text(json.dumps(described, sort_keys=True))
    out = store / f"{name}-{key[:12]}"
    if (out / MANIFEST).is_file():
        say(f"{name}: done before", style="dim")
        return out
    out.mkdir(parents=True, exist_ok=True)
    say(f"{name} ...", style="bold")
    started = time.perf_counter()
    stage(config, **inputs, **(context or {}), out=out)
    seconds = time.perf_counter() - started
    write_json(
        out / MANIFEST,
        {
            "key": key,
            **described,
            "packages": package_versions(),
            "digests": {str(path.relative_to(out)): digest_file(path) for path in _files(out)},
            "seconds": round(seconds, 2),
            "peak_rss_mb": round(peak_rss_mb(), 1),
        },
    )
    say(f"{name}: {seconds:.1f} s")
    return out


def is_complete(folder: Path) -> bool:
    """Return whether a stage has finished writing this folder."""
    return (folder / MANIFEST).is_file()


def plain(value: Any) -> Any:
    """Return dataclasses, paths and tuples as plain JSON data."""
    if is_dataclass(value) and not isinstance(value, type):
        return {"type": type(value).__name__, **{k: plain(v) for k, v in asdict(value).items()}}
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        items = [plain(v) for v in cast("Iterable[Any]", value)]
        return sorted(items) if isinstance(value, (set, frozenset)) else items
    return str(value) if isinstance(value, Path) else value


def identify(value: Any) -> Any:
    """Return what an input is known by: a finished stage's key, a file's or folder's content, or the value itself."""
    if isinstance(value, Path):
        return _identify_path(value)
    if isinstance(value, (list, tuple)):
        return [identify(item) for item in cast("Sequence[Any]", value)]
    if isinstance(value, Mapping):
        return {str(k): identify(v) for k, v in cast("Mapping[Any, Any]", value).items()}
    return plain(value)


def _identify_path(path: Path) -> str:
    """A path inside a finished stage's folder is known by that stage's key and its place there."""
    for folder in (path, *path.parents):
        manifest = folder / MANIFEST
        if manifest.is_file():
            known = json.loads(manifest.read_text())
            if isinstance(known, dict) and "key" in known:
                return f"{known['key']}:{path.relative_to(folder)}"
    if path.is_file():
        return digest_file(path)
    if path.is_dir():
        return digest_text("\n".join(f"{file.relative_to(path)} {digest_file(file)}" for file in _files(path)))
    return str(path)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.name != MANIFEST)


def digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes; of size and modification time where it is larger than 256 MiB."""
    stat = path.stat()
    if stat.st_size > WHOLE_DIGEST_LIMIT:
        return digest_text(f"{stat.st_size} {stat.st_mtime_ns}")
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_text(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a crash leaves the old file or the new one, never half of either."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(plain(value), indent=1, ensure_ascii=False) + "\n")
    partial.replace(path)


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text())


def chunks_on_disk(folder: Path, items: Sequence[T], work: Callable[[Sequence[T]], Any], *, size: int) -> Iterator[Any]:
    """Yield `work(chunk)` for consecutive chunks, each kept as a JSON file, so that a second call goes on."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, start in enumerate(range(0, len(items), size)):
        path = folder / f"{number:06d}.json"
        if not path.is_file():
            write_json(path, work(items[start : start + size]))
        yield read_json(path)


def package_versions() -> dict[str, str]:
    """Return the installed versions of the packages that results depend on."""
    found: dict[str, str] = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def peak_rss_mb() -> float:
    """Return this process's largest resident set so far, in MB (10^6 bytes)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
