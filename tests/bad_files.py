"""Every file of the world spoilt in every way, for every command that reads it."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from bad_world import HEADER, Case, Spoil, replace_file


def _link(target: str) -> Spoil:
    def spoil(path: Path) -> None:
        path.unlink()
        path.symlink_to(target.format(name=path.name))

    return spoil


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def _edit(change: Callable[[bytes], bytes]) -> Spoil:
    return lambda path: replace_file(path, change(path.read_bytes()))


def _picture(path: Path) -> None:
    path.unlink()
    Image.new("RGB", (8, 8)).save(path, format="PNG")


ANY_FILE: dict[str, Spoil] = {
    "missing": Path.unlink,
    "empty": _edit(lambda _: b""),
    "blank": _edit(lambda _: b" \n\n \n"),
    "binary": _edit(lambda _: np.random.default_rng(0).bytes(2000)),
    "picture": _picture,
    "utf16": _edit(lambda old: old.decode().encode("utf-16")),
    "latin1": _edit(lambda old: old[:5] + b"\xe9\xff" + old[5:]),
    "nul": _edit(lambda old: old[: len(old) // 2] + b"\0\0" + old[len(old) // 2 :]),
    "folder": _folder,
    "fifo": _fifo,
    "loop": _link("{name}"),
    "endless": _link("/dev/zero"),
}
"""Ways in which any file goes wrong."""

BODIES = {
    "null": "null",
    "list": "[]",
    "nested_list": "[[[]]]",
    "number": "3",
    "text": '"text"',
    "nan": "NaN",
    "object": "{}",
    "strange_object": '{"a": 1}',
    "infinite": "1e999",
    "deep": "[" * 100_000 + "]" * 100_000,
    "deep_objects": '{"a":' * 100_000 + "1" + "}" * 100_000,
    "digits": "9" * 5000,
    "open_string": '"' + "x" * 100_000,
}
JSON_FILE: dict[str, Spoil] = {
    **{name: _edit(lambda _, body=body: body.encode()) for name, body in BODIES.items()},
    "half": _edit(lambda old: old[: len(old) // 2]),
}
CSV_FILE: dict[str, Spoil] = {
    "header_only": _edit(lambda _: HEADER.encode()),
    "no_header": _edit(lambda old: old.partition(b"\n")[2]),
    "semicolons": _edit(lambda old: old.replace(b",", b";")),
    "long_cell": _edit(lambda old: old + b"5.png," + b"x" * 100_000 + b",red,test,g5\n"),
    "huge_cell": _edit(lambda old: old + b"5.png," + b"x" * 3_000_000 + b",red,test,g5\n"),
    "open_quote": _edit(lambda old: old + b'"5.png,traffic_light.state,red,test,g5\n'),
    "short_row": _edit(lambda old: old + b"5.png\n"),
    "no_image": _edit(lambda old: old.replace(b"4.png", b"nowhere.png")),
    "long_path": _edit(lambda old: old.replace(b"4.png", b"p" * 5000)),
    "nul_path": _edit(lambda old: old.replace(b"4.png", b"4\0.png")),
    "folder_path": _edit(lambda old: old.replace(b"4.png", b".")),
    "wrong_task": _edit(lambda old: old.replace(b"traffic_light.state", b"traffic_lamp.state")),
    "wrong_label": _edit(lambda old: old.replace(b"green", b"blue")),
    "wrong_split": _edit(lambda old: old.replace(b"test", b"exam")),
    "split_group": _edit(lambda old: old.replace(b"g3", b"g1")),
    "weight_nan": _edit(lambda old: _with_column(old, b"weight", b"nan")),
    "weight_two": _edit(lambda old: _with_column(old, b"weight", b"2")),
}


def _in_table(pattern: str, spoil: Spoil) -> Spoil:
    def spoil_all(path: Path) -> None:
        for file in list(path.rglob(pattern)):
            if file.is_file():
                spoil(file)

    return spoil_all


def _no_table(path: Path) -> None:
    shutil.rmtree(path)


def _file_for_table(path: Path) -> None:
    _no_table(path)
    path.write_text("x")


TABLE_FOLDER: dict[str, Spoil] = {
    "missing": _no_table,
    "file": _file_for_table,
    "no_data": _in_table("*.lance", Path.unlink),
    "garbled_data": _in_table("*.lance", _edit(lambda old: b"\xff" * len(old))),
    "cut_data": _in_table("*.lance", _edit(lambda old: old[: len(old) // 2])),
    "garbled_version": _in_table("*.manifest", _edit(lambda old: b"\xff" * len(old))),
    "empty_version": _in_table("*.manifest", _edit(lambda _: b"")),
}
"""Ways in which a table of several files goes wrong."""


def _with_column(old: bytes, name: bytes, cell: bytes) -> bytes:
    head, *lines = old.splitlines()
    return b"\n".join([head + b"," + name, *(line + b"," + cell for line in lines)]) + b"\n"


@dataclass(frozen=True, kw_only=True)
class Role:
    """A file of the world, the commands that read it, and the ways in which it may be spoilt without being wrong.

    `harmless` are ways that leave a good input for every command, `harmless_to` command and way.
    """

    file: str
    ways: dict[str, Spoil]
    commands: Sequence[str]
    harmless: Sequence[str] = ()
    harmless_to: Sequence[str] = ()


MANIFEST_COMMANDS = (
    "mix images/manifest.csv --out out",
    "predict model images/manifest.csv --out out/preds.jsonl",
    "bench model --data images/manifest.csv --out out",
    "prompts optimise model --data images/manifest.csv --out out",
    "distil --teacher model --student model --data images/manifest.csv --out out",
    "quantise model --data images/manifest.csv --out out",
    "label drive.mp4 --gold images/manifest.csv --out out",
    "label drive.mp4 --check images/manifest.csv --out out",
    "mine images/manifest.csv --embedder model --out out",
    "run mini --images images/manifest.csv --out out",
    "study data --images images/manifest.csv --out out",
)
PROMPT_COMMANDS = (
    "predict model images/0.png --prompts prompts --out out/preds.jsonl",
    "bench model --data images/manifest.csv --prompts prompts --out out",
    "distil --teacher model --student model --data images/manifest.csv --prompts prompts --out out",
    "quantise model --data images/manifest.csv --prompts prompts --out out",
)
MODEL_COMMANDS = (
    "predict model images/0.png --out out/preds.jsonl",
    "prompts optimise model --data images/manifest.csv --out out",
    "distil --teacher model --student model --data images/manifest.csv --out out",
    "quantise model --data images/manifest.csv --out out",
    "mine images/manifest.csv --embedder model --out out",
    "mix images/manifest.csv --embedder model --out out",
    "label drive.mp4 --teacher model --out out",
)
ROLES = (
    Role(
        file="images/manifest.csv",
        ways=ANY_FILE | CSV_FILE,
        commands=MANIFEST_COMMANDS,
        harmless_to=("predict short_row", "mine short_row"),
    ),
    Role(file="prompts/prompts.json", ways=ANY_FILE | JSON_FILE, commands=(*PROMPT_COMMANDS, "prompts show prompts")),
    Role(file="prompts/router.json", ways=ANY_FILE | JSON_FILE, commands=PROMPT_COMMANDS, harmless=("missing",)),
    Role(file="run/summary.json", ways=ANY_FILE | JSON_FILE, commands=("report run",)),
    *(
        Role(file=f"run/{name}.json", ways=ANY_FILE | JSON_FILE, commands=("report run",), harmless=harmless)
        for name, harmless in (
            ("samples", ("missing", "list", "null")),
            ("painter", ("missing", "list", "null", "object")),
            ("domain_gap", ("missing", "list", "null", "object")),
        )
    ),
    Role(file="plan.jsonl", ways=ANY_FILE | JSON_FILE, commands=("render --scenes plan.jsonl --out out",)),
    Role(
        file="render/scenes.jsonl",
        ways=ANY_FILE | JSON_FILE,
        commands=("paint --world render --painter painter --out out",),
    ),
    Role(file="labels/labels.jsonl", ways=ANY_FILE | JSON_FILE, commands=("mix labels --out out",)),
    Role(
        file="labels/reviews.jsonl",
        ways=ANY_FILE | JSON_FILE,
        commands=("review labels --port 0",),
        # A journal may be missing, and its last line cut by a crash.
        harmless=("missing", "empty", "half"),
    ),
    Role(
        file="ingested/drive.json",
        ways=ANY_FILE | JSON_FILE,
        commands=("label ingested --teacher model --out out", "mine ingested --embedder model --out out"),
    ),
    Role(
        file="labels/drives/000-d0/calibration.json",
        ways=ANY_FILE | JSON_FILE,
        commands=("mine labels --text traffic_light.state=red --out out",),
        harmless=("missing", "object"),
    ),
    Role(file="labels/labels.lance", ways=TABLE_FOLDER, commands=("review labels --port 0", "mine labels --out out")),
    Role(file="labels/votes.lance", ways=TABLE_FOLDER, commands=("review labels --port 0",)),
    Role(file="model/config.json", ways=ANY_FILE | JSON_FILE, commands=MODEL_COMMANDS),
)


def file_cases() -> Iterator[Case]:
    """Every role spoilt in every way, for every command that reads it."""
    for role in ROLES:
        for way, spoil in role.ways.items():
            if way in role.harmless:
                continue
            for command in role.commands:
                if f"{command.split()[0]} {way}" in role.harmless_to:
                    continue
                yield Case(
                    name=f"{command.split()[0]}-{role.file}-{way}",
                    command=command,
                    spoil=lambda spoil=spoil, file=role.file: spoil(Path(file)),
                )
