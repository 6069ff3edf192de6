"""A folder saved by `save_pretrained` is a user's file: what lies in it is checked before a library reads it.

Libraries fill what is missing with random numbers and go on with a warning; here it is an error that names it.
"""

import json
import math
import os
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from drivelet.core.errors import InputError

WEIGHTS = "model.safetensors"
INDEX = f"{WEIGHTS}.index.json"
ADAPTERS = "adapter_config.json"
SETTINGS = (
    "config.json",
    "generation_config.json",
    "preprocessor_config.json",
    "processor_config.json",
    "tokenizer_config.json",
)
WORDS = ("tokenizer.json", "chat_template.jinja", "vocab.json", "merges.txt")
DEPTHS = ("num_hidden_layers", "num_layers", "n_layers", "n_layer", "depth")
"""Names under which configurations keep the number of layers."""
LARGEST_SETTINGS = 256 * 2**20
"""Bytes; the largest tokenizers take 40 MB."""
LFS = b"version https://git-lfs"
SHOWN = 3


@dataclass(frozen=True, kw_only=True)
class Weights:
    """What the headers of a folder's weight files promise: their files, and the size of every tensor."""

    files: tuple[Path, ...]
    sizes: Mapping[str, int]


def check_folder(path: Path) -> Weights:
    """Check the settings and the headers of the weights of a model folder; return what the headers say.

    Raises:
        InputError: a file is missing or damaged, the folder holds adapters, or the settings do not fit the weights.
    """
    if not (path / "config.json").is_file():
        if (path / ADAPTERS).is_file():
            raise InputError(f"{path}: adapters without their model ({ADAPTERS}); merge them into it and give that")
        raise InputError(f"{path}: no config.json; give a folder saved by save_pretrained")
    if (path / ADAPTERS).is_file():
        raise InputError(f"{path}: adapters lie beside the model ({ADAPTERS}); merge them into it, or remove them")
    for name in SETTINGS:
        if (path / name).is_file():
            read_settings(path / name)
    for name in WORDS:
        if (path / name).is_file():
            _check_size(path / name)
    config = read_settings(path / "config.json")
    if not isinstance(config.get("model_type"), str):
        raise InputError(f"{path / 'config.json'}: names no model_type; save the model again with save_pretrained")
    weights = _weights(path)
    for key, value in _numbers(config):
        if key.rpartition(".")[2] in DEPTHS and value > len(weights.sizes):
            raise InputError(
                f"{path / 'config.json'}: {key} is {value}, but the weights hold {len(weights.sizes)} tensors"
            )
    return weights


def read_settings(path: Path) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        InputError: the file is none.
    """
    _check_size(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: no JSON ({first_line(error)}); save the model again") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: no JSON object; save the model again")
    return cast("dict[str, Any]", content)


def _check_size(path: Path) -> None:
    size = path.stat().st_size
    if size > LARGEST_SETTINGS:
        raise InputError(f"{path}: {size} bytes are too many for such a file; save the model again")


def _numbers(tree: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _numbers(cast("Mapping[str, Any]", value), f"{prefix}{key}.")
        elif isinstance(value, int):
            yield f"{prefix}{key}", value


def _weights(path: Path) -> Weights:
    if not any(path.glob("*.safetensors")):
        raise InputError(f"{path}: no .safetensors weights; other formats are not read, convert the model first")
    files = _shards(path / INDEX) if (path / INDEX).is_file() else [path / WEIGHTS]
    missing = [file.name for file in files if not file.is_file()]
    if missing:
        raise InputError(f"{path}: the weights lack {few(missing)}; copy the whole folder again")
    return Weights(files=tuple(files), sizes={name: size for file in files for name, size in _header(file)})


def _shards(index: Path) -> list[Path]:
    parts = read_settings(index).get("weight_map")
    named: set[Any] = set(cast("dict[str, Any]", parts).values()) if isinstance(parts, dict) else set()
    if not named or not all(isinstance(name, str) and name == Path(name).name for name in named):
        raise InputError(f"{index}: weight_map names no files beside it; save the model again")
    return [index.with_name(name) for name in sorted(named)]


def _header(file: Path) -> Iterator[tuple[str, int]]:
    """Yield (name, number of values) of every tensor that the file holds whole."""
    from safetensors import safe_open

    with file.open("rb") as stream:
        if stream.read(len(LFS)) == LFS:
            raise InputError(f"{file}: stands for a file that Git LFS has not fetched; run `git lfs pull` there")
    try:
        opened: Any = safe_open(str(file), framework="np")
        with opened as tensors:
            for name in tensors.keys():  # noqa: SIM118 - it is no mapping
                yield name, math.prod(tensors.get_slice(name).get_shape())
    except Exception as error:
        raise InputError(f"{file}: damaged weights ({first_line(error)}); copy the file again") from error


def check_loaded(path: Path, info: Mapping[str, Iterable[Any]]) -> None:
    """Check what transformers or diffusers says of its loading (`output_loading_info`).

    Raises:
        InputError: tensors are missing, unknown or of a wrong shape.
    """
    wrong = [f"{name} ({_shape(had)}, not {_shape(want)})" for name, had, want in info["mismatched_keys"]]
    found = {"lack": info["missing_keys"], "hold unknown": info["unexpected_keys"], "have wrong shapes in": wrong}
    told = [f"{what} {few(sorted(names))}" for what, names in found.items() if names]
    if told:
        raise InputError(f"{path}: the weights {' and '.join(told)}; they are not those of this config.json")


@contextmanager
def told(path: Path, what: str) -> Generator[None]:
    """Turn whatever a library raises over a user's folder into one line: each has errors of its own."""
    try:
        yield
    except InputError:
        raise
    except BaseException as error:
        # A panic in Rust code (tokenizers) is no Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(f"{path}: {what} ({type(error).__name__}: {first_line(error)})") from error


def give_usual_mode(path: Path) -> None:
    """Let a weight file, or those of a folder, be read as the umask allows; safetensors writes for its owner alone."""
    umask = os.umask(0)
    os.umask(umask)
    for file in path.rglob("*.safetensors") if path.is_dir() else [path]:
        file.chmod(0o666 & ~umask)


def few(names: Iterable[str]) -> str:
    """Return the first names, and how many more there are."""
    names = list(names)
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _shape(shape: Iterable[int]) -> str:
    return "x".join(map(str, shape))


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, no longer than a line should be; its kind where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
