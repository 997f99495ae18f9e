"""Counts as people say them."""


def counted(n: int, one: str) -> str:
    """One pair, 2,000 pairs."""
    return f"{n:,} {one}" + ("" if n == 1 else "s")
