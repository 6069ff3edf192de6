"""Bad inputs made by rule: every file that a command reads, spoilt in every way, and settings and outputs gone wrong.

A world is one small folder with a good file of every kind. A case copies it, spoils one thing, and gives the command
line that must be refused.
"""

import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from drive_files import write_images, write_sensors, write_video
from drivelet import tasks
from drivelet.core.flow import write_json
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.calibrate import Calibration, CalibrationMap
from drivelet.prompts.library import default_library, save_library
from drivelet.prompts.router import PresenceRule, SignalRouter, save_router
from drivelet.recipes.settings import mini
from drivelet.synth.domain import full
from drivelet.synth.scene import sample_scene
from render_folders import write_render
from review_folders import labelled, write_lines

HEADER = "path,task,label,split,group\n"
Spoil = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Case:
    """A command line that must be refused after `spoil` did its work in the world's folder."""

    name: str
    command: str
    spoil: Callable[[], None] = lambda: None


def make_world(folder: Path, model: Path) -> Path:
    """Write one good file of every kind that a command reads."""
    images = write_images(folder / "images", [f"{number}.png" for number in range(6)])
    splits = ("train", "train", "train", "val", "val", "test")
    for number in range(6):
        noise = np.random.default_rng(number).integers(0, 255, (48, 64, 3), dtype=np.uint8)
        Image.fromarray(noise).save(images / f"{number}.png")
    rows = [f"{n}.png,traffic_light.state,{('red', 'green')[n % 2]},{split},g{n}" for n, split in enumerate(splits)]
    (images / "manifest.csv").write_text(HEADER + "\n".join(rows) + "\n")
    for split in ("train", "test"):
        lines = [f"images/{row}" for row in rows if f",{split}," in row]
        (folder / f"{split}_only.csv").write_text(HEADER + "\n".join(lines) + "\n")
    (folder / "other_drive.csv").write_text(HEADER + "images/5.png,traffic_light.state,green,test,g5\n")
    write_video(folder / "drive.mp4")
    write_sensors(folder / "drive.csv")
    ingest(IngestConfig(), source=folder / "drive.mp4", out=folder / "ingested")
    labelled(folder / "labels")
    part = folder / "labels" / "drives" / "000-d0"
    for name in ("labels.lance", "votes.lance"):
        shutil.copytree(folder / "labels" / name, part / name)
    maps = {"teacher": {"traffic_light.state": CalibrationMap(note="no gold")}}
    write_json(part / "calibration.json", Calibration(maps=maps).as_json())
    said = {"review": "skipped", "drive": "d0", "frame": 0, "task": "cone.count", "answer": "0", "by": "ada", "at": "1"}
    write_lines(folder / "labels" / "reviews.jsonl", [said])
    write_render(folder / "render", 3)
    scenes = (json.dumps(sample_scene(0, number, full())) for number in range(2))
    (folder / "plan.jsonl").write_text("\n".join(scenes) + "\n")
    fields = tasks.fields()
    library = default_library(fields)
    save_library(folder / "prompts", library)
    rules = {"cone.count": PresenceRule(signal="orange", threshold=0.5)}
    save_router(folder / "prompts", SignalRouter(library, fields=fields, rules=rules))
    _write_run(folder / "run")
    shutil.copytree(model, folder / "model")
    (folder / "painter").symlink_to(mini("painter-mini"))
    (folder / "notes.txt").write_text("Drive carefully.\n")
    return folder


def _write_run(folder: Path) -> None:
    """The files that `drivelet report` reads."""
    folder.mkdir()
    Image.new("RGB", (32, 24)).save(folder / "sample.png")
    score = {"score": 0.5, "low": 0.4, "high": 0.6}
    facts = {**score, "n": 10, "majority": 0.4, "blind": 0.3, "ece": 0.1, "invalid": 0, "abstained": 1}
    row = {"average": score, "fields": {"cone.count": facts}, "fps": 3.0, "weight_mb": 9.0, "peak_rss_mb": 500.0}
    tests = [{"a": "awq", "b": "base", "task": "average", "difference": 0.1, "low": 0.0, "high": 0.2, "p": 0.04}]
    summary = {"recipe": "mini", "data": {"test": "t", "images": 3, "rows": 9, "kind": "real"}, "tests": tests}
    write_json(folder / "summary.json", {**summary, "rows": [{"name": "base", **row}, {"name": "awq", **row}]})
    answer = {"task": "cone.count", "answer": "0", "gold": "0", "prob": 0.9, "right": True}
    write_json(folder / "samples.json", [{"image": "sample.png", "caption": "A street", "answers": [answer]}])
    each = {"round": 1, "rejected": {"blank": 0.25}, "kept": 3, "loop": {"light": score}, "control": {"light": score}}
    write_json(folder / "painter.json", {"base": {"light": score}, "rounds": [each]})
    value = {"value": 0.5, "low": 0.4, "high": 0.6}
    parts = {"real": value, "synthetic": value, "gap": value}
    gap = {"accuracy": {"tasks": {"cone": parts}, "average": parts}, "features": [{"name": "sky", "difference": 0.5}]}
    write_json(folder / "domain_gap.json", {**gap, "classifier": {"auc": 0.9}})
    write_json(folder / "labels.json", [{"task": "cone.count", "accepted": 5, "rejected": {"unsure": 2}}])


