"""Code that a model folder brings is never run: every loading of another library says so."""

import ast
from pathlib import Path

import pytest

import drivelet

FILES = [path for path in Path(drivelet.__file__).parent.rglob("*.py") if "from_pretrained(" in path.read_text()]
OWN = ("Engine", "VisionEmbedder")
PLAIN = ("loading",)
"""A class that was named, not looked up by the folder: it reads no code."""


def calls(path: Path) -> list[ast.Call]:
    found = (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call))
    return [
        call
        for call in found
        if isinstance(call.func, ast.Attribute)
        and call.func.attr == "from_pretrained"
        and not (isinstance(call.func.value, ast.Name) and call.func.value.id in (*OWN, *PLAIN))
    ]


def test_there_is_something_to_look_at() -> None:
    assert sum(len(calls(path)) for path in FILES) >= 10


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_loading_leaves_remote_code_open(path: Path) -> None:
    text = path.read_text()
    for call in calls(path):
        said = {keyword.arg: keyword.value for keyword in call.keywords}
        if "trust_remote_code" in said:
            value = said["trust_remote_code"]
            assert isinstance(value, ast.Constant) and value.value is False, ast.unparse(call)
        else:
            assert None in said and '"trust_remote_code": False' in text, ast.unparse(call)
