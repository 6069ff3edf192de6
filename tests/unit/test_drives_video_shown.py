"""The frames of a video are those that a player shows, in its order, at its times, the way up that it shows them."""

import json
from fractions import Fraction

import av
import numpy as np
import pytest

from drive_files import damage, write_images, write_sensors
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.drives.display_matrix import Turn, read_matrix
from drivelet.drives.frames import frames_at, read_frames
from drivelet.drives.image_motion import small_grey
from drivelet.drives.ingest import IngestConfig, ingest
from drivelet.drives.timeline import read_timeline
from drivelet.drives.video import SUFFIXES, iter_video, read_video, video_pictures
from log_files import write_bdd
from video_files import (
    B_FRAMES,
    add_stream,
    drop_chunk,
    encode,
    grainy,
    mux,
    number_of,
    numbered,
    recut,
    without_repeats,
    write_cameras,
    write_cover_first,
)

CONTAINERS = [
    ("a.mp4", "libx264"), ("a.mov", "libx265"), ("a.m4v", "libx264"), ("a.3gp", "libx264"), ("a.f4v", "libx264"),
    ("a.mkv", "libx265"), ("a.webm", "libvpx"), ("a.flv", "libx264"), ("a.wmv", "wmv2"), ("a.asf", "wmv2"),
    ("a.avi", "libx264"), ("a.AVI", "mpeg4"), ("a.ts", "libx264"), ("a.MTS", "libx265"), ("a.m2ts", "mpeg2video"),
    ("a.mpg", "mpeg2video"), ("a.mpeg", "mpeg2video"), ("a.vob", "mpeg2video"), ("a.ivf", "libvpx"),
]  # fmt: skip
BARE = [
    ("a.h264", "libx264"), ("a.264", "libx264"), ("a.hevc", "libx265"), ("a.265", "libx265"), ("a.h265", "libx265"),
    ("a.m2v", "mpeg2video"), ("a.m4v", "mpeg4"), ("a.mjpeg", "mjpeg"),
]  # fmt: skip


def summary_of(source, out, **settings):
    return json.loads((ingest(IngestConfig(**settings), source=source, out=out) / "drive.json").read_text())


