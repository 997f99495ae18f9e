"""Counts as people say them."""

from core.wording import counted


def test_one_is_no_plural() -> None:
    assert [counted(n, "pair") for n in (0, 1, 2, 2000)] == ["0 pairs", "1 pair", "2 pairs", "2,000 pairs"]
