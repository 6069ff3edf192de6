"""Embeddings of frames in a Lance table that grows: one row a picture, known by its content."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from drivelet.core.artifacts import Frame, ImageArray
from drivelet.core.errors import InputError
from drivelet.core.flow import digest_text, identify
from drivelet.core.ports import Embedder
from drivelet.core.progress import say, track
from drivelet.core.ranges import Count, Several, ranged
from drivelet.core.tables import append_table, chunked, has_table

ReadFrames = Callable[[str, Sequence[int]], Iterable[tuple[int, ImageArray]]]
"""Reads frames of a video, image folder or image by ascending index; damaged ones are left out."""

Vectors = NDArray[np.float32]
COLUMN = "vector"


@dataclass(frozen=True, kw_only=True)
@ranged
class EmbedConfig:
    """Settings of `embed_frames`.

    Attributes:
        chunk: frames between two points at which a killed run goes on.
        index_from: rows from which on an inverted-file index (IVF) is built; below, a scan is as fast.
        pq_from: rows from which on its vectors are product-quantised (Jegou et al. 2011): slow to build, small.
    """

    chunk: Several = 64
    index_from: Count = 20_000
    pq_from: Count = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Key:
    """What a picture is known by: `source`, the content of its file, and `key`, that and the frame's number."""

    source: str
    key: str


def content_keys(frames: Sequence[Frame]) -> list[Key]:
    """Return the keys of frames; every file is read (or, where large, its size and time are) once.

    A folder of images is one source: a new image in it makes all its frames new.

    Raises:
        InputError: a frame's file is gone.
    """
    sources: dict[str, str] = {}
    for frame in frames:
        if frame.file not in sources:
            if not Path(frame.file).exists():
                raise InputError(f"{frame.file}: no such file, though a table names it; put the drive back there")
            sources[frame.file] = digest_text(str(identify(Path(frame.file))))[:24]
    return [Key(source=sources[f.file], key=f"{sources[f.file]}:{f.frame}") for f in frames]


def embed_frames(
    config: EmbedConfig,
    *,
    frames: Sequence[Frame],
    keys: Sequence[Key],
    embedder: Embedder,
    read_frames: ReadFrames,
    folder: Path,
) -> Path:
    """Embed the frames that the embedder's table in `folder` lacks; return the table.

    Columns: `key`, `source`, `luma` (mean grey level, 0..255) and `vector` (unit length, float32). Rows are appended
    chunk by chunk, so that a killed run goes on where it was.
    """
    table = folder / f"{embedder.name}.lance"
    known = set(read_columns(table, ["key"])["key"].to_pylist()) if has_table(table) else set()
    missing: dict[str, dict[int, Key]] = {}
    for frame, key in zip(frames, keys, strict=True):
        if key.key not in known:
            missing.setdefault(frame.file, {})[frame.frame] = key
            known.add(key.key)
    total = sum(map(len, missing.values()))
    if not total:
        return table
    folder.mkdir(parents=True, exist_ok=True)
    done = 0
    pictures = track(_pictures(missing, read_frames), total=total, what=f"embed with {embedder.name}")
    for chunk in chunked(pictures, config.chunk):
        append_table(table, _rows(chunk, embedder))
        done += len(chunk)
    say(f"embedded {done} new frames" + (f"; {total - done} cannot be read" if done < total else ""))
    if done:
        _tidy(config, table)
    return table


def _pictures(missing: Mapping[str, Mapping[int, Key]], read_frames: ReadFrames) -> Iterator[tuple[Key, ImageArray]]:
    for file, wanted in missing.items():
        for index, image in read_frames(file, sorted(wanted)):
            yield wanted[index], image


def _rows(chunk: Sequence[tuple[Key, ImageArray]], embedder: Embedder) -> pa.Table:
    vectors_BD = np.ascontiguousarray(embedder.embed_images([image for _, image in chunk]), np.float32)
    flat = pa.array(vectors_BD.ravel())
    return pa.table(
        {
            "key": pa.array([key.key for key, _ in chunk], pa.string()),
            "source": pa.array([key.source for key, _ in chunk], pa.string()),
            "luma": pa.array([luma(image) for _, image in chunk], pa.float32()),
            COLUMN: pa.FixedSizeListArray.from_arrays(flat, vectors_BD.shape[1]),
        }
    )


def luma(image: ImageArray) -> float:
    """Return the mean grey level (0..255) of an RGB image, by the weights of ITU-R BT.601."""
    return float(image.reshape(-1, 3).mean(axis=0) @ (0.299, 0.587, 0.114))


def _tidy(config: EmbedConfig, table: Path) -> None:
    """Join small fragments, drop versions that nobody reads any more, and bring the index up to date."""
    import lance

    dataset = lance.dataset(str(table))
    dataset.optimize.compact_files()
    dataset.cleanup_old_versions(timedelta(hours=1))
    make_index(config, table)


def make_index(config: EmbedConfig, table: Path) -> None:
    """Build the vector index that a table of this size wants, or add the new rows to it; none where it is small."""
    import lance

    dataset = lance.dataset(str(table))
    rows = dataset.count_rows()
    if rows < config.index_from:
        return
    kind = "IVF_PQ" if rows >= config.pq_from else "IVF_FLAT"
    names = {index.name for index in dataset.describe_indices()}
    if kind in names:
        dataset.optimize.optimize_indices()
        return
    size = dataset.schema.field(COLUMN).type.list_size
    parts: dict[str, Any] = {"num_sub_vectors": _sub_vectors(size)} if kind == "IVF_PQ" else {}
    dataset.create_index(COLUMN, kind, name=kind, metric="cosine", **parts)
    for name in names:
        dataset.drop_index(name)


def _sub_vectors(dimensions: int) -> int:
    """Eight dimensions a code, or the next fewer that divide the vector."""
    return dimensions // next(size for size in range(8, 0, -1) if dimensions % size == 0)


def read_columns(table: Path, columns: Sequence[str], *, keys: Sequence[Key] | None = None) -> pa.Table:
    """Read columns of an embedding table, of the sources of `keys` alone where given."""
    import lance

    only = sources_filter(keys) if keys is not None else None
    return lance.dataset(str(table)).to_table(columns=list(columns), filter=only)


def sources_filter(keys: Iterable[Key]) -> str:
    """Return the filter that lets through the rows of these keys' sources."""
    return f"source IN ({', '.join(repr(source) for source in sorted({key.source for key in keys}))})"


def read_vectors(table: Path, keys: Sequence[Key]) -> tuple[Vectors, NDArray[np.float64]]:
    """Return the vectors (N, D) and luma (N,) of frames by their keys; NaN rows where a frame could not be read."""
    stored = read_columns(table, ["key", "luma", COLUMN], keys=keys).combine_chunks()
    place = {key: row for row, key in enumerate(stored["key"].to_pylist())}
    size = stored.schema.field(COLUMN).type.list_size
    flat = stored[COLUMN].combine_chunks().flatten().to_numpy(zero_copy_only=False)
    vectors_RD = np.vstack([flat.reshape(-1, size), np.full((1, size), np.nan, np.float32)])
    luma_R = np.append(stored["luma"].to_numpy(), np.nan)
    rows = [place.get(key.key, len(place)) for key in keys]
    return vectors_RD[rows], luma_R[rows]
