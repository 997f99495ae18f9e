"""Files to tables of text: encoding, delimiter, quoting and line numbers are settled here, the meaning of columns is not.

Every cell comes out as text, exactly as it stands in the file; what it means is for core.datasets.columns.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
from charset_normalizer import from_bytes

from core.datasets.report import Problem, about, found
from core.errors import DatasetError

DELIMITERS = ("\t", ",", ";", "|")
BLOCK_BYTES = 1 << 26  # of the CSV reader; no record may be longer
SAMPLE_BYTES = 1 << 18  # what an unknown encoding is guessed from
ODD_BYTES = 200  # so many bytes beyond ASCII make a guess worth something
SAVE_AS = "Save the table as CSV (UTF-8) or Parquet and import that."

NOT_TABLES = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive", "Unpack it, or save the sheet as CSV (UTF-8), and import that."),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook", "Save the sheet as CSV (UTF-8) and import that."),
    (b"SQLite format 3", "is an SQLite database", SAVE_AS),
    (b"\x89HDF", "is an HDF5 file", SAVE_AS),
    (b"%PDF", "is a PDF document", SAVE_AS),
    (b"{", "looks like JSON", SAVE_AS),
    (b"[", "looks like JSON", SAVE_AS),
    (b"<!doctype", "is a web page", "The download may have failed; fetch the file itself."),
    (b"<html", "is a web page", "The download may have failed; fetch the file itself."),
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself", "Run `git lfs pull` and import again."),
)


@dataclass(frozen=True, eq=False)
class Table:
    """One file's records as text; missing cells are ""."""

    file: str
    frame: pd.DataFrame  # columns of str
    lines: np.ndarray  # int64 (n,) 1-based line of each record with the header; row number in a Parquet file
    rows_read: int  # with the records that could not be used
    problems: tuple[Problem, ...] = ()


def read_table(
    path: Path,
    *,
    names: Sequence[str] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    quoted: bool = True,
) -> Table:
    """A Parquet file, or delimited text (also gzipped). `names`: the columns of a file without a header.

    Encoding (UTF-8, UTF-16 by its mark, else the likeliest) and delimiter are guessed when left out. Records with a wrong
    number of fields are left out and reported. Raises DatasetError for what is no table at all.
    """
    data = _bytes(path)
    if data[:4] == b"PAR1" or path.suffix.lower() == ".parquet":
        return _parquet(path)
    text, problems = _utf8(_checked(data, path), path, encoding)
    if not text.strip():
        raise DatasetError(f"{path.name} is empty.", "Choose a file with a header line and at least one row.")
    header = None if names else _header(text, path, delimiter)
    return _parsed(path.name, text, names or header[0], delimiter or header[1], quoted, bool(header), problems)


def read_text(path: Path) -> str:
    """A file's text exactly as it stands. DatasetError for what is no text in UTF-8 (or UTF-16 by its mark), also for none."""
    data = _checked(_bytes(path), path)
    encoding, sure = _encoding(data)
    try:
        text = data.decode(encoding) if sure else ""
    except UnicodeDecodeError:  # UTF-16 that breaks off
        sure = False
    if not sure:
        hint = "Save it as CSV (UTF-8), or as text in UTF-8, and read that in."
        raise DatasetError(f"{path.name} is not in UTF-8, so ids and names could be misread.", hint)
    if not text.strip():
        raise DatasetError(f"{path.name} is empty.", "Choose the file that was meant; this one may have been cut off.")
    return text


def _bytes(path: Path) -> bytes:
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise DatasetError(f"{path} cannot be read: {reason}.", "Check the path and your permissions.") from error
    if data[:2] != b"\x1f\x8b":
        return data
    try:
        return gzip.decompress(data)
    except (OSError, EOFError, zlib.error) as error:
        raise DatasetError(f"{path.name} is a damaged gzip file: {error}.", "Download or pack it again.") from error


def _checked(data: bytes, path: Path) -> bytes:
    """The same bytes, when they can be text; a DatasetError that names the kind of file otherwise."""
    start = data[:64].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for magic, what, hint in NOT_TABLES:
        if start.startswith(magic.lower()):
            raise DatasetError(f"{path.name} {what}, not a table of text.", hint)
    if b"\x00" in data[:SAMPLE_BYTES] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DatasetError(f"{path.name} is a binary file, not a table of text.", SAVE_AS)
    return data


def _utf8(data: bytes, path: Path, encoding: str | None) -> tuple[bytes, tuple[Problem, ...]]:
    """The text as UTF-8 with line ends of one kind, and a warning when its encoding was guessed."""
    problems: tuple[Problem, ...] = ()
    if encoding is None:
        encoding, sure = _encoding(data)
        if not sure:
            message = f"The text is not UTF-8; it was read as {encoding}. Save it as UTF-8 if letters look wrong."
            problems = (about("encoding", "warning", path.name, message, 1),)
    if encoding != "utf-8":
        data = data.decode(encoding, "replace").encode()
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), problems