def digest(folder: Path, *, outputs: Sequence[str] = ()) -> dict[str, str]:
    """Return what every file of a folder holds, links and special files by their kind; `outputs` are left out."""
    found = {}
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name not in outputs]
        for name in sorted([*files, *folders]):
            path = Path(root, name)
            if name not in outputs:
                found[str(path.relative_to(folder))] = _content(path)
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return f"link {path.readlink()}"
    return blake2b(path.read_bytes()).hexdigest() if path.is_file() else str(path.stat().st_mode)


def replace_file(path: Path, content: bytes | str) -> None:
    """Put other content in a file's place; the old one may be a hard link to the world's own."""
    path.unlink(missing_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)


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


SET_COMMANDS = {
    "show mini": ("distil.steps", "mix.real_share", "label.hz", "world.val", "paint.guidance", "seed"),
    "run mini --out out": ("distil.learning_rate", "awq.group_size", "gold_rows", "ingest.max_gap_s"),
    "ingest drive.mp4 --out out": ("image_fps", "max_gap_s", "clock.step_s", "ego.stop_mps"),
    "label drive.mp4 --out out": ("hz", "chunk", "ledger.min_prob", "fuse.family_discount", "limits.timeout_s"),
    "mine images/manifest.csv --out out": ("hz", "apart_s", "least", "select.value_share", "embed.chunk"),
    "paint --painter painter --world render --out out": ("rounds", "guidance", "lora.learning_rate", "replay_share"),
    "mix images/manifest.csv --out out": (
        "real_share",
        "val_share",
        "min_prob",
        "looks.max_aspect",
        "search.grid.parts",
    ),
    "prompts optimise model --data images/manifest.csv --out out": ("rounds", "alpha", "router.min_recall"),
    "distil --teacher model --student model --data images/manifest.csv --out out": (
        "alpha",
        "temperature",
        "steps",
        "lora.rank",
        "lora.dropout",
    ),
    "study temporal --out out": ("hz", "drives.seconds", "resamples"),
    "study data --out out": ("train.steps", "mix.val_share", "seeds"),
    "study t2i --out out": ("test_prompts", "paint.rounds", "seeds"),
}
WRONG_VALUES = ("nan", "inf", "-1", "1e300", "many", "[]", "")
"""No setting above takes any of these."""
SETTINGS = (
    "show mini --set mix.real_share=2",
    "show mini --set label.hz=0",
    "show mini --set mix.val_share=5",
    "show mini --set distil.steps=1000000000000000000",
    "show mini --set seed=-3",
    "show mini --set distil.soft_target=everything",
    "show mini --set awq.bits=5",
    "show mini --set world.width=0",
    "show mini --set zoom.magnify=[3,1]",
    "show mini --set soft_labels.temperatures=[]",
    "show mini --set soft_labels.temperatures=[0]",
    "show mini --set world.domain.light={}",
    "show mini --set 'world.domain.light={\"day\":-1}'",
    "show mini --set 'world.domain.light={\"moon\":1}'",
    "show mini --set 'world.domain.light={\"day\":0}'",
    "show mini --set name=",
    "show mini --set =3",
    "show mini --set distil..steps=3",
    "show mini --set .=3",
    "study data --out out --set seeds=[]",
    "study data --out out --set seeds=[1,1]",
)
OPTIONS = (
    "predict model images/0.png --tasks , --out out/preds.jsonl",
    "predict model images/0.png --tasks traffic_light. --out out/preds.jsonl",
    "predict model images/0.png --threads -1 --out out/preds.jsonl",
    "predict model images/0.png --threads 1000000 --out out/preds.jsonl",
    "predict model images/0.png --threads 1.5 --out out/preds.jsonl",
    "predict model notes.txt --out out/preds.jsonl",
    "predict notes.txt images/0.png --out out/preds.jsonl",
    "predict images images/0.png --out out/preds.jsonl",
    "predict model render --out out/preds.jsonl",
    "bench model model --data images/manifest.csv --out out",
    "bench --data images/manifest.csv --out out",
    "quantise model --data images --bits 5 --out out",
    "quantise model --data images --group-size 7 --out out",
    "render --out out --num-frames 0",
    "render --out out --num-frames -1",
    "render --out out --num-frames 1000000000000000000",
    "render --out out --num-frames 3 --num-drives 3",
    "render --out out --seed -1 --num-frames 1 --plan",
    "render --out out --workers 0 --num-frames 1",
    "render --out out --recipe nothing --num-frames 1",
    "render --out out --domain nothing --num-frames 1",
    "render --out out",
    "mine images/manifest.csv --out out --budget 0",
    "mine images/manifest.csv --out out --budget many",
    "mine images/manifest.csv --out out --text traffic_light.state=blue",
    "mine images/manifest.csv --out out --text speed_mps<fast",
    "mine images/manifest.csv --out out --text (((",
    "mine images/manifest.csv --out out --text \x00",
    "mine images/manifest.csv --out out --like nowhere.png",
    "mine images/manifest.csv --out out --like notes.txt",
    "mine images/manifest.csv --out out --like d0:x",
    "mine images/manifest.csv --out out --hard",
    "mine images/manifest.csv --out out --hard --text speed_mps<1",
    "mine notes.txt --out out",
    "mine images --out out",
    "mix notes.txt --out out",
    "mix images/manifest.csv images/manifest.csv --out out",
    "mix render --out out",
    "mix images/manifest.csv --export png --out out",
    "mix images/manifest.csv --search --out out",
    "mix images/manifest.csv --set search.grid.parts=3 --out out",
    "label drive.mp4 drive.mp4 --out out",
    "label drive.mp4 --teacher --out out",
    "label drive.mp4 --teacher openai:m --out out",
    "label drive.mp4 --teacher openai:m@http://h:99999/v1 --out out",
    "label drive.mp4 --teacher openai:m@ftp://h/v1 --out out",
    "label drive.mp4 --teacher detector:nowhere --out out",
    "label drive.mp4 --teacher model --teacher model --out out",
    "label drive.mp4 --workers 0 --out out",
    "label drive.mp4 --executor cloud --out out",
    "label notes.txt --out out",
    "review labels --task blue",
    "review labels --port 65536",
    "review labels --port -1",
    "review labels --only some",
    "review images",
    "review nowhere",
    "review notes.txt",
    "ingest notes.txt --out out",
    "ingest images/manifest.csv --out out",
    "ingest drive.mp4 --out out --set alignment=cubic",
    "prompts show images",
    "prompts show notes.txt",
    "prompts optimise notes.txt --data images --out out",
    "report images",
    "report notes.txt",
    "report run/summary.json",
    "paint --painter images --world render --out out",
    "paint --painter model --world render --out out",
    "paint --world images --painter painter --out out",
    "paint --world notes.txt --painter painter --out out",
    "study nothing --out out",
    "study temporal --images images/manifest.csv --out out",
    "study temporal --workers 0 --out out",
    "run nothing --out out",
    "run minis --out out",
    "run mini --drives notes.txt --out out",
    "run mini --drives images/manifest.csv --out out",
    "run pretrain_minis --drives drive.mp4 --out out",
    "run pretrain_minis --images images/manifest.csv --out out",
    "show nothing",
    "nothing",
    "mine images/manifest.csv --out out --text ''",
    "mine images/manifest.csv --out out --like ''",
    "mine images/manifest.csv --out out --embedder ''",
    "label drive.mp4 --teacher model --set endpoint.samples=5 --out out",
    "label drive.mp4 --teacher model --set limits.retries=5 --out out",
    "label drive.mp4 --teacher model --gold test_only.csv --out out",
    "label drive.mp4 --teacher model --check other_drive.csv --out out",
    "mix labels --set min_prob=1 --out out",
    "mix images/manifest.csv --set 'shares={\"moon\":0.5}' --out out",
    "mix images/manifest.csv --set looks.min_side=1000000 --out out",
    "predict model images/manifest.csv --tasks cone.count --out out/preds.jsonl",
    "distil --teacher model --student model --data test_only.csv --out out",
    "distil --teacher model --student model --data images --set 'lora.targets=[\"roof\"]' --out out",
    "distil --teacher model --student model --data images --set 'lora.targets=[]' --out out",
    "quantise model --data test_only.csv --out out",
    "prompts optimise model --data test_only.csv --out out",
    "prompts optimise model --data train_only.csv --out out",
    "bench model --data train_only.csv --out out",
    "run mini --images test_only.csv --out out",
    "study data --images train_only.csv --out out",
    "review labels --task speed_limit",
    "paint --painter painter --world render --set 'prompts.views=[\"far\"]' --out out",
    "paint --painter painter --world render --set 'prompts.views=[]' --out out",
    "render --plan --coco --num-frames 1 --out out",
    "render --scenes plan.jsonl --domain world --out out",
    "distil --teacher model --student images --data images --out out",
    "distil --teacher images --student model --data images --out out",
    "distil --teacher model --student model --data render --out out",
)
OUTPUTS = {
    "predict model images/0.png --out": "file",
    "predict model images/manifest.csv --blind --out": "file",
    "ingest drive.mp4 --out": "folder",
    "label drive.mp4 --teacher model --out": "folder",
    "mine images/manifest.csv --embedder model --out": "folder",
    "mix images/manifest.csv --set val_share=0 --out": "folder",
    "bench model --data images/manifest.csv --out": "folder",
    "prompts optimise model --data images/manifest.csv --out": "folder",
    "distil --teacher model --student model --data images/manifest.csv --set steps=1 --out": "folder",
    "quantise model --data images/manifest.csv --group-size 32 --out": "folder",
    "paint --painter painter --world render --out": "folder",
    "render --plan --num-frames 1 --out": "folder",
    "study temporal --out": "folder",
    "run mini --out": "folder",
}
BAD_PLACES = {
    "": "file folder",
    "/dev/null": "file folder",
    "/dev/full": "file folder",
    "fifo": "file folder",
    "loop": "file folder",
    "notes.txt": "file folder",
    "images/0.png": "file folder",
    "images/manifest.csv": "file folder",
    "drive.mp4": "file folder",
    "images/0.png/deeper/out": "file folder",
    "/proc/nowhere/out": "file folder",
    f"{'n' * 300}": "file folder",
    "images": "file",
    "model": "file",
    ".": "file",
    "model/config.json": "file folder",
}


