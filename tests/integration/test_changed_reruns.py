"""A command that is called again with anything changed gives what it gives in an empty folder, no older result."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from safetensors.torch import load_file

from cli_calls import done
from drive_files import write_sensors, write_video
from drivelet.adapters import blender
from drivelet.adapters.diffusers import save_pipeline
from drivelet.adapters.painter_parts import small_pipeline
from drivelet.core.errors import MissingBackendError
from drivelet.core.outputs import RUN, STAGES
from drivelet.core.tables import read_rows
from drivelet.synth.painting.captions import vocabulary
from render_folders import write_render
from tiny_vlm import save_tiny

TIMES = {
    "ms", "seconds", "started", "fps", "fps_low", "fps_high", "peak_rss_mb", "model_mb", "files_per_second",
}  # fmt: skip
"""What a stopwatch or the memory says differs from call to call."""
Place = Path
Change = Callable[[Place], Sequence[object]]
"""Changes the inputs in a folder where it must, and returns the arguments of the second call."""


def told(out: Path) -> dict[str, Any]:
    """Everything that lies in an output folder or file, without times and without its own place."""
    files = [out] if out.is_file() else sorted(path for path in out.rglob("*") if path.is_file())
    kept = (out / STAGES, out / "index")  # found by content: results of earlier calls may go on lying there
    tables = {path for path in out.rglob("*.lance") if path.is_dir() and not _beneath(path, kept)}
    found: dict[str, Any] = {str(table.relative_to(out)): _plain(read_rows(table), out) for table in tables}
    for path in files:
        inside = _beneath(path, (*kept, *tables))
        if not inside and path.name not in (RUN, "cost.json", "report.html") and path.suffix not in (".log", ".sqlite"):
            found[str(path.relative_to(out.parent if out.is_file() else out))] = _content(path, out)
    return found


def _beneath(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _content(path: Path, out: Path) -> Any:
    if path.suffix == ".json":
        return _plain(json.loads(path.read_text()), out)
    if path.suffix == ".jsonl":
        return [_plain(json.loads(line), out) for line in path.read_text().splitlines()]
    if path.suffix in (".csv", ".md", ".txt"):
        return path.read_text().replace(str(out), "OUT")
    if path.suffix == ".safetensors":
        return _weights(path)
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _weights(path: Path) -> dict[str, Any]:
    """Weights to a thousandth: threads add in another order from run to run."""
    return {
        name: [str(tensor.dtype), *tensor.shape, f"{tensor.float().mean():.3f}", f"{tensor.float().norm():.3f}"]
        for name, tensor in sorted(load_file(path).items())
    }


def _plain(value: Any, out: Path) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each, out) for key, each in value.items() if key not in TIMES}
    if isinstance(value, list):
        return [_plain(each, out) for each in value]
    if isinstance(value, float):
        return repr(value)  # NaN equals itself
    return value.replace(str(out), "OUT") if isinstance(value, str) else value


@dataclass(frozen=True, kw_only=True)
class Walk:
    """A command: what makes its inputs in an empty folder and gives the first call, and three changes or more."""

    first: Change
    changes: tuple[Change, ...]
    out: str = "out"


def picture(path: Path, colour: tuple[int, int, int], *, seed: int = 0) -> Path:
    noise = np.random.default_rng(seed).integers(0, 40, (96, 128, 3))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray((np.full((96, 128, 3), colour) // 2 + noise).astype(np.uint8)).save(path)
    return path


def write_data(folder: Path, *, colours: int = 6) -> Path:
    """A manifest of coloured pictures with rows to train, to accept and to test on."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["path,task,label,split,group"]
    for number in range(colours):
        picture(folder / f"{number}.png", (40 * number, 90, 200 - 30 * number), seed=number)
        split = ("train", "train", "val", "train", "val", "test")[number % 6]
        label = ("red", "green")[number % 2]
        lines += [f"{number}.png,traffic_light.state,{label},{split},g{number}"]
        lines += [f"{number}.png,cone.count,{(number % 3 and '1-2') or '0'},{split},g{number}"]
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder / "manifest.csv"


