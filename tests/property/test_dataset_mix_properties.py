"""Mixing whole folders: the budget holds, and no group stands in two splits, whatever is mixed."""

import json
import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from drivelet import tasks
from drivelet.core.errors import InputError
from drivelet.core.manifest import Row, read_manifest, write_manifest
from drivelet.dataset.export_chat import to_llava, to_sharegpt
from drivelet.dataset.mix import MixConfig, mix

FIELDS = tasks.fields()
LABELS = (("traffic_light.state", "red"), ("traffic_light.state", "green"), ("cone.count", "0"), ("cone.count", "some"))
ITEMS = st.lists(
    st.tuples(st.integers(0, 14), st.integers(0, 3), st.integers(0, 5), st.sampled_from(("real", "render", "paint"))),
    min_size=1,
    max_size=24,
)  # (picture, label, group, source)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Fifteen pictures, of which the last three are near-duplicates of the first."""
    folder = tmp_path_factory.mktemp("pictures")
    coarse = [np.random.default_rng(n % 12).integers(0, 250, (8, 8, 3), dtype=np.uint8) + n // 12 for n in range(15)]
    for n, pixels in enumerate(coarse):
        Image.fromarray(pixels.astype(np.uint8)).resize((48, 40), Image.Resampling.BILINEAR).save(folder / f"{n}.png")
    return [folder / f"{n}.png" for n in range(15)]


@given(
    ITEMS,
    st.one_of(st.none(), st.floats(0, 1)),
    st.one_of(st.none(), st.integers(1, 12)),
    st.booleans(),
    st.integers(0, 3),
)
@settings(max_examples=40)
def test_a_mix_keeps_its_budget_and_its_groups(pictures, items, share, budget, balance, seed) -> None:
    splits = ("train", "train", "train", "val", "test", "train")
    by_source: dict[str, list[Row]] = defaultdict(list)
    for picture, label, group, source in items:
        task, answer = LABELS[label]
        by_source[source].append(
            Row(
                path=str(pictures[picture]), task=task, label=answer, split=splits[group],
                group=f"{source}-g{group}", source=source,
            )
        )  # fmt: skip
    config = MixConfig(real_share=share, max_images=budget, balance=balance, seed=seed, val_share=0.2)
    with tempfile.TemporaryDirectory() as name:
        out, sources = Path(name) / "out", []
        for source, rows in by_source.items():
            sources.append(Path(name) / f"{source}.csv")
            write_manifest(sources[-1], rows)
        try:
            manifest = mix(config, sources=sources, fields=FIELDS, read_frames=lambda file, frames: [], out=out)
        except InputError as error:
            assert "nothing to train on" in str(error)
            return
        kept = read_manifest(manifest, tasks=FIELDS)
        of_group: dict[str, set[str]] = defaultdict(set)
        of_picture: dict[str, set[str]] = defaultdict(set)
        for row in kept:
            of_group[row.group].add(row.split)
            of_picture[str(int(Path(row.path).stem) % 12)].add("train" if row.split == "train" else "held out")
        assert all(len(found) == 1 for found in of_group.values())
        assert all(len(found) == 1 for found in of_picture.values())
        trained = {row.path for row in kept if row.split == "train"}
        assert 0 < len(trained) <= (budget or len(trained))
        report = json.loads((out / "mix.json").read_text())
        assert sum(report["images"]["train"].values()) == len(trained)
        assert report["rows"]["split"] and sum(report["rejected"].values()) + len(kept) == len(items)
        assert (out / "README.md").read_text().startswith("---\n")
        for write in (to_llava, to_sharegpt):
            folder = write(manifest, FIELDS, out / write.__name__)
            found = [talk for split in of_split(kept) for talk in json.loads((folder / f"{split}.json").read_text())]
            assert len(found) == sum(row.label != "some" for row in kept)


def of_split(rows: list[Row]) -> set[str]:
    return {row.split for row in rows}
