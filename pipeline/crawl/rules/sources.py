"""Lists of seeds as other programs write them: plain text, tables (CSV) and feed lists (OPML).

For `seeds`, which checks what is found here. Each URL comes with its line, so that a mistake can be
pointed at. Pure: the caller reads the file, and no list fetches another one.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple
from xml.parsers import expat

from pipeline.errors import ConfigError
from pipeline.model import toml
from pipeline.model.toml import Problem

_COMMENT = re.compile(r"(?:^|\s)#.*")
_LIKE_A_URL = re.compile(r"\s*https?://", re.IGNORECASE)
_DELIMITERS: Final = (",", ";", "\t")
_COLUMN: Final = "url"


class Listed(NamedTuple):
    """A URL as it is written in a seed file, and its line; `is_source` if it lists others."""

    line: int | None
    url: str
    is_source: bool = False


def plain(raw: bytes, file: str) -> list[Listed]:
    """Read one URL a line; comments begin a line or follow a blank.

    Raises:
        ConfigError: the file is no UTF-8 text.

    """
    listed = []
    for number, line in enumerate(toml.decode(raw, file).splitlines(), 1):
        url = _COMMENT.sub("", line).strip()
        if url:
            listed.append(Listed(number, url))
    return listed


def table(raw: bytes, file: str) -> list[Listed]:
    """Read the column `url` of a table (RFC 4180), or else the first one that holds URLs.

    Comma, semicolon or tabulator part the columns. A row that is empty there is passed over.

    Raises:
        ConfigError: the file is no UTF-8 text or no table, or has no such column.

    """
    text = toml.decode(raw, file)
    first = text[: text.find("\n")] if "\n" in text else text
    rows = list(_rows(text, _delimiter(first), file))
    titles = [title.strip().lower() for title in rows[0][1]] if rows else []
    if _COLUMN in titles:
        column, rows = titles.index(_COLUMN), rows[1:]
    else:
        column = _column_of_urls(rows, file)
        if not _LIKE_A_URL.match(_cell(rows[0][1], column)):
            rows = rows[1:]
    cells = ((line, _cell(row, column).strip()) for line, row in rows)
    return [Listed(line, url) for line, url in cells if url]


def outlines(raw: bytes, file: str) -> list[Listed]:
    """Read a list of feeds (OPML 2.0): each feed is a seed source, the page it belongs to a seed.

    Raises:
        ConfigError: it is no sound XML, declares a document type, or includes other lists.

    """
    listed: list[Listed] = []
    parser = expat.ParserCreate()

    def refuse(message: str) -> ConfigError:
        return ConfigError(str(Problem(file=file, line=parser.CurrentLineNumber, message=message)))

    def doctype(*_: object) -> None:
        # what declares entities can make gigabytes out of a line, or read other files
        raise refuse("expected OPML without <!DOCTYPE>; delete the declaration")

    def element(name: str, attributes: dict[str, str]) -> None:
        if name.lower() != "outline":
            return
        given = {key.lower(): value for key, value in attributes.items() if value.strip()}
        if given.get("type", "").lower() == "include":
            raise refuse("expected feeds, got an outline that includes another list; name it apart")
        line = parser.CurrentLineNumber
        if "htmlurl" in given:
            listed.append(Listed(line, given["htmlurl"]))
        if "xmlurl" in given:
            listed.append(Listed(line, given["xmlurl"], is_source=True))
        elif "url" in given:
            listed.append(Listed(line, given["url"]))

    parser.StartDoctypeDeclHandler = doctype
    parser.StartElementHandler = element
    try:
        parser.Parse(raw, True)
    except expat.ExpatError as error:
        message = f"not valid OPML: {expat.ErrorString(error.code)}"
        raise ConfigError(str(Problem(file=file, line=error.lineno, message=message))) from None
    except (LookupError, ValueError) as error:
        raise ConfigError(f"{file}: not valid OPML: {error}; save it as UTF-8") from None
    return listed


READERS: Final[dict[str, Callable[[bytes, str], list[Listed]]]] = {
    ".txt": plain,
    ".csv": table,
    ".opml": outlines,
}
"""How to read a seed file that is a mere list, by the ending of its name."""


def _delimiter(first: str) -> str:
    """Find what parts the columns: what sets off a title `url` in the first line, if it has one.

    Semicolons and commas may stand in URLs, so that a line without titles says less.
    """
    for delimiter in _DELIMITERS:
        if _COLUMN in (cell.strip(' "\r').lower() for cell in first.split(delimiter)):
            return delimiter
    if "://" in first:
        return "\t" if "\t" in first else ","
    return max(_DELIMITERS, key=first.count)


def _rows(text: str, delimiter: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Give each row that is not empty with the line on which it ends."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            row = next(reader, None)
        except csv.Error as error:
            message = f"not a sound table: {error}"
            problem = Problem(file=file, line=reader.line_num, message=message)
            raise ConfigError(str(problem)) from None
        if row is None:
            return
        if any(row):
            yield reader.line_num, row


def _column_of_urls(rows: Sequence[tuple[int, list[str]]], file: str) -> int:
    for _, row in rows:
        for number, cell in enumerate(row):
            if _LIKE_A_URL.match(cell):
                return number
    raise ConfigError(f"{file}: expected a column named url, or one that holds URLs")


def _cell(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""