def repaint(folder: Path) -> None:
    """Put other pictures under the same names; the manifest stays as it is."""
    for number, path in enumerate(sorted(folder.glob("*.png"))):
        picture(path, (200 - 20 * number, 30 * number, 60), seed=100 + number)


def relabel(manifest: Path) -> None:
    text = manifest.read_text()
    manifest.write_text(text.replace("red", "yellow"))


def model(here: Path, name: str = "model", *, seed: int = 0) -> Path:
    """A tiny model in a folder of this name: other weights may lie under the same name later."""
    shutil.rmtree(here / name, ignore_errors=True)
    return save_tiny(here / name, seed=seed)


def settings(*values: str) -> list[str]:
    return [word for value in values for word in ("--set", value)]


# ---------------------------------------------------------------------- the commands


def ingest(*more: object) -> Change:
    def call(here: Path) -> Sequence[object]:
        if not (here / "drive").exists():
            write_video(here / "drive" / "clip.mp4")
        return ["ingest", here / "drive", *more]

    return call


def ingest_other_video(here: Path) -> Sequence[object]:
    write_video(here / "drive" / "clip.mp4", frames=25)
    return ingest()(here)


def ingest_with_sensors(here: Path) -> Sequence[object]:
    write_sensors(here / "drive" / "clip.csv")
    return ingest()(here)


def label(*more: object, seed: int | None = None) -> Change:
    def call(here: Path) -> Sequence[object]:
        if not (here / "drive").exists():
            write_video(here / "drive" / "clip.mp4", frames=10)
        if seed is not None or not (here / "model").exists():
            model(here, seed=seed or 0)
        return ["label", here / "drive" / "clip.mp4", "--teacher", here / "model", *more]

    return call


def label_other_video(here: Path) -> Sequence[object]:
    write_video(here / "drive" / "clip.mp4", frames=10, noise=True, codec="mpeg4")
    return label()(here)


def mine(*more: object) -> Change:
    def call(here: Path) -> Sequence[object]:
        if not (here / "data").exists():
            write_data(here / "data")
            model(here)
        return ["mine", here / "data" / "manifest.csv", "--embedder", here / "model", "--budget", 2, *more]

    return call


def mine_other_pictures(here: Path) -> Sequence[object]:
    repaint(here / "data")
    return mine("--like", here / "data" / "0.png")(here)


def mix(*more: str) -> Change:
    def call(here: Path) -> Sequence[object]:
        if not (here / "data").exists():
            write_data(here / "data")
        return ["mix", here / "data" / "manifest.csv", *settings("real_share=null", *more)]

    return call


def after(change: Callable[[Path], object], call: Change) -> Change:
    def changed(here: Path) -> Sequence[object]:
        change(here)
        return call(here)

    return changed


def on_data(command: Callable[[Path], Sequence[object]]) -> Change:
    """A command that wants the manifest and two models."""

    def call(here: Path) -> Sequence[object]:
        if not (here / "data").exists():
            write_data(here / "data")
            model(here, "teacher", seed=0)
            model(here, "student", seed=1)
        return command(here)

    return call


def distil(*more: str) -> Change:
    return on_data(
        lambda here: [
            "distil", "--teacher", here / "teacher", "--student", here / "student", "--data", here / "data",
            *settings("steps=2", "images_per_step=2", "warmup=1", *more),
        ]
    )  # fmt: skip


def optimise(*more: str) -> Change:
    small = settings("rounds=1", "candidates_per_field=1", "train_rows=3", "val_rows=2", *more)
    return on_data(lambda here: ["prompts", "optimise", here / "student", "--data", here / "data", *small])


def quantise(*more: object) -> Change:
    return on_data(lambda here: ["quantise", here / "student", "--data", here / "data", *more])


def predict(*more: object) -> Change:
    return on_data(lambda here: ["predict", here / "student", here / "data" / "manifest.csv", *more])


