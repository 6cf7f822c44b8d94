"""How a table is written as text, found by looking at its first lines: encoding, separator, decimal sign, header.

The encoding is that of the byte order mark, else UTF-8, else Windows' Western one. A detector that goes by the
frequency of letters has nothing to go by here: headers are ASCII but for a micro sign, and the rest is numbers.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from napari_subpixel._util.files import open_input
from napari_subpixel.errors import InputError

#: So much of a file's beginning is looked at.
MAX_HEAD_BYTES = 1 << 17
#: What may separate the values of a row, by the name in messages; of spaces, any number.
SEPARATORS = {",": "commas", "\t": "tabs", ";": "semicolons", "|": "bars", " ": "spaces"}
#: Lines that begin so are comments.
COMMENT = "#"
#: The encodings that announce themselves.
MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
#: The first line of a spreadsheet's file that says what separates the values.
SEPARATOR_LINE = re.compile(r'^"?sep=(.)"?\s*$', re.IGNORECASE)
#: A number with a decimal comma.
COMMA_NUMBER = re.compile(r"^[+-]?\d*,\d+([eE][+-]?\d+)?$")
#: Bytes that no text has.
NO_TEXT = re.compile(r"[\x01-\x08\x0e-\x1f]")


@dataclass(frozen=True)
class TextTable:
    """How one table is written.

    Attributes
    ----------
    path : Path
        The file.
    encoding : str
        Python's name of the encoding.
    separator : str
        What separates the values of a row, one of `SEPARATORS`.
    decimal : str
        The decimal sign, a point or a comma.
    header : tuple of str
        The names of the columns, without quotes and without spaces at their ends.
    n_lines_before : int
        Lines up to and with the header.
    quoted : bool
        Whether the names in the header stand in quotes.
    first_row : tuple of str
        The values of the first row, as they are written; none where there are no rows.
    is_plain : bool
        Whether rows can be parsed as they lie in the file; else they are parsed from `clean_rows`.
    """

    path: Path
    encoding: str
    separator: str
    decimal: str
    header: tuple[str, ...]
    n_lines_before: int
    quoted: bool
    first_row: tuple[str, ...]
    is_plain: bool

    @property
    def separated_by(self) -> str:
        """What separates the values, in words."""
        return SEPARATORS.get(self.separator, repr(self.separator))

    def clean_rows(self) -> bytes:
        """Return the rows as text in UTF-8 that any parser reads: no comments, no footer, no quotes around rows.

        A footer is what follows the last row: lines that hold no number.
        """
        lines = (line for line in self._lines() if line.strip() and not line.startswith(COMMENT))
        rows = [line if self.separator == " " else _unquoted(line, self.separator) for line in lines]
        while rows and not any(map(_is_number, self.cells(rows[-1]))):
            rows.pop()
        if self.separator == " ":
            rows = [" ".join(self.cells(row)) for row in rows]
        return "".join(f"{row}\n" for row in rows).encode()

    def ends_whole(self) -> bool:
        """Say whether the last line has an end; one of a file that was cut off rarely has."""
        with self.path.open("rb") as file:
            file.seek(-min(4, self.path.stat().st_size), 2)
            return bool({"\n", "\r"} & {*file.read().rstrip(b"\0 \t").decode("latin-1")[-2:]})

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of the line and the values of each row; blank lines and comments are passed over."""
        for number, line in enumerate(self._lines(), start=self.n_lines_before + 1):
            if line.strip() and not line.startswith(COMMENT):
                yield number, self.cells(_unquoted(line, self.separator))

    def cells(self, line: str) -> list[str]:
        """Return the values of a row."""
        return _split(line, self.separator)

    def _lines(self) -> Iterator[str]:
        with self.path.open(encoding=self.encoding, errors="replace") as file:
            for number, line in enumerate(file):
                if number >= self.n_lines_before:
                    yield line.rstrip("\r\n").replace("\0", "")


