"""`drivelet mine` on small real drives: videos, sensor logs, ingestion, toy labelers, real models of random weights."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from cli_calls import call, done, refused
from drive_files import write_images, write_sensors, write_video
from drivelet import tasks
from drivelet.core.manifest import read_manifest
from drivelet.core.tables import read_rows
from drivelet.drives.frames import frames_at
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.labels.label import LabelConfig, label_drive
from drivelet.labels.tables import join_labels
from drivelet.recipes.mining_sources import read_stock
from tiny_clip import save_clip

FIELDS = tasks.fields()
LAMP = "traffic_light.state"


class Level:
    """Calls bright frames red and dark ones green; frames that are brightest of all are called yellow by `odd`."""

    fields = (LAMP,)

    def __init__(self, name, *, odd=False):
        self.name = self.family = name
        self.odd = odd

    def label(self, image):
        level = float(image.mean())
        if self.odd and level > 120:
            return {LAMP: {"yellow": 0.9, "red": 0.1}}
        return {LAMP: {"red": 0.9, "green": 0.1} if level > 80 else {"red": 0.1, "green": 0.9}}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Two ingested drives (`in/a` with sensors, `in/b`), and both labelled in `labels`."""
    root = tmp_path_factory.mktemp("mining")
    raw = root / "raw"
    raw.mkdir()
    write_video(raw / "a.mp4", frames=30)
    write_sensors(raw / "a.csv")
    write_images(raw / "b", [f"{i:03d}.png" for i in range(20)])
    ingest(IngestConfig(), source=raw, out=root / "in")
    parts = []
    for number, name in enumerate(("a", "b")):
        part = root / "labels" / "drives" / f"{number:03d}-{name}"
        label_drive(
            LabelConfig(hz=5), drive=root / "in" / name, labelers=[Level("plain"), Level("odd", odd=True)],
            fields={LAMP: FIELDS[LAMP]}, calibration=None, read_frames=frames_at, out=part,
        )  # fmt: skip
        parts.append(part)
    join_labels(parts, out=root / "labels")
    return root


@pytest.fixture
def mine(world, tiny_folder, tmp_path, capfd):
    """Run `drivelet mine` with the tiny model on an index that all tests of this file share."""

    def run(*arguments, sources=("labels", "in"), out=tmp_path / "out", embedder=tiny_folder):
        folders = [world / source for source in sources]
        index = world / f"index-{Path(embedder).name}"
        printed = done(capfd, "mine", *folders, "--out", out, "--index", index, "--embedder", embedder, *arguments)
        lines = [json.loads(line) for line in (out / "mined.jsonl").read_text().splitlines()]
        return lines, printed

    return run


def test_labelled_frames_carry_the_sensors_of_their_ingested_form(world):
    stock = read_stock([world / "labels", world / "in"], hz=5, specs=FIELDS)
    assert len(stock.frames) == 15 + 10
    assert [f.speed_mps for f in stock.frames if f.drive == "a"] == pytest.approx(
        [10 + i / 5 for i in range(15)], abs=1e-3
    )
    seen = stock.evidence[LAMP]
    table = {(r["drive"], r["frame"]): r for r in read_rows(world / "labels" / "labels.lance")}
    for place, frame in enumerate(stock.frames):
        label = table[frame.drive, frame.frame]
        assert seen.probs_FC[place].sum() == pytest.approx(1)
        assert seen.probs_FC[place, seen.choices.index(label["answer"])] == pytest.approx(label["prob"])
        assert seen.reasons[place] == label["reason"]
    assert seen.labelers == ("odd", "plain")


def test_a_query_finds_labelled_frames_and_says_why(mine):
    lines, printed = mine("--text", f"{LAMP}=green and speed_mps<12", "--set", "apart_s=0.5", "--budget", 4)
    assert 1 <= len(lines) <= 4
    assert {line["drive"] for line in lines} == {"a"}
    assert [line["score"] for line in lines] == sorted((line["score"] for line in lines), reverse=True)
    assert lines[0]["why"].startswith(f"{LAMP}=green 0.")
    assert ", speed_mps 1" in lines[0]["why"]
    times = sorted(line["t"] for line in lines)
    assert np.diff(times).min(initial=1) >= 0.5
    assert f"{LAMP}=green" in printed
    assert "Next: look at" in printed


def test_an_example_finds_itself_first_by_frame_and_by_file(mine, world):
    lines, _ = mine("--like", "a:12", "--set", "apart_s=0.3")
    assert (lines[0]["drive"], lines[0]["frame"]) == ("a", 12)
    assert lines[0]["score"] == pytest.approx(1, abs=1e-5)
    lines, _ = mine("--like", world / "raw" / "b" / "006.png", "--set", "apart_s=0.1")
    assert {("b", 6)} <= {(line["drive"], line["frame"]) for line in lines if line["score"] > 0.99999}


def test_darkness_is_measured_where_a_query_asks_for_it(mine):
    lines, _ = mine("--text", "dark", "--set", "apart_s=0.1")
    assert {line["frame"] for line in lines} == {0, 2, 4}
    assert all(float(line["why"].removeprefix("luma ")) < 40 for line in lines)


