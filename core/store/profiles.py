"""Profiles of users as language models wrote them, by the content of what they were written from."""

import json
import time
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import select

from core.store.database import CHUNK, Database


class ProfileLog(Database):
    """A cache: the same history, model and prompt give the same profile, which is written once."""

    def profiles(self, keys: Iterable[str]) -> dict[str, str]:
        """Text by key, of those keys that have one."""
        table = self._table("profile")
        asked = list(keys)
        found: dict[str, str] = {}
        with self.reading() as connection:
            for start in range(0, len(asked), CHUNK):
                part = select(table.c.key, table.c.text).where(table.c.key.in_(asked[start : start + CHUNK]))
                found |= dict(connection.execute(part).fetchall())
        return found

    def add_profile(
        self,
        key: str,
        text: str,
        *,
        judge: str,
        model: str,
        digest: str,
        prompt_version: str,
        prompt: Sequence[Mapping[str, str]],
        raw: str,
        truncated: bool,
        prompt_tokens: int | None,
        answer_tokens: int | None,
        seconds: float,
    ) -> None:
        """Keep a profile with the messages that it came from, in a transaction of its own. The first one to a key stays."""
        values = {"key": key, "text": text, "judge": judge, "model": model, "digest": digest, "prompt_version": prompt_version}
        values |= {"prompt": json.dumps(list(prompt), ensure_ascii=False), "raw": raw, "truncated": truncated}
        values |= {"prompt_tokens": prompt_tokens, "answer_tokens": answer_tokens, "seconds": seconds, "at": time.time()}
        with self.writing([]) as connection:
            connection.execute(self._insert(self._table("profile")).on_conflict_do_nothing(), values)
