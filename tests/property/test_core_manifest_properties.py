"""A manifest that was written reads back the same."""

import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from drivelet import tasks
from drivelet.core.manifest import SPLITS, Row, read_manifest, write_manifest

FIELDS = tasks.fields()
words = st.text(st.characters(blacklist_categories=["Cs", "Cc", "Z"]), max_size=12)
pairs = st.sampled_from([(name, answer) for name, field in FIELDS.items() for answer in field.answers])


@st.composite
def rows(draw: st.DrawFn) -> list[Row]:
    split = {f"g{n}": draw(st.sampled_from(SPLITS)) for n in range(3)}
    made = []
    for _ in range(draw(st.integers(1, 6))):
        task, label = draw(pairs)
        group = draw(st.sampled_from(sorted(split)))
        made.append(
            Row(
                path=draw(st.sampled_from(["a.png", "sub/b.png", "../c.png"])),
                task=task, label=label, split=split[group], group=group,
                boxes=draw(st.sampled_from(["", "[[0, 1, 2, 3]]"])), trust=draw(words), source=draw(words),
                licence=draw(words), weight=draw(st.floats(1e-9, 1.0)), sensor=draw(words),
            )
        )  # fmt: skip
    return made


@given(rows())
def test_write_then_read_is_the_identity(made: list[Row]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve() / "folder"
        (folder / "sub").mkdir(parents=True)
        for path in ("a.png", "sub/b.png", "../c.png"):
            Image.new("RGB", (2, 2)).save(folder / path)
        absolute = [Row(**{**vars(row), "path": str((folder / row.path).resolve())}) for row in made]
        write_manifest(folder / "manifest.csv", absolute)
        assert read_manifest(folder / "manifest.csv", tasks=FIELDS) == absolute
