"""Text of catalogues, users and models as harmless data. For a language model: it cannot open or close a tag, holds no chat
control tokens, and is cut to a length. For a spreadsheet: no cell runs as a formula.
"""

import re
import unicodedata
from functools import lru_cache

import pandas as pd

FORMULA = re.compile(r"'*[=+\-@\t\r]")
_ESCAPED = re.compile(r"'+[=+\-@\t\r]")

CHAT_TOKENS = re.compile(
    r"<\|[^|<>\n]{1,40}\|>|<｜[^｜<>\n]{1,40}｜>|</?s>|<</?SYS>>|\[/?INST\]|</?(?:start|end)_of_turn>|</?think(?:ing)?>"
    r"|<(?:bos|eos|pad|unk)>|</?(?:tool_call|tool_response)>|<[|｜]|[|｜]>",
    re.IGNORECASE,
)
"""What models read as control. The bars alone come last: only between them may a token hold spaces, so without them nothing
that a removed token leaves as a space can make another."""
READ = 20
"""Of a text this many times its limit is looked at: enough for all that is removed from an honest one."""


def harmless(text: str) -> str:
    """`text` in one line of visible characters (NFC), without what models read as control."""
    clean = unicodedata.normalize("NFC", text)
    if not clean.isprintable():  # of what is printable only the plain space is white, and nothing is a control
        clean = "".join(" " if char.isspace() else char for char in clean if char.isspace() or not is_control(char))
    return " ".join(CHAT_TOKENS.sub(" ", clean).split())


def tame(text: str, limit: int) -> tuple[str, bool]:
    """`text` on one line of at most `limit` characters, without what models read as control, and whether it was cut."""
    text = text.strip()
    clean = harmless(text[: READ * limit])
    cut = len(text) > READ * limit or len(clean) > limit
    if cut:
        head = clean[: limit - 1]
        clean = (head.rsplit(" ", 1)[0] if " " in head[limit // 2 :] else head) + "…"
    return clean, cut


@lru_cache(maxsize=2**15)
def sanitise(text: str, limit: int) -> tuple[str, bool]:
    """`text` as harmless data of at most `limit` characters (before `& < >` are escaped), and whether it was cut.

    Remembered: each item of a history comes again in every question about its readers.
    """
    clean, cut = tame(text, limit)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"), cut


def safe_cells(table: pd.DataFrame) -> pd.DataFrame:
    """A copy whose text cells no spreadsheet runs as a formula: for every CSV that people open."""
    texts = table.select_dtypes(include=["object", "str"]).columns
    return table.assign(**{name: table[name].map(safe_cell) for name in texts})


def safe_cell(value: object) -> object:
    """Bijective on text: only an apostrophe in front of a formula is ever added."""
    return f"'{value}" if isinstance(value, str) and FORMULA.match(value) else value


def plain_cell(cell: str) -> str:
    """The text that `safe_cell` made safe."""
    return cell[1:] if _ESCAPED.match(cell) else cell


def is_control(char: str) -> bool:
    """Control, format (joins words invisibly, turns text around), private and lone surrogate characters."""
    return unicodedata.category(char) in ("Cc", "Cf", "Co", "Cs")
