import numpy as np
import pytest

from drive_files import damage, numbered_frame, write_video
from drivelet.core.errors import InputError
from drivelet.drives.frames import frames_at, read_frames, select
from drivelet.drives.video import iter_video, read_timeline, read_video


@pytest.mark.parametrize("suffix", ["mp4", "mov", "avi"])
def test_every_frame_has_its_index_time_and_picture(tmp_path, suffix):
    path = write_video(tmp_path / f"a.{suffix}")
    read = list(read_frames(path))
    assert [index for index, _, _ in read] == list(range(30))
    assert np.allclose([t for _, t, _ in read], np.arange(30) / 10)
    for index, _, image in read:
        assert abs(float(image.mean()) - float(numbered_frame(index).mean())) < 3


def test_h264_with_reordered_frames_keeps_the_order_of_presentation(tmp_path):
    path = write_video(tmp_path / "a.mp4", codec="libx264", key_every=12)
    levels = [float(image.mean()) for _, _, image in read_frames(path)]
    assert len(levels) == 30
    assert levels == sorted(levels)


def test_wanted_frames_are_the_same_whether_reached_by_seek_or_by_decoding(tmp_path, monkeypatch):
    path = write_video(tmp_path / "a.mp4", frames=60)
    whole = {index: image for index, _, image in read_frames(path)}
    monkeypatch.setattr("drivelet.drives.video.SEEK_AHEAD", 4)
    timeline = read_timeline(path)
    read = list(read_video(path, timeline, [57, 3, 31, 32, 999]))
    assert [index for index, _, _ in read] == [3, 31, 32, 57]
    assert all(np.array_equal(image, whole[index]) for index, _, image in read)


def test_damaged_packets_are_skipped_and_the_rest_keep_their_numbers(tmp_path):
    path = write_video(tmp_path / "a.mp4", noise=True)
    damage(path, packets=(12, 13))
    timeline = read_timeline(path)
    good = [index for index, _, _ in iter_video(path, timeline)]
    assert len(timeline.stamps_F) == 30
    assert set(range(30)) - set(good) == {12, 13}
    assert [index for index, _ in frames_at(str(path), [11, 12, 20])] == [11, 20]


def test_frames_between_damage_and_the_next_key_frame_are_suspect(tmp_path):
    path = write_video(tmp_path / "a.mp4", noise=True, key_every=5)
    damage(path, packets=(11,))
    suspects = [index for index, _, suspect in iter_video(path, read_timeline(path)) if suspect]
    assert suspects == [12, 13, 14]


def test_a_video_cut_before_its_index_is_one_clear_line(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(InputError, match=r"a\.mp4: no readable video") as caught:
        read_timeline(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"hello, I am a text file\n" * 50, b"\x00" * 4096])
def test_a_file_that_is_no_video_is_one_clear_line(tmp_path, content):
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mp4") as caught:
        read_timeline(path)
    assert "\n" not in str(caught.value)


def test_a_missing_video_is_named(tmp_path):
    with pytest.raises(InputError, match="no such video"):
        list(read_frames(tmp_path / "none.mp4"))


def test_select_takes_the_first_frame_of_every_tick():
    assert select([i / 30 for i in range(31)], 5.0) == [0, 6, 12, 18, 24, 30]
    assert select([0.0, 0.5, 1.0], 5.0) == [0, 1, 2]
    assert select([0.0, 0.01, 7.0], 5.0) == [0, 2]


def test_every_hz_reads_that_many_frames(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    assert [index for index, _, _ in read_frames(path, every_hz=2)] == [0, 5, 10, 15, 20, 25]
