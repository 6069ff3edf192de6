from pathlib import Path

import lance
import numpy as np
import pytest

from drivelet.core.artifacts import Frame
from drivelet.core.errors import InputError
from drivelet.core.tables import read_rows
from drivelet.mining.embed import EmbedConfig, content_keys, embed_frames, luma, read_vectors
from drivelet.mining.search import VectorSearch


class Brightness:
    """A unit vector whose angle is the picture's brightness."""

    name = "brightness"
    embed_texts = None

    def __init__(self, dies_at=None):
        self.seen = 0
        self.dies_at = dies_at

    def embed_images(self, images):
        self.seen += len(images)
        if self.dies_at is not None and self.seen > self.dies_at:
            raise KeyboardInterrupt
        angles = np.array([image.mean() for image in images]) / 200
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def drive(tmp_path, name="a", count=10, content=b"a"):
    file = tmp_path / f"{name}.mp4"
    file.write_bytes(content)
    return [Frame(drive=name, file=str(file), frame=i, t=i / 10) for i in range(count)]


def read_frames(file, indices):
    for index in indices:
        if index != 7:
            yield index, np.full((4, 4, 3), 10 * index, np.uint8)


def embed(tmp_path, frames, embedder, **settings):
    config = EmbedConfig(**{"chunk": 4, **settings})
    return embed_frames(
        config, frames=frames, keys=content_keys(frames), embedder=embedder, read_frames=read_frames,
        folder=tmp_path / "index",
    )  # fmt: skip


def test_a_damaged_frame_has_no_vector_and_is_tried_again(tmp_path):
    frames, embedder = drive(tmp_path), Brightness()
    table = embed(tmp_path, frames, embedder)
    vectors, lumas = read_vectors(table, content_keys(frames))
    assert vectors.shape == (10, 2)
    assert np.isnan(vectors[7]).all() and np.isnan(lumas[7])
    assert lumas[3] == pytest.approx(30)
    embed(tmp_path, frames, embedder)
    assert embedder.seen == 9


def test_a_killed_run_goes_on_at_the_next_chunk(tmp_path):
    frames, dying, second = drive(tmp_path), Brightness(dies_at=6), Brightness()
    with pytest.raises(KeyboardInterrupt):
        embed(tmp_path, frames, dying)
    table = embed(tmp_path, frames, second)
    assert second.seen == 5
    assert len({row["key"] for row in read_rows(table, columns=["key"])}) == lance.dataset(str(table)).count_rows() == 9


def test_a_renamed_copy_is_known_and_an_edited_file_is_new(tmp_path):
    embedder = Brightness()
    first, copy, edited = (drive(tmp_path, *who) for who in (("a",), ("b",), ("c", 10, b"c")))
    embed(tmp_path, first + copy, embedder)
    assert embedder.seen == 9
    table = embed(tmp_path, first + edited, embedder)
    assert embedder.seen == 18
    both = VectorSearch(table, content_keys(first + copy)).nearest(
        Brightness().embed_images([np.full((4, 4, 3), 20)])[0], k=2
    )
    assert sorted(place for place, _ in both) == [2, 12]


def test_rows_of_other_drives_do_not_take_the_places_of_hits(tmp_path):
    frames = drive(tmp_path)
    table = embed(tmp_path, frames, Brightness())
    every_third = frames[::3]
    hits = VectorSearch(table, content_keys(every_third)).nearest(
        Brightness().embed_images([np.full((4, 4, 3), 40)])[0], k=2
    )
    assert [every_third[place].frame for place, _ in hits] == [3, 6]


@pytest.mark.parametrize(("settings", "kind"), [({}, "IVF_FLAT"), ({"pq_from": 300}, "IVF_PQ")])
def test_many_rows_get_an_index_that_grows_with_them(tmp_path, settings, kind):
    settings = {"chunk": 200, "index_from": 200, **settings}
    rng = np.random.default_rng(0)
    directions = rng.normal(size=(400, 16)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    class Fixed(Brightness):
        def embed_images(self, images):
            return directions[[int(image[0, 0, 0]) + 256 * int(image[0, 0, 1]) for image in images]]

    def read(file, indices):
        for index in indices:
            yield index, np.full((2, 2, 3), (index % 256, index // 256, 0), np.uint8)

    frames = drive(tmp_path, count=400)
    for part in (frames[:300], frames):
        keys = content_keys(part)
        table = embed_frames(
            EmbedConfig(**settings), frames=part, keys=keys, embedder=Fixed(), read_frames=read,
            folder=tmp_path / "index",
        )  # fmt: skip
    assert [index.name for index in lance.dataset(str(table)).describe_indices()] == [kind]
    for place in (0, 299, 399):
        hits = VectorSearch(table, keys).nearest(directions[place], k=3)
        assert hits[0][0] == place
        assert hits[0][1] == pytest.approx(1.0, abs=1e-5)


def test_a_drive_that_was_moved_is_named(tmp_path):
    frames = drive(tmp_path)
    Path(frames[0].file).unlink()
    with pytest.raises(InputError, match=r"a\.mp4: no such file, though a table names it"):
        content_keys(frames)


def test_luma_is_the_grey_level():
    assert luma(np.full((2, 2, 3), 100, np.uint8)) == pytest.approx(100)
    assert luma(np.full((2, 2, 3), (0, 200, 0), np.uint8)) == pytest.approx(117.4)