INPUTS_AS_OUTPUTS = (
    "ingest images --out images",
    "label images --teacher model --out images",
    "mine labels --text traffic_light.state=red --out labels",
    "mine images/manifest.csv --out out --index images/manifest.csv",
    "mix render --out render",
    "mix labels --out labels/.",
    "distil --teacher model --student model --data images --out model",
    "distil --teacher model --student model --data images --out images",
    "quantise model --data images/manifest.csv --out model",
    "prompts optimise model --data images/manifest.csv --out model",
    "bench model --data images/manifest.csv --out model",
    "paint --painter painter --world render --out render",
    "predict model plan.jsonl --out plan.jsonl",
    "predict model images/0.png --prompts prompts/prompts.json --out prompts/prompts.json",
)


def setting_cases() -> Iterator[Case]:
    """Settings out of their ranges or of no type that fits, and options likewise."""
    for command, keys in SET_COMMANDS.items():
        for key in keys:
            for value in WRONG_VALUES:
                yield Case(name=f"{command.split()[0]}-{key}={value}", command=f"{command} --set {key}={value}")
    for command in (*SETTINGS, *OPTIONS):
        yield Case(name=command, command=command)


def output_cases() -> Iterator[Case]:
    """Outputs that are an input, a device, another kind of file, or nothing that can be written."""
    for command, kind in OUTPUTS.items():
        for place, kinds in BAD_PLACES.items():
            if kind in kinds.split():
                yield Case(
                    name=f"{command.split()[0]}-out={place[:30]}", command=f"{command} {place!r}", spoil=_special
                )

    for command in INPUTS_AS_OUTPUTS:
        yield Case(name=command, command=command)


def _special() -> None:
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")


def all_cases() -> list[Case]:
    """Every case, in an order that does not change."""
    return [*file_cases(), *setting_cases(), *output_cases()]


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
