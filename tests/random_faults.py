"""Random faults in the files of the world, the same ones every time."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from bad_files import ROLES
from bad_world import Case, replace_file

STRANGE = (None, True, -1, 0, 2, 10**40, 1e308, -0.5, "", "x", "\0", "\ud7ff" * 300, [], {}, [[]], {"a": None}, [None])


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Return a file with one random fault: in its bytes, or in one place of its JSON, or of that of one line."""
    whole = content.splitlines(keepends=True) or [b""]
    line = int(rng.integers(len(whole)))
    try:
        tree = json.loads(content)
        whole, line = [content], 0
    except ValueError:
        try:
            tree = json.loads(whole[line])
        except ValueError:
            tree = None
    if tree is None or rng.random() < 0.2:
        return _garbled(content, rng)
    whole[line] = json.dumps(_changed(tree, rng)).encode() + b"\n"
    return b"".join(whole)


def _garbled(content: bytes, rng: np.random.Generator) -> bytes:
    start = int(rng.integers(len(content) + 1))
    end = min(len(content), start + int(rng.integers(1, 40)))
    middle = (b"", rng.bytes(8), content[start:end] * 2, b"\0", b'"', b",", b"\n\n", b"1e999", b"nan")
    return content[:start] + middle[int(rng.integers(len(middle)))] + content[end:]


def _changed(tree: Any, rng: np.random.Generator) -> Any:
    """Replace, leave out or double one random place."""
    if not isinstance(tree, dict | list) or not tree or rng.random() < 0.15:
        return STRANGE[int(rng.integers(len(STRANGE)))]
    keys = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
    key = keys[int(rng.integers(len(keys)))]
    copy = dict(tree) if isinstance(tree, dict) else list(tree)
    if rng.random() < 0.1:
        del copy[key]
    elif rng.random() < 0.05 and isinstance(copy, list):
        copy.append(copy[key])
    else:
        copy[key] = _changed(copy[key], rng)
    return copy


def random_cases(count: int, *, seed: int) -> list[Case]:
    """Random faults in the text files of all roles, for commands that are quick where the fault is harmless too."""
    roles = [role for role in ROLES if not role.file.endswith(".lance")]
    cases = []
    for number in range(count):
        rng = np.random.default_rng((seed, number))
        role = roles[number % len(roles)]
        quick = [command for command in role.commands if command.split()[0] in QUICK]
        if not quick:
            continue
        command = quick[int(rng.integers(len(quick)))]

        def spoil(file: Path = Path(role.file), rng: np.random.Generator = rng) -> None:
            replace_file(file, mutated(file.read_bytes(), rng))

        cases.append(Case(name=f"{number}-{command.split()[0]}-{role.file}", command=command, spoil=spoil))
    return cases


QUICK = ("predict", "mix", "report", "prompts", "render", "mine")
