"""What annotators of a dataset are told: one short text in a file that people may edit."""

from pathlib import Path

from core.artifacts import Home, atomic

LONGEST = 4000
DEFAULT = """Is this item relevant to this user? Answer for the user, not for yourself.

Relevant: somebody with this history would choose it, also if it is a rare side of their taste.
Not relevant: a misclick, a gift, or something that nothing in the history speaks for.
Can't tell: the history is too short, or the texts say too little. Do not guess.

Popular is not relevant, and unpopular is not noise. Flag what you want to see again or ask others about."""


def read(home: Home, dataset: str) -> str:
    """The dataset's guidelines; DEFAULT until somebody has written some."""
    path = _path(home, dataset)
    return path.read_text(encoding="utf-8") if path.exists() else DEFAULT


def write(home: Home, dataset: str, text: str) -> None:
    with atomic(_path(home, dataset)) as temporary:
        temporary.write_text(text.strip()[:LONGEST] or DEFAULT, encoding="utf-8")


def _path(home: Home, dataset: str) -> Path:
    return home.path / "guidelines" / f"{dataset}.txt"