def corners(width=64, height=48):
    """A picture whose four quarters differ: it tells all eight ways to turn and mirror it apart."""
    picture = np.zeros((height, width, 3), np.uint8)
    for level, (rows, columns) in enumerate(np.ndindex(2, 2)):
        picture[rows * height // 2 :][: height // 2, columns * width // 2 :][:, : width // 2] = 30 + 60 * level
    return picture


@pytest.mark.parametrize(("name", "codec"), CONTAINERS + BARE)
def test_frames_come_in_the_order_of_display_in_every_container(tmp_path, name, codec):
    form = {"a.AVI": "avi", "a.MTS": "mpegts"}.get(name) or {("a.m4v", "mpeg4"): "m4v"}.get((name, codec))
    path = encode(tmp_path / name, numbered(40), codec=codec, options=B_FRAMES.get(codec), form=form)
    assert path.suffix.lower() in SUFFIXES
    timeline = read_timeline(path, fps=10.0 if (name, codec) in BARE else 0.0)
    read = list(read_video(path, timeline, range(40)))
    assert [index for index, _, _ in read] == list(range(40))
    assert [number_of(image) for _, _, image in read] == list(range(40))
    assert np.allclose([t for _, t, _ in read], np.arange(40) / 10, atol=1e-3)
    assert timeline.declared == 40
    assert not any(suspect for _, _, suspect in iter_video(path, timeline))


@pytest.mark.parametrize(("name", "codec"), [*CONTAINERS[:16], ("open.mp4", "libx265"), ("open.ts", "libx265")])
def test_a_frame_is_the_same_whether_reached_by_seek_or_by_decoding(tmp_path, monkeypatch, name, codec):
    options = {"x265-params": "b-adapt=0:bframes=3:log-level=0:open-gop=1"} if "open" in name else B_FRAMES.get(codec)
    form = {"a.AVI": "avi", "a.MTS": "mpegts"}.get(name)
    path = encode(tmp_path / name, numbered(50), codec=codec, options=options, form=form, key_every=7)
    timeline = read_timeline(path)
    whole = {index: image for index, _, image in read_video(path, timeline, range(50))}
    monkeypatch.setattr("drivelet.drives.video.SEEK_AHEAD", 1)
    for wanted in ([number] for number in range(0, 50, 3)):
        read = list(read_video(path, timeline, wanted))
        assert [index for index, _, _ in read] == wanted
        assert all(np.array_equal(image, whole[index]) for index, _, image in read)


@pytest.mark.parametrize("codec", ["libx264", "mjpeg", "mpeg4"])
def test_a_long_avi_whose_frames_keep_their_places_is_sought(tmp_path, monkeypatch, codec):
    options = {} if codec == "mjpeg" else {"bf": "0"}
    path = encode(tmp_path / "a.avi", numbered(50), codec=codec, options=options, key_every=7)
    drop_chunk(path, 20)
    timeline = read_timeline(path)
    assert len(timeline.keys_K)
    monkeypatch.setattr("drivelet.drives.video.SEEK_AHEAD", 1)
    numbers = [(i, round(t * 10), number_of(image)) for i, t, image in read_video(path, timeline, range(2, 49, 9))]
    assert numbers == [(n, n + (n >= 20), n + (n >= 20)) for n in range(2, 49, 9)]


@pytest.mark.parametrize("mirrored", [(False, False), (True, False), (False, True)])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_the_display_matrix_is_applied_wherever_frames_are_read(tmp_path, degrees, mirrored):
    picture = corners()
    path = encode(tmp_path / "a.mp4", [picture] * 3, codec="mpeg4", matrix=(degrees, *mirrored))
    shown = np.rot90(picture, degrees // 90)
    shown = shown[:, ::-1] if mirrored[0] else shown
    shown = shown[::-1] if mirrored[1] else shown
    for image in [next(read_frames(path))[2], next(frames_at(str(path), [1]))[1]]:
        assert image.shape == shown.shape
        assert np.abs(image.astype(int) - shown).mean() < 6
    summary = summary_of(path, tmp_path / "out")
    assert (summary["width"], summary["height"]) == (shown.shape[1], shown.shape[0])


def test_pixels_that_are_not_square_are_said(tmp_path):
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = add_stream(container, numbered(1)[0])
        stream.codec_context.sample_aspect_ratio = Fraction(4, 3)
        mux(container, [(stream, numbered(3))])
    said = summary_of(tmp_path / "a.mkv", tmp_path / "out")["assumed"]
    assert said == ["pixels are 1.33 as wide as high; the picture stays as it is stored"]


def test_motion_and_boxes_speak_of_the_shown_frame(tmp_path):
    path = encode(tmp_path / "a.mp4", [corners(400, 240)] * 2, matrix=(90, False, True))
    checked = next(video_pictures(path).check())
    image = next(read_frames(path))[2]
    assert checked.size == (image.shape[1], image.shape[0]) == (240, 400)
    assert np.abs(checked.grey.astype(int) - small_grey(image)).mean() < 4


@pytest.mark.parametrize("slant", [1 << 16, 3, 1 << 20])
@pytest.mark.parametrize(("degrees", "turn"), [
    (0, Turn()), (20, Turn()), (90, Turn(swapped=True, columns=True)), (200, Turn(columns=True, rows=True)),
    (250, Turn(swapped=True, rows=True)), (330, Turn()),
])  # fmt: skip
def test_a_slanted_or_scaled_matrix_is_the_nearest_quarter_turn(degrees, turn, slant):
    cos, sin = np.cos(np.radians(degrees)) * slant, np.sin(np.radians(degrees)) * slant
    matrix = np.array([cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30]).round().astype(np.int32)
    assert read_matrix(matrix.tobytes()) == turn
    assert read_matrix(matrix.tobytes()[:7]) == Turn()


def test_a_turned_bdd100k_clip_keeps_its_sensors(tmp_path):
    video = write_bdd(tmp_path)
    encode(video, [corners()] * 48, fps=2, matrix=(90, False, False))
    summary = summary_of(video, tmp_path / "out")
    assert (summary["kind"], summary["width"], summary["height"]) == ("bdd100k", 48, 64)
    assert summary["sensors"] == ["speed_mps", "yaw_rate_radps", "acceleration_mps2"]


def test_a_cut_by_an_edit_list_starts_at_the_first_shown_frame(tmp_path):
    """Decoding must begin at a key frame before the cut; what lies between is not shown, and not damaged."""
    whole = encode(tmp_path / "whole.mp4", numbered(40), options=B_FRAMES["libx264"], key_every=20)
    path = recut(whole, tmp_path / "cut" / "a.mp4", shift_s=1.7)
    write_sensors(tmp_path / "cut" / "sensors.csv", seconds=2.2)
    out = ingest(IngestConfig(), source=path, out=tmp_path / "out")
    rows = read_rows(out / "frames.lance")
    assert [row["frame"] for row in rows] == list(range(23))
    assert [row["t"] for row in rows] == pytest.approx(np.arange(23) / 10)
    assert [row["speed_mps"] for row in rows] == pytest.approx(10 + np.arange(23) / 10, abs=1e-3)
    summary = json.loads((out / "drive.json").read_text())
    assert (summary["skipped_frames"], summary["suspect_frames"], summary["duration_s"]) == (0, 0, 2.2)
    assert [number_of(image) for _, image in frames_at(str(path), [0, 22])] == [17, 39]


def test_the_end_that_an_edit_list_leaves_out_is_not_shown(tmp_path):
    path = encode(tmp_path / "a.mp4", numbered(30), options=B_FRAMES["libx264"])
    content = bytearray(path.read_bytes())
    duration = content.index(b"elst") + 12
    content[duration : duration + 4] = (1500).to_bytes(4, "big")
    path.write_bytes(bytes(content))
    summary = summary_of(path, tmp_path / "out")
    assert (summary["frames"], summary["skipped_frames"], summary["duration_s"]) == (15, 0, 1.4)


@pytest.mark.parametrize(
    ("name", "codec", "units"),
    [
        ("a.ts", "libx264", "7-8"),
        ("a.264", "libx264", "7-8"),
        ("a.mkv", "libx264", "7-8"),
        ("a.ts", "libx265", "32-34"),
    ],
)
def test_parameter_sets_may_stand_at_the_start_alone(tmp_path, monkeypatch, name, codec, units):
    whole = encode(tmp_path / "whole.ts", numbered(40), codec=codec, options=B_FRAMES[codec], key_every=10)
    path = without_repeats(whole, tmp_path / name, units)
    monkeypatch.setattr("drivelet.drives.video.SEEK_AHEAD", 1)
    assert [number_of(image) for _, image in frames_at(str(path), range(0, 40, 9))] == list(range(0, 40, 9))


def test_a_fragmented_mp4_loses_only_what_is_cut_off(tmp_path):
    path = encode(tmp_path / "a.mp4", grainy(40), key_every=10, flags="frag_keyframe+empty_moov")
    path.write_bytes(path.read_bytes()[: -(path.stat().st_size // 4)])
    read = [(index, number_of(image)) for index, image in frames_at(str(path), range(40))]
    assert 20 < len(read) < 40
    assert all(index == number for index, number in read)


@pytest.mark.parametrize(("name", "flags"), [("a.mp4", "faststart"), ("a.avi", "")])
def test_what_a_file_promises_and_does_not_hold_is_counted(tmp_path, name, flags):
    path = encode(tmp_path / name, grainy(40), options={"bf": "0"}, flags=flags)
    path.write_bytes(path.read_bytes()[: -(path.stat().st_size // 3)])
    summary = summary_of(path, tmp_path / "out")
    assert 20 < summary["frames"] < 35
    assert summary["frames"] + summary["skipped_frames"] == 40


def test_frames_lost_behind_an_edit_list_are_still_counted(tmp_path):
    whole = encode(tmp_path / "whole.mp4", grainy(40), options={"bf": "0"}, key_every=20)
    path = recut(whole, tmp_path / "a.mp4", shift_s=1.7)
    damage(path, packets=(15,))
    found = {index for index, _, _ in iter_video(path, read_timeline(path))}
    assert set(range(23)) - found == {14}


@pytest.mark.parametrize("suffix", ["ts", "mkv"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_what_leans_on_a_key_frame_before_the_file_begins_is_not_shown(tmp_path, suffix, codec):
    open_gop = {"x265-params": "b-adapt=0:bframes=3:log-level=0:open-gop=1:scenecut=0"}
    options = open_gop if codec == "libx265" else {"x264-params": "bframes=3:b-adapt=0:scenecut=0"}
    whole = encode(tmp_path / "whole.mp4", numbered(40), codec=codec, options=options, key_every=12)
    path = recut(whole, tmp_path / f"a.{suffix}", packets=slice(5, None))
    numbers = [(index, number_of(image)) for index, _, image in read_frames(path)]
    first = numbers[0][1]
    assert first > 5
    assert numbers == [(n, first + n) for n in range(40 - first)]
    summary = summary_of(path, tmp_path / "out")
    assert (summary["frames"], summary["skipped_frames"], summary["suspect_frames"]) == (40 - first, 0, 0)
    assert sum(summary["lost"].values()) == 35 - (40 - first)


def test_recordings_joined_end_to_end_go_on_in_time(tmp_path):
    parts = [
        encode(tmp_path / f"{n}.ts", numbered(50)[25 * n : 25 * n + 25], options=B_FRAMES["libx264"]) for n in range(2)
    ]
    path = tmp_path / "joined.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    read = list(read_frames(path))
    assert [(index, number_of(image)) for index, _, image in read] == [(n, n) for n in range(50)]
    assert [t for _, t, _ in read] == pytest.approx(np.arange(50) / 10)


def test_a_frame_that_only_serves_others_is_not_missed(tmp_path):
    path = encode(tmp_path / "a.ivf", numbered(20), codec="libvpx", key_every=20)
    with av.open(str(path)) as container:
        place = [packet.pos for packet in container.demux(video=0) if packet.size][7] + 12
    content = bytearray(path.read_bytes())
    content[place] &= ~0x10
    path.write_bytes(bytes(content))
    timeline = read_timeline(path)
    assert (len(timeline.stamps_F), timeline.declared) == (19, 19)
    assert not any(suspect for _, _, suspect in iter_video(path, timeline))


@pytest.mark.parametrize("codec", ["mjpeg", "libx264", "mpeg4"])
def test_a_frame_that_the_camera_dropped_is_a_longer_one_and_no_damage(tmp_path, codec):
    path = encode(tmp_path / "a.avi", grainy(30), codec=codec, options={} if codec == "mjpeg" else {"bf": "0"})
    drop_chunk(path, 7)
    summary = summary_of(path, tmp_path / "out")
    assert (summary["frames"], summary["skipped_frames"], summary["duration_s"]) == (29, 0, 2.9)
    assert [t for _, t, _ in read_frames(path)][6:8] == pytest.approx([0.6, 0.8])


def test_a_cover_picture_is_no_camera(tmp_path):
    path = write_cover_first(tmp_path / "a.mp4", numbered(12), numbered(1, width=160, height=96)[0])
    with av.open(str(path)) as container:
        assert container.streams.video[0].width == 160
    summary = summary_of(path, tmp_path / "out")
    assert (summary["frames"], summary["width"], summary["camera"]) == (12, 64, "")
    assert (summary["dropped"], summary["assumed"]) == ([], [])


@pytest.mark.parametrize(
    ("titles", "sizes", "taken"),
    [
        (("", ""), (32, 64), 1),
        (("", ""), (64, 64), 0),
        (("Rear", "Front"), (64, 64), 1),
        (("Front camera", ""), (32, 64), 0),
        (("cam_rear", "cam"), (64, 32), 1),
        (("front_left", "front", "front_right"), (64, 64, 64), 1),
    ],
)
def test_of_several_cameras_the_likeliest_is_taken_and_the_others_are_named(tmp_path, titles, sizes, taken):
    cameras = [(title, numbered(4, width=size, height=size)) for title, size in zip(titles, sizes, strict=True)]
    path = write_cameras(tmp_path / "a.mkv", cameras)
    summary = summary_of(path, tmp_path / "out")
    assert (summary["camera"], summary["width"]) == (str(taken), sizes[taken])
    assert [entry["source"][0] for entry in summary["dropped"]] == [str(n) for n in range(len(titles)) if n != taken]
    assert f"camera {taken} " in summary["assumed"][0]
    assert "set ingest camera" in summary["assumed"][0]


@pytest.mark.parametrize(("camera", "taken"), [("0", 0), ("1", 1), ("front", 0), ("REAR", 1)])
def test_a_camera_is_chosen_by_number_or_title_and_its_frames_are_found_again(tmp_path, camera, taken):
    front, rear = numbered(6), numbered(6, width=96)[::-1]
    path = write_cameras(tmp_path / "a.mkv", [("Front", front), ("Rear", rear)])
    out = ingest(IngestConfig(camera=camera), source=path, out=tmp_path / "out")
    file = read_rows(out / "frames.lance")[0]["file"]
    assert [number_of(image) for _, image in frames_at(file, [0, 5])] == ([5, 0] if taken else [0, 5])
    assert json.loads((out / "drive.json").read_text())["assumed"] == []


def test_a_camera_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path):
    path = write_cameras(tmp_path / "a.mkv", [("", numbered(3)), ("Rear", numbered(3, width=96))])
    with pytest.raises(InputError, match=r"no camera '7'; there are 0 \(64 x 48\), 1 \(96 x 48, Rear\)"):
        ingest(IngestConfig(camera="7"), source=path, out=tmp_path / "out")


@pytest.mark.parametrize("kind", ["video", "images"])
def test_a_setting_that_does_not_apply_is_said(tmp_path, capsys, kind):
    source = encode(tmp_path / "a.mp4", numbered(3)) if kind == "video" else write_images(tmp_path / "a", ["1.png"])
    said = summary_of(source, tmp_path / "out", camera="front", video_fps=20.0)["assumed"]
    assert sorted(sentence.split(":")[0] for sentence in said if "does not apply" in sentence) == [
        "camera=front does not apply",
        "video_fps=20 does not apply",
    ]
    assert "camera=front does not apply" in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize(
    ("options", "set_to", "fps", "said"),
    [
        ("no-vui-timing-info=1", None, 25.0, "25 frames/s assumed"),
        ("no-vui-timing-info=1", 20.0, 20.0, ""),
        ("vui-timing-info=1", None, 12.0, "12 frames/s as it states itself"),
        ("vui-timing-info=1", 20.0, 20.0, ""),
    ],
)
def test_the_rate_of_a_bare_stream_is_set_stated_or_assumed_aloud(tmp_path, options, set_to, fps, said):
    params = {"x265-params": f"log-level=0:{options}"}
    path = encode(tmp_path / "a.hevc", numbered(13), codec="libx265", options=params, fps=12)
    summary = summary_of(path, tmp_path / "out", video_fps=set_to)
    assert (summary["fps"], summary["duration_s"]) == (fps, pytest.approx(12 / fps, abs=1e-6))
    assert summary["assumed"] == ([f"no times in a bare stream; {said}, set ingest video_fps"] if said else [])


@pytest.mark.parametrize("setting", [{"video_fps": 0.0}, {"video_fps": float("inf")}, {"image_fps": float("nan")}])
def test_a_rate_is_a_positive_number(setting):
    with pytest.raises(InputError, match=r"must be (more than 0|a finite number)"):
        IngestConfig(**setting)


def test_damage_in_a_bare_stream_whose_frames_change_places_is_made_up_for_at_the_next_key_frame(tmp_path):
    path = encode(tmp_path / "a.h264", grainy(40), options=B_FRAMES["libx264"], key_every=10)
    damage(path, packets=(14,), keep=40)
    read = {index: number_of(image) for index, image in frames_at(str(path), range(40))}
    assert [read[index] for index in range(20, 40)] == list(range(20, 40))


@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile b.mp4\n", "#EXTM3U\n#EXTINF:1,\nb.mp4\n#EXT-X-ENDLIST\n"])
def test_a_list_of_other_files_is_no_video(tmp_path, text):
    encode(tmp_path / "b.mp4", numbered(3))
    (tmp_path / "a.mp4").write_text(text)
    with pytest.raises(InputError, match=r"a\.mp4: no readable video"):
        read_timeline(tmp_path / "a.mp4")