def look(path: str | Path) -> TextTable:
    """Look at the beginning of a text file, and return how its table is written.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    TextTable
        Its header may list no name that is known.

    Raises
    ------
    InputError
        If the file is missing, empty or no text.
    """
    path = Path(path)
    with open_input(path) as file:
        head = file.read(MAX_HEAD_BYTES)
    encoding, text = _decoded(head)
    if NO_TEXT.search(text.split("\n", 1)[0]) or text.startswith("\0"):
        raise InputError(f"{path}: not a csv table: its first line is not text")
    lines = list(io.StringIO(text, newline=None))
    is_cut = len(head) == MAX_HEAD_BYTES
    if is_cut:
        lines.pop()
    lines = [line.rstrip("\n") for line in lines]
    place, announced, comment = _header_place(lines)
    rows = [line for line in lines[place + 1 :] if line.strip() and not line.startswith(COMMENT)][:100]
    if is_cut and not rows:
        raise InputError(f"{path}: not a csv table: no row ends within the first {MAX_HEAD_BYTES:,} bytes")
    has_comments = any(line.startswith(COMMENT) for line in lines[place + 1 :])
    header_line = lines[place] if place < len(lines) else ""
    fields = _xml_fields(comment)
    if fields or _is_header_in_comment(header_line, comment):
        rows.insert(0, header_line)
        header_line = comment.lstrip(COMMENT).strip()
        place -= 1
    bare = _unquoted(header_line)
    separator = announced or (" " if fields else _separator(bare, [_unquoted(row) for row in rows]))
    names = fields or [name.strip() for name in _split(bare, separator, joined=True)]
    first = _split(_unquoted(rows[0], separator), separator) if rows else []
    sample = [cell.strip() for row in rows for cell in _split(_unquoted(row, separator), separator)]
    return TextTable(
        path=path,
        encoding=encoding,
        separator=separator,
        decimal="," if any(map(COMMA_NUMBER.match, sample)) else ".",
        header=tuple(names),
        n_lines_before=place + 1,
        quoted=header_line.lstrip().startswith('"'),
        first_row=tuple(cell.strip() for cell in first),
        is_plain=separator != " " and not has_comments and encoding in ("utf-8", "utf-8-sig", "cp1252", "latin-1"),
    )


def _decoded(head: bytes) -> tuple[str, str]:
    """Return the encoding of a file's beginning, and its text."""
    for mark, encoding in MARKS.items():
        if head.startswith(mark):
            return encoding, codecs.getincrementaldecoder(encoding)("replace").decode(head)
    for start, encoding in ((1, "utf-16-le"), (0, "utf-16-be")):
        if len(head) >= 8 and not any(head[start:64:2]) and any(head[1 - start : 64 : 2]):
            return encoding, codecs.getincrementaldecoder(encoding)("replace").decode(head)
    for encoding in ("utf-8", "cp1252"):
        try:
            return encoding, codecs.getincrementaldecoder(encoding)().decode(head)
        except UnicodeDecodeError:
            continue
    return "latin-1", head.decode("latin-1")


def _header_place(lines: Sequence[str]) -> tuple[int, str | None, str]:
    """Return the place of the first line that may be the header, the separator announced, and the comment before it."""
    announced, comment = None, ""
    for place, line in enumerate(lines):
        if match := SEPARATOR_LINE.match(line.strip("\ufeff")):
            announced = match[1]
        elif line.startswith(COMMENT):
            comment = line
        elif line.strip():
            return place, announced, comment
    return (0, announced, "") if not comment else (len(lines), announced, comment)


def _is_header_in_comment(line: str, comment: str) -> bool:
    """Say whether a line is a row of numbers and the comment before it names as many columns."""
    if not comment or not line:
        return False
    separator = _separator(line, [])
    cells = _split(line, separator)
    names = comment.lstrip(COMMENT).strip()
    return all(map(_is_number, cells)) and any(
        len(_split(names, sign, joined=True)) == len(cells) for sign in {separator, ",", "\t", ";"}
    )


def _xml_fields(comment: str) -> list[str]:
    """Return the columns that rapidSTORM's first line describes, with their unit where it is one of length."""
    if "<localizations" not in comment:
        return []
    try:
        fields = ElementTree.fromstring(comment.lstrip(COMMENT).strip()).findall("field")
    except ElementTree.ParseError:
        return []
    units = ((field.get("identifier", ""), field.get("unit", "")) for field in fields)
    return [f"{name} [{unit}]" if unit in ("nanometer", "micrometer", "pixel") else name for name, unit in units]


def _separator(header: str, rows: Sequence[str]) -> str:
    """Return what separates the names of a header: what gives most names, and as many values in the first row."""

    def merit(sign: str) -> tuple[bool, int]:
        n = len(_split(header, sign))
        return (not rows or len(_split(rows[0], sign)) == n, n)

    candidates = [sign for sign in SEPARATORS if sign != " " and len(_split(header, sign)) > 1]
    if candidates:
        return max(candidates, key=merit)
    return " " if len(_split(header, " ", joined=True)) > 1 else ","


def _split(line: str, separator: str, *, joined: bool = False) -> list[str]:
    """Return the values of a line; where spaces separate them, a unit in brackets may be joined to its name."""
    if separator == " ":
        if joined:
            line = re.sub(r"\s+(?=[\[(])", "\xa0", line)
        return [
            cell.replace("\xa0", " ")
            for cell in next(csv.reader([re.sub(r"[ \t]+", " ", line.strip())], delimiter=" "), [])
        ]
    return next(csv.reader([line], delimiter=separator), [])


def _unquoted(line: str, separator: str = "") -> str:
    """Return a line without the quotes that a spreadsheet put around the whole of it."""
    text = line.strip()
    inner = text[1:-1]
    if len(text) < 2 or text[0] != '"' or text[-1] != '"' or '"' in inner.replace('""', ""):
        return line
    return inner.replace('""', '"') if any(sign in inner for sign in ([separator] if separator else ",;\t|")) else line


def _is_number(text: str) -> bool:
    try:
        float(text.strip().replace(",", "."))
    except ValueError:
        return False
    return True