def test_hard_frames_are_those_that_labelers_dispute(mine, world):
    lines, _ = mine("--hard", "--budget", 3, "--set", "select.scene_s=0.5")
    votes = read_rows(world / "labels" / "votes.lance")
    disputed = {(v["drive"], v["frame"]) for v in votes if v["labeler"] == "odd" and "yellow" in v["probs"]}
    assert len(lines) == 3
    assert {(line["drive"], line["frame"]) for line in lines} & disputed
    assert any("odd says yellow 0.90 but plain says red 0.90" in line["why"] for line in lines)


def test_without_a_question_the_frames_that_stand_for_the_rest_are_chosen_once_a_scene(mine):
    lines, printed = mine("--budget", 10, "--set", "select.per_scene=1", "--set", "select.scene_s=1", sources=("in",))
    scenes = [(line["drive"], int(line["t"])) for line in lines]
    assert len(scenes) == len(set(scenes)) == 5
    assert "5 of 25 frames, drives: 2" in printed


def test_a_manifest_of_images_is_mined_and_keeps_its_splits(mine, world, tmp_path):
    manifest = world / "images.csv"
    rows = [
        f"raw/b/{i:03d}.png,{LAMP},{'red' if i > 15 else 'none'},{'test' if i % 2 else 'val'},g{i}" for i in range(20)
    ]
    manifest.write_text("path,task,label,split,group\n" + "\n".join(rows) + "\n")
    lines, _ = mine("--text", f"{LAMP}=red", sources=("images.csv",))
    assert sorted(Path(line["file"]).stem for line in lines) == ["016", "017", "018", "019"]
    assert {line["t"] for line in lines} == {None}
    made = read_manifest(tmp_path / "out" / "manifest.csv", tasks=FIELDS, need_labels=False)
    assert {(row.group, row.split) for row in made} == {
        ("g16", "val"),
        ("g17", "test"),
        ("g18", "val"),
        ("g19", "test"),
    }


def test_free_text_is_searched_with_a_dual_encoder(mine, tmp_path):
    clip = save_clip(tmp_path / "clip")
    lines, _ = mine("--text", "red lamp", "--set", "apart_s=0.1", embedder=clip)
    assert len(lines) == 25
    assert [line["score"] for line in lines] == sorted((line["score"] for line in lines), reverse=True)
    assert lines[0]["why"].endswith("to 'red lamp'")


def test_the_manifest_waits_for_labels_and_can_be_predicted(mine, tiny_folder, tmp_path, capfd):
    mine("--text", f"{LAMP}=red", "--budget", 2)
    manifest = tmp_path / "out" / "manifest.csv"
    with manifest.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["label"] for row in rows} == {""}
    assert {row["task"] for row in rows} == set(FIELDS)
    done(capfd, "predict", tiny_folder, manifest, "--out", tmp_path / "preds.jsonl", "--tasks", LAMP)
    said = [json.loads(line) for line in (tmp_path / "preds.jsonl").read_text().splitlines()]
    assert {line["image"] for line in said} == {str(tmp_path / "out" / row["path"]) for row in rows}


def test_a_second_call_embeds_nothing_again(mine, world, tiny_folder, tmp_path, capfd):
    mine("--like", "a:12")
    arguments = ("--index", world / f"index-{tiny_folder.name}", "--embedder", tiny_folder, "--like", "b:6")
    outcome = call(capfd, "mine", world / "labels", "--out", tmp_path / "again", *arguments)
    assert outcome.code == 0
    assert "embedded" not in outcome.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("in --hard", "--hard: no drive here is labelled; run `drivelet label` and give its folder"),
        ("in --text {lamp}=red", "no frame here is labelled for {lamp}; run `drivelet label` first"),
        ("labels --text standing", "no frame here has speed_mps; add an ingested drive with a sensor log"),
        ("labels --text {lamp}=blue", "character 21 (at 'blue'): 'blue' is no answer of {lamp}"),
        ("labels --text {lamp}=off", "mine: none of 25 frames fits; ask for less, or lower --set least"),
        ("labels --hard --text dark", "mine: --like, --text and --hard are three ways; give one of them"),
        ("labels --like a:13", "--like a:13: that frame is not among those mined; the nearest is 12"),
        ("labels --like nowhere.png", "nowhere.png: no such file"),
        ("raw --hard", "raw: no ingested drive (drive.json); run `drivelet ingest PATH"),
        ("labels --like a:12 --embedder nowhere", "nowhere: no such model folder"),
        ("labels --hard --set select.clint=3", "unknown key 'clint'; did you mean clients?"),
    ],
)
def test_bad_input_is_named(world, tiny_folder, tmp_path, capfd, arguments, message):
    source, *rest = arguments.format(lamp=LAMP).split()
    rest = rest if "--embedder" in rest else [*rest, "--embedder", tiny_folder]
    assert message.format(lamp=LAMP) in refused(capfd, "mine", world / source, "--out", tmp_path / "out", *rest)
