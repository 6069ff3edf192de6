import math
import tempfile
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from drivelet.core.artifacts import Frame
from drivelet.mining.embed import EmbedConfig, content_keys, embed_frames, read_vectors
from drivelet.mining.search import VectorSearch, apart, ranked

times = st.floats(0, 60, allow_nan=False)


@given(st.lists(st.tuples(st.integers(0, 2), times), max_size=30), st.floats(0.1, 10), st.integers(1, 30))
def test_hits_lie_apart_and_every_hit_left_out_has_a_better_one_near(rows, seconds, most):
    frames = [Frame(drive=f"d{d}", file=f"/{d}", frame=i, t=t) for i, (d, t) in enumerate(rows)]
    kept = apart(range(len(frames)), frames, seconds=seconds, most=most)
    assert kept == sorted(kept)
    assert len(kept) <= most

    def near(a, b):
        return frames[a].file == frames[b].file and abs(frames[a].t - frames[b].t) < seconds

    assert not any(near(a, b) for a in kept for b in kept if a < b)
    last = kept[-1] if len(kept) == most else len(frames)
    for place in range(last):
        assert place in kept or any(near(place, better) for better in kept if better < place)


@given(st.lists(st.floats(0, 1) | st.just(math.nan), max_size=20), st.floats(0, 0.9))
def test_ranks_fall_and_leave_nothing_out(values, least):
    order = ranked(np.array(values, float), least=least)
    scores = [values[place] for place in order]
    assert scores == sorted(scores, reverse=True)
    assert sorted(order) == [i for i, value in enumerate(values) if value > least]


class MeanColour:
    """The mean of each cell of a 4x4 grid: pictures that differ lie apart."""

    name = "mean-colour"
    embed_texts = None

    def embed_images(self, images):
        cells = np.stack(
            [image.reshape(4, -1, 4, image.shape[1] // 4, 3).mean(axis=(1, 3)).ravel() for image in images]
        )
        return (cells / np.linalg.norm(cells, axis=1, keepdims=True)).astype(np.float32)


def picture(number):
    return np.random.default_rng(number).integers(1, 255, (8, 8, 3), dtype=np.uint8)


@settings(max_examples=15)
@given(st.lists(st.integers(0, 40), min_size=1, max_size=12, unique=True), st.data())
def test_adding_drives_gives_what_building_at_once_gives(numbers, data):
    """Each number is a source file; the table grows in two calls, or is built in one."""
    cut = data.draw(st.integers(0, len(numbers)))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for number in numbers:
            (root / f"{number}.bin").write_bytes(bytes([number]))
        frames = [Frame(drive="d", file=str(root / f"{number}.bin"), frame=0, t=0.0) for number in numbers]
        read = []

        def read_frames(file, indices):
            read.append(file)
            return ((index, picture(int(Path(file).stem))) for index in indices)

        def build(name, *parts):
            for part in parts:
                keys = content_keys(part)
                table = embed_frames(
                    EmbedConfig(chunk=3), frames=part, keys=keys, embedder=MeanColour(), read_frames=read_frames,
                    folder=root / name,
                )  # fmt: skip
            return table

        whole = build("whole", frames)
        grown = build("grown", *[part for part in (frames[:cut], frames) if part])
        assert len(read) == 2 * len(frames)
        keys = content_keys(frames)
        vectors, luma = read_vectors(whole, keys)
        assert (read_vectors(grown, keys)[0] == vectors).all()
        assert (read_vectors(grown, keys)[1] == luma).all()
        for place, vector in enumerate(vectors):
            hits = VectorSearch(whole, keys).nearest(vector, k=5)
            assert hits[0][0] == place
            assert math.isclose(hits[0][1], 1.0, abs_tol=1e-5)
            assert hits == sorted(hits, key=lambda hit: -hit[1])
            again = VectorSearch(grown, keys).nearest(vector, k=5)
            assert [where for where, _ in again] == [where for where, _ in hits]
            assert np.allclose([score for _, score in again], [score for _, score in hits], atol=1e-6)
