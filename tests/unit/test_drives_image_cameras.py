"""Images of several cameras in one folder are one camera's drive at a time, and the choice is said."""

import json
from pathlib import Path

import pytest

from drive_files import write_images
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.frames import read_frames
from drivelet.drives.image_cameras import cameras_of
from drivelet.drives.ingest import IngestConfig, ingest

SIDE_BY_SIDE = [
    ("{}_{:04d}.png", ["rear", "front", "front_left"], "front", "front"),
    ("2023_0501_1200{1:02d}{0}.png", ["R", "F", "I"], "F", "F"),
    ("cam{}_{:06d}.png", ["1", "0", "2"], "0", "cam0"),
    ("{1:04d}{0}.png", ["", "_rear", "_left"], "", "plain"),
    ("n015__{}__15324029{:02d}112460.png", ["CAM_BACK", "CAM_FRONT", "CAM_FRONT_LEFT"], "CAM_FRONT", "FRONT"),
]


@pytest.mark.parametrize(("pattern", "names", "wanted", "camera"), SIDE_BY_SIDE)
def test_one_camera_is_taken_by_its_name_and_the_others_are_said(
    tmp_path: Path, pattern: str, names: list[str], wanted: str, camera: str
) -> None:
    folder = write_images(tmp_path / "in", [pattern.format(name, n) for n in range(10, 16) for name in names])
    out = ingest(IngestConfig(), source=folder, out=tmp_path / "out")
    summary, rows = json.loads((out / "drive.json").read_text()), read_rows(out / "frames.lance")
    assert (len(rows), summary["frames"], summary["camera"]) == (6, 6, camera)
    assert "another with --set camera=NAME" in summary["assumed"][-1]
    pictures = [image for _, _, image in read_frames(rows[0]["file"])]
    place = names.index(wanted)
    assert [int(image.mean()) for image in pictures] == [20 + 4 * (3 * n + place) for n in range(6)]


def test_another_camera_can_be_set_and_a_wrong_one_names_those_there(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "in", [f"{name}_{n}.png" for n in range(4) for name in ("front", "rear")])
    out = ingest(IngestConfig(camera="rear"), source=folder, out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["camera"] == "rear"
    assert [n for n, _, _ in read_frames(read_rows(out / "frames.lance")[0]["file"])] == [0, 1, 2, 3]
    with pytest.raises(InputError, match="set camera to one of front, rear"):
        ingest(IngestConfig(camera="top"), source=folder, out=tmp_path / "top")


def test_images_of_no_camera_are_counted(tmp_path: Path) -> None:
    names = [f"{name}_{n}.png" for n in range(8) for name in ("front", "rear")]
    folder = write_images(tmp_path / "in", [*names, "map.png"])
    out = ingest(IngestConfig(), source=folder, out=tmp_path / "out")
    assert json.loads((out / "drive.json").read_text())["lost"] == {"images of no camera": 1}


@pytest.mark.parametrize(
    "names",
    [
        [f"{n}.png" for n in range(9)],
        [f"img{n}.png" for n in range(30)],
        ["front_1.png", "rear_1.png", "left_1.png"],
        [f"IMG_{n}.png" for n in range(5)] + [f"DSC_{n}.png" for n in range(100, 105)],
        [f"2023-05-01T{hour}:{n}:00Z.png" for hour in (12, 13) for n in range(10, 20)],
        [f"{n * 2654435761 % 2**32:08x}.png" for n in range(40)],
        [],
    ],
)
def test_one_series_is_no_matter_of_cameras(names: list[str]) -> None:
    assert cameras_of([Path(name) for name in names]) == {}
