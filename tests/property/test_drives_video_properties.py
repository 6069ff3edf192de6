"""Whatever is in a video file: one clear line, or frames whose times rise and that are the same however reached."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from drivelet.core.errors import InputError
from drivelet.drives.packets import NONE, Packets
from drivelet.drives.timeline import joined_seconds, read_timeline
from drivelet.drives.video import iter_video, read_video
from video_files import B_FRAMES, encode, grainy, recut

KINDS = [
    ("a.mp4", "libx264"), ("a.avi", "libx264"), ("a.ts", "libx264"), ("a.mpg", "mpeg2video"), ("a.hevc", "libx265"),
    ("a.mkv", "libx265"), ("a.wmv", "wmv2"), ("a.ivf", "libvpx"), ("a.flv", "libx264"),
]  # fmt: skip


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("videos")
    written = [encode(folder / name, grainy(16), codec=codec, options=B_FRAMES.get(codec)) for name, codec in KINDS]
    return [*written, recut(written[0], folder / "cut.mp4", shift_s=0.5)]


@st.composite
def injuries(draw):
    """Where to strike (as shares of the file), and with what: other bytes, or the end of the file."""
    spots = draw(st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=40)), max_size=6))
    return draw(st.integers(0, len(KINDS))), spots, draw(st.one_of(st.just(1.0), st.floats(0, 1)))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(injury=injuries())
def test_an_injured_video_is_refused_in_one_line_or_read_in_order(whole, tmp_path, injury):
    number, spots, share = injury
    source = whole[number]
    content = bytearray(source.read_bytes())
    for place, data in spots:
        start = int(place * len(content))
        content[start : start + len(data)] = data
    path = tmp_path / source.name
    path.write_bytes(content[: int(share * len(content))])
    try:
        timeline = read_timeline(path)
    except InputError as error:
        assert "\n" not in str(error)
        return
    assert timeline.seconds_F[0] == 0
    assert (np.diff(timeline.seconds_F) > 0).all()
    assert len(timeline.seconds_F) == len(timeline.stamps_F) <= timeline.declared
    good = [index for index, _, _ in iter_video(path, timeline)]
    assert len(set(good)) == len(good)
    assert set(good) <= set(range(len(timeline.stamps_F)))
    assert {index for index, _, _ in read_video(path, timeline, good)} <= set(good)


STAMPS = st.one_of(st.just(NONE), st.integers(-5, 60), st.integers(0, 10**6))


@given(st.lists(st.tuples(STAMPS, STAMPS, st.booleans()), min_size=1, max_size=60), st.sampled_from([1e-3, 0.04, 0.5]))
def test_times_rise_whatever_the_stamps(rows, tick):
    pts_P, dts_P = (np.array([row[n] for row in rows], np.int64) for n in range(2))
    shown_P = np.array([row[2] for row in rows])
    if not shown_P.any() or ((pts_P == NONE) & (dts_P == NONE)).all():
        return
    packets = Packets(
        first=0, pts_P=pts_P, dts_P=dts_P, key_P=shown_P, shown_P=shown_P, unshown=0
    )  # fmt: skip
    seconds_F = joined_seconds(packets, tick)
    assert len(seconds_F) == shown_P.sum()
    assert seconds_F[0] == 0
    assert (np.diff(seconds_F) > 0).all()


@given(st.integers(1, 5), st.integers(2, 20), st.integers(0, 10**5))
def test_joined_recordings_go_on_at_their_own_pace(parts, frames, start):
    dts_P = np.tile(start + 100 * np.arange(frames, dtype=np.int64), parts)
    every = np.ones(len(dts_P), np.bool_)
    packets = Packets(first=0, pts_P=dts_P, dts_P=dts_P, key_P=every, shown_P=every, unshown=0)
    assert np.allclose(joined_seconds(packets, 0.1), 10.0 * np.arange(len(dts_P)))
