"""Vectors that servers have made, one row a text, in a SQLite file: what has been paid for is never asked again."""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from core.artifacts import explained
from core.errors import StoreError

BUSY_S = 60.0
AT_ONCE = 500  # keys in a query


class KeptVectors:
    """One file, which several processes and threads may use at once; rows appear in whole batches or not at all."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        with explained(path):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self._explained():
            self._connection = sqlite3.connect(path, timeout=BUSY_S, check_same_thread=False)
            self._connection.execute(
                "create table if not exists vector(place integer primary key, key blob not null unique,"
                " vector blob not null, cut integer not null)"
            )

    def close(self) -> None:
        self._connection.close()

    def keep(self, keys: Sequence[bytes], vectors: np.ndarray, *, cut: bool) -> None:
        """Float32 rows (n, dim) of `keys`; `cut`: the texts were cut to fit the model."""
        rows = [(key, vector.tobytes(), cut) for key, vector in zip(keys, vectors.astype("<f4"), strict=True)]
        with self._explained(), self._lock, self._connection as connection:
            connection.executemany("insert or replace into vector(key, vector, cut) values(?, ?, ?)", rows)

    def known(self, keys: Sequence[bytes]) -> set[bytes]:
        """Those of `keys` that have a vector of the newest one's length: other lengths are of a model that was replaced."""
        rows = [row for found in self._found("place, key, length(vector)", keys) for row in found]
        newest = max(rows, default=(0, b"", 0))[2]
        return {key for _, key, size in rows if size == newest}

    def read(self, keys: Sequence[bytes]) -> tuple[np.ndarray, int]:
        """The vectors of known keys, float32 (n, dim) with n > 0, and how many of their texts were cut."""
        place = {key: row for row, key in enumerate(keys)}
        vectors, cut = np.empty((0, 0), np.float32), 0
        for found in self._found("key, vector, cut", keys):
            rows = np.stack([np.frombuffer(vector, "<f4") for _, vector, _ in found])
            if not len(vectors):
                vectors = np.empty((len(keys), rows.shape[1]), np.float32)
            vectors[[place[key] for key, _, _ in found]] = rows
            cut += sum(was_cut for _, _, was_cut in found)
        return vectors, cut

    def _found(self, columns: str, keys: Sequence[bytes]) -> Iterator[list[tuple]]:
        for start in range(0, len(keys), AT_ONCE):
            part = keys[start : start + AT_ONCE]
            query = f"select {columns} from vector where key in ({', '.join('?' * len(part))})"
            with self._explained(), self._lock:
                found = self._connection.execute(query, part).fetchall()
            yield found

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            hint = "Free some disk space; if the file is damaged, delete it: its texts are encoded again."
            raise StoreError(f"The vectors kept in {self._path} cannot be used: {error}.", hint) from error
