"""`--set key=value` on any configuration, and where shipped and cached models lie."""

import dataclasses
import os
from ast import literal_eval
from collections.abc import Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args, get_type_hints

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from drivelet.core.errors import InputError
from drivelet.core.outside import short, words
from drivelet.core.ranges import MAY_BE_EMPTY, adapters

OF_RANGES = {
    "greater_than_equal", "greater_than", "less_than_equal", "less_than", "finite_number", "literal_error",
    "too_short", "too_long", "string_too_short", "string_too_long", "value_error",
}  # fmt: skip
"""What pydantic calls a value of the right type that is out of its range."""


def mini(name: str) -> str:
    """Return the folder of a shipped mini."""
    return str(files("drivelet") / "minis" / name)


def apply_settings(config: Any, settings: Sequence[str]) -> Any:
    """Return `config` with `key=value` settings applied; keys are dotted field names, values are checked by type.

    Raises:
        InputError: no `=`, an unknown key, or a value of the wrong type or out of its range.
    """
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise InputError(f"--set {setting}: write it as key=value, for example distil.steps=200")
        config = _replaced(config, key.split("."), value, key)
    return config


def _replaced(config: Any, path: Sequence[str], value: str, key: str) -> Any:
    known = {f.name: f for f in dataclasses.fields(config)}
    if path[0] not in known:
        near = get_close_matches(path[0], known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
        raise InputError(f"--set {key}: unknown key {path[0]!r}; {hint}")
    current = getattr(config, path[0])
    if len(path) > 1:
        if not dataclasses.is_dataclass(current):
            raise InputError(f"--set {key}: {path[0]} has no parts; set it as {path[0]}=value")
        return dataclasses.replace(config, **{path[0]: _replaced(current, path[1:], value, key)})
    read = _parsed(type(config), path[0], value, key)
    try:
        return dataclasses.replace(config, **{path[0]: read})
    except InputError as error:
        raise InputError(f"--set {key}={short(value)}: {error}") from error


def _parsed(owner: type, name: str, value: str, key: str) -> Any:
    """Read a value as JSON, as `show` prints it, or as bare text, whichever its type allows first."""
    adapter = adapters(owner)[name]
    if not value and MAY_BE_EMPTY in get_args(get_type_hints(owner, include_extras=True)[name]):
        return None
    readers = (
        adapter.validate_json,
        lambda text: adapter.validate_python(literal_eval(text)),
        adapter.validate_strings,
    )
    wrong: list[ErrorDetails] = []
    for read in readers:
        try:
            return read(value)
        except ValidationError as error:
            wrong += error.errors(include_url=False)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    # A value that can be read and lies out of its range says more than the ways in which it could not be read.
    first = max(wrong, key=lambda error: error["type"] in OF_RANGES)
    if first["type"] in OF_RANGES:
        raise InputError(f"--set {key}={short(value)}: {words(first)}")
    hint = get_type_hints(owner)[name]
    kind = getattr(hint, "__name__", hint)
    raise InputError(f"--set {key}={short(value)}: no value of type {kind}; see `drivelet show`")


def flatten(config: Any, prefix: str = "") -> list[tuple[str, Any]]:
    """Return every setting as (dotted key, value), in order."""
    rows: list[tuple[str, Any]] = []
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            rows += flatten(value, f"{prefix}{item.name}.")
        else:
            rows.append((f"{prefix}{item.name}", value))
    return rows


def cache_root() -> Path:
    """Return `$XDG_CACHE_HOME/drivelet`, `~/.cache/drivelet` by default."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "drivelet"
