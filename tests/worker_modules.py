"""The worker's modules that need NumPy alone, loaded from their files, and its pool, read from its source."""

import ast
import importlib
import sys
from pathlib import Path
from types import ModuleType

import drivelet

WORKERS = Path(drivelet.__file__).parent / "workers"
SIGNS_WORDS = 2
"""How many of each number and word the pool holds."""
MADE = {"sweep": 64, "patch": 64}
"""Parts whose mesh is made for the scene, and how many a scene may have."""


def worker_module(name: str) -> ModuleType:
    """Import a module of the worker as the worker itself does: by its bare name, from its own folder."""
    sys.path.insert(0, str(WORKERS))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(WORKERS))


def pool() -> dict[str, int]:
    """Asset -> how many a scene may hold; the worker is never imported."""
    tree = ast.parse((WORKERS / "blender_meshes.py").read_text(encoding="utf-8"))
    found = dict(MADE)
    for node in tree.body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        if node.targets[0].id == "ASSETS":
            assert isinstance(node.value, ast.Dict)
            for key, value in zip(node.value.keys, node.value.values, strict=True):
                assert key is not None and isinstance(value, ast.Tuple)
                found[ast.literal_eval(key)] = ast.literal_eval(value.elts[0])
        if node.targets[0].id == "WORDS":
            found |= {f"text_{word}": SIGNS_WORDS for word in ast.literal_eval(node.value)}
    return found | {f"text_{number}": SIGNS_WORDS for number in range(5, 145, 5)}
