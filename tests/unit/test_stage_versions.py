"""Every stage's key covers the code that it runs: what bears a version and is called stands among the stage's parts."""

import ast
import inspect
import pkgutil
import textwrap
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

import drivelet
from drivelet.core.flow import Version, version_of

OUTSIDE = ("drivelet.workers", "drivelet.minis")
RUNNERS = {"run", "command", "run_command", "stage"}


def modules() -> Iterator[ModuleType]:
    for info in pkgutil.walk_packages(drivelet.__path__, "drivelet."):
        if not info.name.startswith(OUTSIDE):
            yield import_module(info.name)


MODULES = {module.__name__: module for module in modules()}


def full_name(function: Any) -> str:
    return f"{function.__module__}.{function.__qualname__}"


def declared() -> dict[str, Callable[..., Any]]:
    found = {}
    for module in MODULES.values():
        for value in vars(module).values():
            if isinstance(value, FunctionType) and isinstance(getattr(value, "stage_version", None), Version):
                found[full_name(value)] = value
    return found


DECLARED = declared()


@cache
def mentioned(function: Any) -> list[Any]:
    """Return what of this package a function or class names in its code, looked up where Python would."""
    return list(_mentioned(function))


def _mentioned(function: Any) -> Iterator[Any]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):
        return
    names = dict(vars(MODULES[function.__module__]))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("drivelet"):
            names |= {alias.asname or alias.name: _imported(node.module, alias.name) for alias in node.names}
    for node in ast.walk(tree):
        value = None
        if isinstance(node, ast.Name):
            value = names.get(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = names.get(node.value.id)
            value = getattr(owner, node.attr, None) if isinstance(owner, ModuleType) else None
        if inspect.isfunction(value) or inspect.isclass(value):
            value = inspect.unwrap(value)
            if getattr(value, "__module__", "") in MODULES and value is not function:
                yield value


def _imported(module: str, name: str) -> Any:
    return getattr(import_module(module), name, None) or MODULES.get(f"{module}.{name}")


def reached(function: Any) -> set[str]:
    """Return the versioned functions that a function's code reaches, through whatever unversioned code."""
    seen: set[int] = set()
    found: set[str] = set()
    todo = [function]
    while todo:
        for value in mentioned(todo.pop()):
            if id(value) in seen:
                continue
            seen.add(id(value))
            if full_name(value) in DECLARED:
                found.add(full_name(value))
            todo.append(value)
    return found


def stages_run() -> Iterator[ast.Call]:
    for module in MODULES.values():
        for node in ast.walk(ast.parse(Path(module.__file__ or "").read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            word = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
            if isinstance(node, ast.Call) and word in RUNNERS and node.args:
                yield node


def test_no_version_is_a_bare_number() -> None:
    """Written by hand behind a function it would take the place of the declared one."""
    for module in MODULES.values():
        for value in vars(module).values():
            assert isinstance(getattr(value, "stage_version", Version(1)), Version), value


def test_there_are_stages() -> None:
    assert len(DECLARED) >= 20
    assert "drivelet.labels.label.label_drive" in version_of(DECLARED["drivelet.recipes.labelling.label_drives"])


@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_stage_names_the_versioned_code_that_it_runs(name: str) -> None:
    missing = reached(DECLARED[name]) - {name} - version_of(DECLARED[name]).keys()
    assert not missing, f"{name} calls {sorted(missing)}: add them to its parts"


def test_every_version_enters_some_key() -> None:
    """A version on a function that neither runs as a stage nor is a part of one counts for nothing."""
    run = set()
    for call in stages_run():
        first = call.args[0]
        word = first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "")
        run |= {name for name, function in DECLARED.items() if function.__name__ == word}
    covered = {part for name in run for part in version_of(DECLARED[name])}
    # `tasks.gold` is handed to renders; its version is given by name.
    assert DECLARED.keys() - covered - {"drivelet.tasks.gold"} == set()
