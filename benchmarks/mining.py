"""Speed of selection and search, and what a selection finds: `python benchmarks/mining.py [MANIFEST] [--budget 200]`.

With a manifest of hand-checked images, frames are chosen by the shipped teacher's and the colour labeler's votes alone;
the manifest's labels only count what was found.
"""

import argparse
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa

from drivelet import tasks
from drivelet.core.artifacts import Frame
from drivelet.core.images import read_image
from drivelet.core.manifest import Row, read_manifest
from drivelet.core.tables import write_table
from drivelet.labels.colour import ColourLabeler
from drivelet.labels.vlm import VlmLabeler
from drivelet.mining.embed import EmbedConfig, Key, content_keys, embed_frames, make_index, read_vectors
from drivelet.mining.evidence import Evidence
from drivelet.mining.hard import HardConfig, frame_scores, hardness
from drivelet.mining.search import VectorSearch
from drivelet.mining.select import SelectConfig, select
from drivelet.recipes.mining_sources import read_any
from drivelet.runtime.engine import Engine
from drivelet.vlm.embed import VisionEmbedder
from drivelet.vlm.load import load, set_threads

ROWS, DIMENSIONS = 100_000, 256


def synthetic() -> np.ndarray:
    """Unit vectors about 300 centres."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(300, DIMENSIONS))
    vectors = centres[rng.integers(300, size=ROWS)] + 0.7 * rng.normal(size=(ROWS, DIMENSIONS))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def speed(budget: int) -> None:
    """Print seconds of a selection and milliseconds of a search among 100,000 vectors."""
    vectors, rng = synthetic(), np.random.default_rng(1)
    frames = [Frame(drive=f"{i // 5000}", file=f"{i // 5000}", frame=i, t=(i % 5000) / 5) for i in range(ROWS)]
    answers = {f"{share}": rng.random(ROWS) < share for share in (0.5, 0.1, 0.01, 0.001)}
    for name, settings in (("default", {}), ("coverage alone", {"value_share": 0.0, "rare_share": 0.0})):
        began, worked = time.perf_counter(), time.process_time()
        select(
            SelectConfig(**settings), vectors_ND=vectors, weights_N=rng.random(ROWS), frames=frames, answers=answers,
            budget=budget,
        )  # fmt: skip
        print(
            f"select {budget} of {ROWS}, {name}: {time.perf_counter() - began:.2f} s "
            f"({time.process_time() - worked:.2f} s of processor)"
        )
    keys = [Key(source=str(i // 5000), key=str(i)) for i in range(ROWS)]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSIONS)
    names = {"key": [key.key for key in keys], "source": [key.source for key in keys]}
    with tempfile.TemporaryDirectory() as folder:
        table = write_table(Path(folder) / "vectors.lance", pa.table({**names, "vector": column}))
        search("scan", table, vectors, keys)
        began = time.perf_counter()
        make_index(EmbedConfig(), table)
        print(f"index built in {time.perf_counter() - began:.2f} s")
        search("index", table, vectors, keys)


def search(name: str, table: Path, vectors: np.ndarray, keys: Sequence[Key]) -> None:
    """Print the median time of 20 searches, and the share of the true 200 nearest that they find."""
    opened, times, recall = VectorSearch(table, keys), [], []
    for row in range(0, ROWS, ROWS // 20):
        true = set(np.argsort(-(vectors @ vectors[row]))[:200].tolist())
        began = time.perf_counter()
        hits = opened.nearest(vectors[row], k=200)
        times.append(time.perf_counter() - began)
        recall.append(len(true & {place for place, _ in hits}) / 200)
    print(f"search by {name}: {1000 * float(np.median(times)):.1f} ms, recall {float(np.mean(recall)):.3f}")


def votes_on(rows: Sequence[Row]) -> dict[str, Evidence]:
    """Return both labelers' votes on single images, their mean as the label."""
    fields = tasks.fields()
    teacher = str(files("drivelet") / "minis" / "teacher-mini")
    speakers = [VlmLabeler(Engine.from_pretrained(teacher), list(fields.values())), ColourLabeler(fields)]
    votes = {n: np.full((len(rows), len(speakers), len(f.choices)), np.nan) for n, f in fields.items()}
    for place, row in enumerate(rows):
        image = read_image(row.path)
        for number, speaker in enumerate(speakers):
            for name, probs in speaker.label(image).items():
                votes[name][place, number] = [probs.get(choice, 0.0) for choice in fields[name].choices]
    return {
        name: Evidence(
            choices=fields[name].choices, labelers=("teacher", "colour"), votes_FLC=cells,
            probs_FC=np.nanmean(cells, axis=1), stability_F=np.ones(len(rows)), reasons=[""] * len(rows),
        )
        for name, cells in votes.items()
    }  # fmt: skip


def found(manifest: Path, budget: int) -> None:
    """Print what random, hardest-first and the selection find: rare answers, groups, and how unlike pictures are."""
    every = read_manifest(manifest, tasks=tasks.fields())
    rows = list({row.path: row for row in every}.values())
    evidence = votes_on(rows)
    frames = [Frame(drive=row.group or row.path, file=row.path, frame=0, t=float("nan")) for row in rows]
    keys = content_keys(frames)
    embedder = VisionEmbedder(load(str(files("drivelet") / "minis" / "teacher-mini")))
    with tempfile.TemporaryDirectory() as folder:
        table = embed_frames(
            EmbedConfig(), frames=frames, keys=keys, embedder=embedder, read_frames=read_any, folder=Path(folder)
        )
        vectors, _ = read_vectors(table, keys)
    scores, _ = frame_scores({name: hardness(HardConfig(), seen) for name, seen in evidence.items()})
    answers = {f"{n}={a}": mask for n, seen in evidence.items() for a, mask in seen.told().items() if mask.any()}
    thumbnails = np.stack([cv2.resize(read_image(row.path), (16, 16), interpolation=cv2.INTER_AREA) for row in rows])
    chosen = {f"random {seed}": np.random.default_rng(seed).permutation(len(rows))[:budget] for seed in range(5)}
    chosen["hardest first"] = np.argsort(-scores)[:budget]
    for name, weights in (("selection, all alike", np.ones(len(rows))), ("selection, hard", scores)):
        picks = select(
            SelectConfig(), vectors_ND=vectors, weights_N=weights, frames=frames, answers=answers, budget=budget
        )
        chosen[name] = np.array([pick.position for pick in picks])
    counts = Counter((row.task, row.label) for row in rows)
    rare = {cell for cell, count in counts.items() if count < 0.01 * len(rows)}
    print(f"{len(rows)} images, {len(counts)} (field, label) cells, {len(rare)} of them on fewer than 1% of the images")
    print("choice | images | cells found | rare cells found | images of rare cells | groups | thumbnail distance")
    for name, places in chosen.items():
        cells = [(rows[p].task, rows[p].label) for p in places]
        flat = thumbnails[places].reshape(len(places), -1).astype(np.float32)
        apart = np.abs(flat[:, None] - flat[None]).mean()
        print(
            f"{name} | {len(places)} | {len(set(cells))} | {len(set(cells) & rare)} | "
            f"{sum(c in rare for c in cells)} | "
            f"{len({rows[p].group for p in places})} | {apart:.1f}"
        )


def main() -> None:
    """Print both parts; the second where a manifest is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("--budget", type=int, default=200)
    options = parser.parse_args()
    set_threads()
    speed(options.budget)
    if options.manifest:
        found(options.manifest, options.budget)


if __name__ == "__main__":
    main()
