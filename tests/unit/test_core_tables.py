"""Lance tables: append, overwrite, read, and what a killed writer leaves."""

from pathlib import Path

import pytest

from drivelet.core.errors import InputError
from drivelet.core.tables import append_table, chunked, has_table, iter_batches, read_rows, read_table, write_table

ROWS = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": None}]


def test_rows_come_back_in_order(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.lance", ROWS[:1])
    append_table(path, ROWS[1:])
    assert read_rows(path) == ROWS
    assert read_table(path, columns=["a"]).column_names == ["a"]
    assert [row for batch in iter_batches(path, batch_size=2) for row in batch] == ROWS


def test_writing_again_replaces(tmp_path: Path) -> None:
    path = write_table(tmp_path / "t.lance", ROWS)
    write_table(path, ROWS[:1])
    assert read_rows(path) == ROWS[:1]


def test_a_missing_table_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"t\.lance: no such table"):
        read_rows(tmp_path / "t.lance")


def test_a_writer_that_was_killed_left_no_table(tmp_path: Path) -> None:
    path = tmp_path / "t.lance"
    (path / "data").mkdir(parents=True)
    assert not has_table(path)
    with pytest.raises(InputError, match=r"t\.lance: no such table"):
        read_rows(path)
    append_table(path, ROWS)
    assert has_table(path)
    assert read_rows(path) == ROWS


@pytest.mark.parametrize(("count", "sizes"), [(0, []), (4, [2, 2]), (5, [2, 2, 1])])
def test_chunks_lose_nothing(count: int, sizes: list[int]) -> None:
    chunks = list(chunked(range(count), 2))
    assert [len(chunk) for chunk in chunks] == sizes
    assert [item for chunk in chunks for item in chunk] == list(range(count))
