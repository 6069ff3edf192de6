"""Lance tables: append in chunks, read back whole or in batches. `lance` is imported on first use."""

# pyright: basic
# Arrow and Lance ship no types.

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from drivelet.core.errors import InputError


def write_table(path: Path, rows: Sequence[dict[str, Any]] | pa.Table, *, schema: pa.Schema | None = None) -> Path:
    """Write (or overwrite) a Lance dataset from rows or an Arrow table."""
    import lance

    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=schema)
    lance.write_dataset(table, str(path), mode="overwrite" if path.exists() else "create")
    return path


def drop_old_versions(path: Path) -> None:
    """Free the disk of what overwriting left behind, but for the version before, which a reader may have open."""
    import lance

    lance.dataset(str(path)).cleanup_old_versions(retain_versions=2)


def append_table(path: Path, rows: Sequence[dict[str, Any]] | pa.Table, *, schema: pa.Schema | None = None) -> Path:
    """Append rows to a Lance dataset, creating it where it does not exist."""
    import lance

    table = rows if isinstance(rows, pa.Table) else pa.Table.from_pylist(list(rows), schema=schema)
    lance.write_dataset(table, str(path), mode="append" if path.exists() else "create")
    return path


def has_table(path: Path) -> bool:
    """Return whether a Lance dataset was ever committed at `path`: a writer that was killed leaves a bare folder."""
    return any((path / "_versions").glob("*.manifest"))


def read_table(path: Path, *, columns: Sequence[str] | None = None) -> pa.Table:
    """Read a Lance dataset into memory.

    Raises:
        InputError: there is no dataset at `path`, it is damaged, or lacks a column.
    """
    import lance

    if not has_table(path):
        raise InputError(f"{path}: no such table; run the command that writes it first")
    try:
        return lance.dataset(str(path)).to_table(columns=list(columns) if columns else None)
    except BaseException as error:
        # A panic in Rust code is no Exception.
        if not isinstance(error, OSError | ValueError) and type(error).__name__ != "PanicException":
            raise
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        raise InputError(f"{path}: no readable table ({first}); run the command that writes it again") from error


def read_rows(path: Path, *, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Read a Lance dataset as a list of dictionaries."""
    return read_table(path, columns=columns).to_pylist()


def iter_batches(path: Path, *, batch_size: int = 1024) -> Iterator[list[dict[str, Any]]]:
    """Yield batches of rows in order, in constant memory."""
    import lance

    for batch in lance.dataset(str(path)).to_batches(batch_size=batch_size):
        yield batch.to_pylist()


def chunked(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Yield consecutive lists of at most `size` items."""
    chunk: list[Any] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
