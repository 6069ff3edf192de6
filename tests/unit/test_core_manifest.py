"""Image manifests: what is read back, and one clear line for each mistake."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from PIL import Image

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, check_groups, read_manifest, write_manifest

HEADER = "path,task,label,split,group"


def write(folder: Path, *lines: str, header: str = HEADER) -> Path:
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    path = folder / "manifest.csv"
    path.write_text("\n".join([header, *lines]) + "\n")
    return path


def read(path: Path, *, need_labels: bool = True) -> list[Row]:
    return read_manifest(path, tasks=tasks.fields(), need_labels=need_labels)


def test_paths_are_relative_to_the_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, "a.png,traffic_light.state,red,train,g1")
    monkeypatch.chdir("/")
    (row,) = read(path)
    assert row == Row(path=str(tmp_path / "a.png"), task="traffic_light.state", label="red", split="train", group="g1")


def test_a_coarser_label_is_allowed(tmp_path: Path) -> None:
    lines = ["a.png,cone.count,some,train,g", "a.png,speed_limit.posted,25 mph,train,g"]
    assert [row.label for row in read(write(tmp_path, *lines))] == ["some", "25 mph"]


def test_a_byte_order_mark_and_spaces_do_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, " a.png , traffic_light.state , red , train , g ", header="\ufeff" + HEADER)
    assert read(path)[0].label == "red"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("b.png,traffic_light.state,red,train,g", r"line 2: image b.png does not exist"),
        ("a.png,traffic_light.state,purple,train,g", r"label 'purple' is outside the set of traffic_light.state"),
        ("a.png,traffic_light.colour,red,train,g", r"task 'traffic_light.colour' is none of traffic_light.state"),
        ("a.png,traffic_light.state,red,dev,g", r"split 'dev' is none of train, val, test"),
        ("a.png,,,train,g", r"task '' is none of"),
        ("a.png,traffic_light.state", r"label '' is outside|split '' is none of"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read(write(tmp_path, line))


@pytest.mark.parametrize("weight", ["0", "-1", "1.5", "nan", "much"])
def test_a_wrong_weight_is_named(tmp_path: Path, weight: str) -> None:
    path = write(tmp_path, f"a.png,traffic_light.state,red,train,g,{weight}", header=HEADER + ",weight")
    with pytest.raises(InputError, match=r"line 2: weight '.*' is no number in \(0, 1\]"):
        read(path)


@pytest.mark.parametrize(("column", "most"), [("sensor", 1000), ("boxes", 100_000), ("trust", 200), ("path", 4096)])
def test_a_cell_that_no_model_should_read_is_named(tmp_path: Path, column: str, most: int) -> None:
    header = HEADER if column == "path" else f"{HEADER},{column}"
    cells = {"path": "a.png", "task": "cone.count", "label": "0", "split": "train", "group": "g"}
    for length in (most, most + 1):
        line = ",".join((cells | {column: "x" * length}).values())
        with pytest.raises(InputError) if length > most or column == "path" else nullcontext() as caught:
            read(write(tmp_path, line, header=header))
        assert caught is None or len(str(caught.value)) < 600
        assert length == most or f"line 2: {column} has {length} characters, at most {most}" in str(caught.value)


def test_a_wrong_header_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="header lacks path, group; expected path,task,label,split,group"):
        read(write(tmp_path, "a.png,x", header="image,task,label,split"))


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n\xff\xfe\x00"])
def test_a_file_that_is_no_table_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"manifest\.csv"):
        read(path)


def test_a_missing_or_empty_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such manifest"):
        read(tmp_path / "manifest.csv")
    with pytest.raises(InputError, match="has no rows"):
        read(write(tmp_path))


def test_a_group_stays_in_one_split(tmp_path: Path) -> None:
    lines = ["a.png,traffic_light.state,red,train,g", "a.png,cone.count,0,test,g"]
    with pytest.raises(InputError, match="group 'g' stands in train and in test; keep it in one split"):
        read(write(tmp_path, *lines))


def test_an_empty_group_is_no_group() -> None:
    row = {"path": "a", "task": "t", "label": "x", "group": ""}
    check_groups([Row(split="train", **row), Row(split="test", **row)], where="here")


def test_prediction_needs_no_labels(tmp_path: Path) -> None:
    (row,) = read(write(tmp_path, "a.png,,,,"), need_labels=False)
    assert (row.task, row.label) == ("", "")


def test_a_manifest_moves_with_its_images(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    rows = read(write(tmp_path / "one", "a.png,traffic_light.state,red,train,g"))
    write_manifest(tmp_path / "one" / "copy.csv", rows)
    (tmp_path / "one").rename(tmp_path / "two")
    assert read(tmp_path / "two" / "copy.csv")[0].path == str(tmp_path / "two" / "a.png")