def bench() -> Change:
    return on_data(lambda here: ["bench", here / "student", "--data", here / "data" / "manifest.csv"])


def more_tests(here: Path) -> None:
    manifest = here / "data" / "manifest.csv"
    manifest.write_text(manifest.read_text().replace(",val,", ",test,"))


def render(*more: object) -> Change:
    return lambda here: ["render", "--domain", "town", *more]


def paint(*more: str) -> Change:
    small = (
        "rounds=1", "prompts_per_round=4", "candidates.per_prompt=1", "held_out_prompts=4", "sampler_steps=2",
        "lora.steps=1", "lora.rank=2", "lora.batch_size=2", "candidates.reject.clipped=1",
        "candidates.reject.hash_distance=-1", "candidates.reject.least_box=1.1",
        *(f"candidates.reject.{name}=0" for name in ("least_prob", "least_sharpness", "least_contrast")),
    )  # fmt: skip

    def call(here: Path) -> Sequence[object]:
        if not (here / "world").exists():
            write_render(here / "world", count=8)
            painter(here, seed=2)
            model(here)
        arguments = ["--world", here / "world", "--painter", here / "painter", "--teacher", here / "model"]
        return ["paint", *arguments, *settings(*small, *more)]

    return call


def painter(here: Path, *, seed: int) -> None:
    shutil.rmtree(here / "painter", ignore_errors=True)
    save_pipeline(small_pipeline(vocabulary(), seed=seed, channels=(32, 32), text_width=32), here / "painter")


def other_world(here: Path) -> None:
    for number, path in enumerate(sorted((here / "world" / "frames").glob("*.png"))):
        Image.new("RGB", (320, 192), (90, 20 * number, 40)).save(path)


def other(name: str) -> Callable[[Path], object]:
    return lambda here: model(here, name, seed=5)


def repainted(here: Path) -> None:
    repaint(here / "data")


def relabelled(here: Path) -> None:
    relabel(here / "data" / "manifest.csv")


WALKS = {
    "render": Walk(
        first=render("--num-frames", 1),
        changes=(render("--num-frames", 2), render("--num-frames", 1, "--seed", 4), render("--num-frames", 1)),
    ),
    "paint": Walk(
        first=paint(),
        changes=(
            paint("sampler_steps=3"), after(other_world, paint()), after(lambda here: painter(here, seed=7), paint()),
        ),
    ),
    "ingest": Walk(
        first=ingest(),
        changes=(ingest_other_video, ingest_with_sensors, ingest(*settings("ego.stop_mps=60", "ego.go_mps=70"))),
    ),
    "label": Walk(
        first=label(), changes=(label_other_video, label(seed=3), label(*settings("hz=2")), label("--gold", "GOLD"))
    ),
    "mine": Walk(
        first=mine(),
        changes=(mine("--like", "DATA/0.png"), mine_other_pictures, after(other("model"), mine("--budget", 3))),
    ),
    "mix": Walk(
        first=mix(),
        changes=(
            after(repainted, mix()), after(relabelled, mix()), mix("max_images=2"), mix("val_share=0.5", "seed=3"),
        ),
    ),
    "distil": Walk(
        first=distil(),
        changes=(
            distil("alpha=0.1"), distil("learning_rate=0.01"), after(repainted, distil()),
            after(other("teacher"), distil()), after(other("student"), distil()), after(relabelled, distil()),
        ),
    ),
    "optimise": Walk(
        first=optimise(),
        changes=(after(other("student"), optimise()), after(repainted, optimise()), optimise("candidates_per_field=2")),
    ),
    "quantise": Walk(
        first=quantise("--group-size", 32),
        changes=(
            quantise("--group-size", 32, "--bits", 8), after(other("student"), quantise("--group-size", 32)),
            after(repainted, quantise("--group-size", 32)),
        ),
    ),
    "predict": Walk(
        out="preds.jsonl",
        first=predict(),
        changes=(after(repainted, predict()), after(other("student"), predict()), predict("--tasks", "cone")),
    ),
    "bench": Walk(
        first=bench(), changes=(after(repainted, bench()), after(other("student"), bench()), after(more_tests, bench()))
    ),
}  # fmt: skip


