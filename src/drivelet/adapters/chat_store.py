"""Paid answers on disk: one SQLite file, a row a request, written at once, so that nothing is paid for twice."""

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from drivelet.adapters.chat_answers import Reply, as_json, from_json
from drivelet.core.errors import InputError

WAIT_S = 60.0
"""Several workers may write to one file: each waits this long for its turn."""

CREATE = """CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, account TEXT NOT NULL, reply TEXT NOT NULL,
    input_tokens INTEGER NOT NULL, output_tokens INTEGER NOT NULL)"""


class AnswerStore:
    """Replies by key. `account` names who was asked (endpoint and model): spending is counted by it.

    Raises:
        InputError: the file cannot be read or written, or is no such file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with self._told():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=WAIT_S, check_same_thread=False, isolation_level=None)
            self._db.execute(CREATE)

    def get(self, key: str) -> Reply | None:
        """Return the reply that was kept under a key."""
        rows = self._run("SELECT reply FROM answers WHERE key = ?", (key,))
        return from_json(json.loads(rows[0][0])) if rows else None

    def put(self, key: str, account: str, reply: Reply) -> None:
        """Keep a reply, on disk when this returns."""
        row = (key, account, json.dumps(as_json(reply)), reply.input_tokens, reply.output_tokens)
        self._run("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", row)

    def tokens(self, account: str) -> tuple[int, int]:
        """Return the input and output tokens of all replies of an account."""
        asked = "SELECT total(input_tokens), total(output_tokens) FROM answers WHERE account = ?"
        ((given, made),) = self._run(asked, (account,))
        return int(given), int(made)

    def forget(self, keys: Sequence[str]) -> None:
        """Find replies no more by their keys; what they cost stays counted."""
        for key in keys:
            self._run("UPDATE answers SET key = key || ' ' || rowid WHERE key = ?", (key,))

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def _run(self, statement: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._told(), self._lock:
            return self._db.execute(statement, values).fetchall()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise InputError(
                f"{self._path}: answers cannot be kept there ({error}); name another file with limits.answers"
            ) from error