def _encoding(data: bytes) -> tuple[str, bool]:
    """The encoding, and whether the bytes themselves prove it."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16", True
    if data.startswith(b"\xef\xbb\xbf"):
        return "utf-8-sig", True
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        return _likeliest(b"\n".join(line for line in data.splitlines() if not line.isascii())[:SAMPLE_BYTES]), False
    return "utf-8", True


def _likeliest(sample: bytes) -> str:
    """The encoding of lines that are not UTF-8. A few accents among plain letters tell a detector nothing: they are cp1252."""
    odd = sum(byte > 127 for byte in sample)
    letters = odd + sum(byte < 128 and chr(byte).isalpha() for byte in sample)
    best = from_bytes(sample).best() if odd >= ODD_BYTES or odd > letters / 2 else None
    western = best is None or str(best) == sample.decode("cp1252", "replace")  # a tie goes to the commonest
    return "cp1252" if western else best.encoding


def _header(text: bytes, path: Path, delimiter: str | None) -> tuple[list[str], str]:
    """Column names of the first line, and the delimiter."""
    line = text[: text.find(b"\n")] if b"\n" in text else text
    first = line.decode("utf-8", "replace")
    delimiter = delimiter or max(DELIMITERS, key=first.count)
    if delimiter not in first:
        hint = "Fields must be separated by commas, tabs, semicolons or bars, in the first line too."
        raise DatasetError(f"{path.name} has only one column in its first line ({first[:60]!r}).", hint)
    names = [name.strip() for name in next(csv.reader(io.StringIO(first), delimiter=delimiter))]
    names = [name or f"unnamed {place}" for place, name in enumerate(names, 1)]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise DatasetError(f"{path.name} has more than one column named {twice[0]!r}.", "Rename one of them in the first line.")
    return names, delimiter


def _parsed(
    file: str, text: bytes, names: Sequence[str], delimiter: str, quoted: bool, header: bool, problems: tuple[Problem, ...]
) -> Table:
    wrong: list[pacsv.InvalidRow] = []

    def skip(row: pacsv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    try:
        table = pacsv.read_csv(
            pa.BufferReader(text),
            pacsv.ReadOptions(use_threads=False, column_names=list(names), block_size=min(BLOCK_BYTES, len(text) + 1)),
            pacsv.ParseOptions(
                delimiter=delimiter,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,  # so that record numbers stay line numbers
                invalid_row_handler=skip,
            ),
            pacsv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as error:
        raise DatasetError(f"{file} cannot be read as a table: {error}.", "Look for a quote that is never closed.") from error
    lines, wrong_lines = _lines(table, wrong, text)
    _refuse_open_quote(file, text, table, wrong, lines, wrong_lines)
    filled = np.any([pc.not_equal(pc.utf8_trim_whitespace(column), "").to_numpy() for column in table.columns], axis=0)
    if header:
        filled[:1] = False
    rejected = [(line, row) for line, row in zip(wrong_lines, wrong, strict=True) if row.text.strip()]
    if rejected:
        first = rejected[0][1]
        source = "the header" if header else "this format"
        message = f"Left out {{n}} without the {first.expected_columns} fields of {source}."
        problems += (found("fields", "error", file, message, [line for line, _ in rejected], first.text),)
    frame = table.filter(pa.array(filled)).to_pandas()
    return Table(file, frame, lines[filled], len(frame) + len(rejected), problems)


def _lines(table: pa.Table, wrong: list[pacsv.InvalidRow], text: bytes) -> tuple[np.ndarray, np.ndarray]:
    """First line of every parsed record, and of every rejected one."""
    total = table.num_rows + len(wrong)
    rejected = np.array([row.number - 1 for row in wrong], np.int64)
    parsed = np.delete(np.arange(total), rejected)
    breaks = np.zeros(total, np.int64)
    if text.count(b"\n") > total:  # some cells hold line breaks
        breaks[parsed] = sum(pc.count_substring(column, "\n").to_numpy() for column in table.columns)
        breaks[rejected] = [row.text.count("\n") for row in wrong]
    first = 1 + np.arange(total) + np.concatenate([[0], breaks.cumsum()[:-1]])
    return first[parsed], first[rejected]


def _refuse_open_quote(
    file: str, text: bytes, table: pa.Table, wrong: list[pacsv.InvalidRow], lines: np.ndarray, wrong_lines: np.ndarray
) -> None:
    """A quote that is never closed swallows the rest of the file, silently: refuse it, and say where it opens."""
    if text.count(b'"') % 2 == 0:
        return
    last_parsed, last_wrong = max(lines, default=0), max(wrong_lines, default=0)
    last = [wrong[-1].text] if last_wrong > last_parsed else [str(column[-1]) for column in table.columns]
    if any("\n" in cell for cell in last):
        line = max(last_parsed, last_wrong)
        raise DatasetError(f"{file} opens a quote in line {line} that is never closed.", "Close or remove that quote.")


def _parquet(path: Path) -> Table:
    try:
        table = pq.read_table(path)
        columns = {name: _as_text(table[name]) for name in table.column_names}
    except (pa.ArrowException, OSError) as error:
        hint = "It may be cut off, or of another kind: write or download it again."
        raise DatasetError(f"{path.name} is not a readable Parquet file.", hint) from error
    frame = pa.table({name: column for name, column in columns.items() if column is not None}).to_pandas()
    return Table(path.name, frame, np.arange(1, len(frame) + 1), len(frame))


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray | None:
    """Numbers, dates and lists as text (lists joined by "|"); None for what has no text form, such as structures."""
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        if pa.types.is_nested(kind.value_type):
            return None
        column = pc.binary_join(pc.cast(column, pa.list_(pa.string())), "|")
    elif pa.types.is_nested(kind):
        return None
    elif pa.types.is_timestamp(kind):
        column = pc.cast(pc.cast(column, pa.timestamp("s", kind.tz), safe=False), pa.int64())
    elif pa.types.is_floating(kind):
        column = _whole(column)
    return pc.fill_null(pc.cast(column, pa.string()), "")


def _whole(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Integers that became floats because some are missing, as integers again: 1e+07 is no id."""
    column = pc.if_else(pc.is_nan(column), None, column)
    try:
        return pc.cast(column, pa.int64())
    except pa.ArrowInvalid:
        return column
