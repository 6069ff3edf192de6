"""The mix with a share of its real training images."""

from pathlib import Path

from drivelet import tasks
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.recipes.studies.data_arms import few_real


def lamp(path: Path, label: str = "red", split: str = "train", source: str = "") -> Row:
    return Row(path=str(path), task="traffic_light.state", label=label, split=split, group=path.name, source=source)


def rows(folder: Path) -> list[Row]:
    return [
        *(lamp(folder / f"r{n:02}.png") for n in reversed(range(40))),
        lamp(folder / "y.png", label="yellow"),
        *(lamp(folder / f"t{n}.png", split="test") for n in range(3)),
        *(lamp(folder / f"m{n}.png", source="render") for n in range(7)),
        Row(path=str(folder / "r20.png"), task="cone.count", label="0", split="train", group="r20.png"),
    ]


def left_of(folder: Path, share: float) -> list[Row]:
    for row in rows(folder):
        Path(row.path).touch()
    write_manifest(folder / "mix.csv", rows(folder))
    (folder / "few").mkdir()
    few = few_real(share, manifest=folder / "mix.csv", out=folder / "few")
    return read_manifest(few / "manifest.csv", tasks=tasks.fields())


def test_a_share_of_every_label_and_all_that_is_not_real_training_data_is_left(tmp_path: Path) -> None:
    left = left_of(tmp_path, 0.1)
    real = [Path(row.path).stem for row in left if row.split == "train" and row.source != "render"]
    assert real == ["r30", "r20", "r10", "r00", "y", "r20"]
    assert sum(row.source == "render" for row in left) == 7
    assert sum(row.split == "test" for row in left) == 3


def test_the_whole_share_leaves_everything(tmp_path: Path) -> None:
    assert left_of(tmp_path, 1.0) == rows(tmp_path)