def wants_blender() -> None:
    try:
        blender.find_blender()
    except MissingBackendError as error:
        pytest.skip(f"render: {error}")


def described_in(out: Path) -> bool:
    return (out / RUN).is_file() or (out.parent / f"{out.stem}.{RUN}").is_file()


def resolved(arguments: Sequence[object], here: Path) -> list[object]:
    """Put real places for the words GOLD and DATA."""
    if "GOLD" in arguments:
        write_data(here / "gold")
    places = {"GOLD": str(here / "gold" / "manifest.csv"), "DATA/0.png": str(here / "data" / "0.png")}
    return [places.get(str(word), word) for word in arguments]


@pytest.mark.parametrize("name", WALKS)
def test_a_changed_call_gives_what_it_gives_in_an_empty_folder(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    walk = WALKS[name]
    if name == "render":
        wants_blender()
    out = tmp_path / walk.out
    done(capfd, *resolved(walk.first(tmp_path), tmp_path), "--out", out)
    before = told(out)
    for number, change in enumerate(walk.changes):
        arguments = resolved(change(tmp_path), tmp_path)
        done(capfd, *arguments, "--out", out)
        fresh = tmp_path / f"fresh-{number}" / walk.out
        done(capfd, *arguments, "--out", fresh)
        now = told(out)
        assert described_in(out), "there is no run.json"
        assert now == told(fresh), f"change {number}"
        assert now != before, f"change {number} changed nothing"
        before = now


@pytest.mark.parametrize("name", WALKS)
def test_the_same_call_gives_the_same(name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    walk, out = WALKS[name], tmp_path / WALKS[name].out
    if name == "render":
        wants_blender()
    arguments = resolved(walk.first(tmp_path), tmp_path)
    done(capfd, *arguments, "--out", out)
    first = told(out)
    done(capfd, *arguments, "--out", out)
    assert told(out) == first


def test_a_report_follows_its_summary(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    done(capfd, *bench()(tmp_path), "--out", tmp_path / "out")
    summary, seen = tmp_path / "out" / "summary.json", set[str]()
    whole = json.loads(summary.read_text())
    for changed in (
        {}, {"recipe": "other"}, {"rows": [{**row, "name": "other"} for row in whole["rows"]]},
        {"data": {**whole["data"], "rows": 7}},
    ):  # fmt: skip
        summary.write_text(json.dumps(whole | changed))
        done(capfd, "report", tmp_path / "out")
        seen.add((tmp_path / "out" / "report.html").read_text())
    assert len(seen) == 4


def test_two_processes_in_one_folder_give_what_one_gives(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = label()(tmp_path)
    done(capfd, *arguments, "--out", tmp_path / "alone")
    command = [sys.executable, "-m", "drivelet.cli", *map(str, arguments), "--out", str(tmp_path / "both")]
    pair = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [process.communicate(timeout=600)[1] for process in pair]
    assert [process.returncode for process in pair] == [0, 0], ended
    assert told(tmp_path / "both") == told(tmp_path / "alone")
    assert any("done before" in said for said in ended)


def models_of(run: Path) -> dict[str, str]:
    return {row["name"]: row["model"] for row in json.loads((run / "summary.json").read_text())["rows"]}


TOUCHED = {
    "awq.grid=5": {"awq"},
    "distil.learning_rate=0.01": {"distilled", "awq"},
    "data.learning_rate=0.01": {"data"},
    "mix.seed=9": {"data", "distilled", "awq"},
}


@pytest.mark.fuzz
def test_a_run_makes_what_a_change_touches_and_nothing_else(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    wants_blender()
    done(capfd, "run", "tiny", "--out", tmp_path)
    before = models_of(tmp_path)
    for setting, changed in TOUCHED.items():
        done(capfd, "run", "tiny", "--out", tmp_path, "--set", setting)
        now = models_of(tmp_path)
        assert {name for name in now if now[name] != before[name]} == changed, setting
