"""An operator's TOML file made into a typed value, or into messages that say what to mend.

For config.toml and the seed files. All problems of a file are told at once, each with its line, its
key, what was expected and what was there. Pure: the caller reads the file.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any, Literal, TypeVar, get_args, get_origin

import msgspec
from msgspec import Struct

from pipeline.errors import ConfigError
from pipeline.model.wording import printable

Shape = TypeVar("Shape", bound=msgspec.Struct)

_MAX_SHOWN = 60
_HEADER = re.compile(r"\s*\[\[?([^\[\]]+)\]\]?")
_KEY = re.compile(r"""\s*([A-Za-z0-9_."' -]+?)\s*=""")
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


class Problem(Struct, frozen=True, kw_only=True):
    """One thing to mend in a file: a line (None if it is not known), and what is wrong."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        where = f"{self.file}: line {self.line}" if self.line else self.file
        return f"{where}: {self.message}"


def read(raw: bytes, shape: type[Shape], file: str) -> Shape:
    """Read a TOML file of the given shape; `file` is its name in messages.

    Fields of `shape` that are Structs are tables. What the messages say was expected is the
    `description` in a field's `Meta`.

    Raises:
        ConfigError: one line for each problem.

    """
    text = decode(raw, file)
    document = _parse(text, file)
    problems = [
        Problem(file=file, line=line_of(text, key), message=f"{key}: {message}")
        for key, message in _problems(document, shape, "")
    ]
    fail(problems)
    return msgspec.convert(document, shape)


def decode(raw: bytes, file: str) -> str:
    """Read text as UTF-8, with or without a byte order mark.

    Raises:
        ConfigError: it is something else.

    """
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        message = f"expected UTF-8 text, got the byte 0x{raw[error.start]:02x}; save it as UTF-8"
        raise ConfigError(str(Problem(file=file, line=line, message=message))) from None


def fail(problems: list[Problem]) -> None:
    """Raise all problems as one error, if there are any.

    Raises:
        ConfigError: one line for each problem.

    """
    if problems:
        raise ConfigError("\n".join(map(str, problems)))


def shown(value: object) -> str:
    """Write a value of a TOML file for a message: one line, and not too long."""
    text = printable(json.dumps(value, ensure_ascii=False, default=str))
    return text if len(text) <= _MAX_SHOWN else text[: _MAX_SHOWN - 1] + "…"


def line_of(text: str, key: str) -> int | None:
    """Find the line where the dotted `key`, or else the innermost of its tables, is set.

    A best effort: the text is not parsed, so a line inside a multi-line string may be taken for it.
    """
    table, best, depth = "", None, 0
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.fullmatch(line.partition("#")[0].rstrip()):
            table = _plain(header[1])
            name = table
        elif assigned := _KEY.match(line):
            name = f"{table}.{_plain(assigned[1])}".lstrip(".")
        else:
            continue
        if (key == name or key.startswith(name + ".")) and len(name) > depth:
            best, depth = number, len(name)
    return best


def _plain(key: str) -> str:
    return re.sub(r"[\s\"']", "", key)


def _parse(text: str, file: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        line = int(place[1]) if place and place[1] else None
        reason = message[: place.start()] if place else message
        column = f", column {place[2]}" if place and place[1] else ", at the end of the file"
        raise ConfigError(
            str(Problem(file=file, line=line, message=f"not valid TOML: {reason}{column}"))
        ) from None
    except (RecursionError, ValueError):
        message = "not valid TOML: nested too deeply, or a number too long"
        raise ConfigError(str(Problem(file=file, line=None, message=message))) from None


def _problems(
    table: dict[str, Any], shape: type[msgspec.Struct], prefix: str
) -> Iterator[tuple[str, str]]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(shape)}
    for key, value in table.items():
        if key not in fields:
            yield prefix + key, _unknown(key, list(fields))
            continue
        inner = _table(fields[key].type)
        if inner is None:
            yield from _mismatch(prefix + key, value, fields[key].type)
        elif isinstance(value, dict):
            yield from _problems(value, inner, f"{prefix}{key}.")
        else:
            yield prefix + key, f"expected a table [{prefix}{key}], got {shown(value)}"
    for name, field in fields.items():
        if field.required and name not in table:
            yield prefix + name, f"missing; expected {_expected(field.type) or 'a value'}"


def _table(kind: Any) -> type[msgspec.Struct] | None:
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _mismatch(key: str, value: object, kind: Any) -> Iterator[tuple[str, str]]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        expected = _expected(kind)
        yield key, f"expected {expected}, got {shown(value)}" if expected else str(error)


def _expected(kind: Any) -> str | None:
    """Say what a type accepts: the description in its `Meta`, or the values of a `Literal`."""
    parts = get_args(kind)
    for part in parts:
        if isinstance(part, msgspec.Meta) and part.description:
            return part.description
    if get_origin(kind) is Literal:
        return f"one of {', '.join(map(shown, parts))}"
    inner = next((found for part in parts if (found := _expected(part))), None)
    return f"a list, each value {inner}" if inner and get_origin(kind) is tuple else inner


def _unknown(key: str, known: list[str]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
    return f"unknown key; {hint}"
