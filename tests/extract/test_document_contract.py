"""The reader of document lines accepts what the published JSON Schema accepts, and nothing else."""

from __future__ import annotations

import copy
import json
from typing import Any

import jsonschema
import make_cases
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.extract.extractor import Skipped, extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.model import canonical
from pipeline.model.document import Document

from .conftest import VALIDATOR

FOLDERS = sorted(path.parent for path in make_cases.CASES.glob("*/page.bin"))


def stored(folder: Any) -> dict[str, Any]:
    made = extract(make_cases.read_source(folder), ExtractPolicy())
    assert not isinstance(made, Skipped)
    return made.as_json()


RICH = stored(make_cases.CASES / "modern-article")


def is_document(line: bytes) -> bool:
    try:
        Document.parse(line)
    except ValueError:
        return False
    return True


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Give the way to every value within a document."""
    found = [path] if path else []
    pairs = value.items() if isinstance(value, dict) else ()
    pairs = enumerate(value) if isinstance(value, list) else pairs
    for key, inner in pairs:
        found += places(inner, (*path, key))
    return found


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 2),
    st.integers(),
    st.sampled_from(
        ["", "x", "sha256:" + "0" * 64, "a\n", "1999-12\n", "1999", "a-b", "ÄÖ", "A b"]
    ),
    st.text(max_size=3),
    st.just([]),
    st.just(["x", "x"]),
    st.just([None]),
    st.just({}),
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_golden_document_can_be_read_back(folder) -> None:
    line = canonical.line(stored(folder))[:-1]
    assert canonical.line(Document.parse(line).as_json())[:-1] == line


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_the_reader_and_the_schema_agree_about_every_change(data) -> None:
    document = copy.deepcopy(RICH)
    for _ in range(data.draw(st.integers(1, 2))):
        *way, last = data.draw(st.sampled_from(places(document)))
        holder = document
        for key in way:
            holder = holder[key]
        change = data.draw(st.sampled_from(["put", "drop", "add"]))
        if change == "put":
            holder[last] = data.draw(ODD)
        elif change == "drop":
            del holder[last]
        elif isinstance(holder, dict):
            holder["more"] = data.draw(ODD)
        else:
            holder.append(copy.deepcopy(holder[last]))
    line = canonical.line(document)
    told = json.loads(line)
    # in Python's reading of the schema `$` also matches before a line end; in the standard's not
    ends = any(isinstance(value, str) and value.endswith("\n") for value in leaves(told))
    if VALIDATOR.is_valid(told) and not ends and "\0" not in line.decode():
        assert is_document(line[:-1]) == ("\\u0000" not in line.decode())
    elif not ends:
        assert not is_document(line[:-1])


def leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for inner in value.values() for leaf in leaves(inner)]
    if isinstance(value, list):
        return [leaf for inner in value for leaf in leaves(inner)]
    return [value]


@pytest.mark.parametrize(
    "change",
    [
        lambda line: line.replace(b'{"anomalies"', b'{ "anomalies"', 1),
        lambda line: line.replace(b'"anomalies":[],', b'"anomalies":[],"anomalies":[],', 1),
        lambda line: line.replace(b'"schema":"holdfast/document/1",', b"", 1),
        lambda line: line.replace(b"document/1", b"document/2", 1),
        lambda line: b'{"url":"x",' + line[1:],
        lambda line: line.replace(b'"replaced":0', b'"replaced":0.0', 1),
        lambda line: line.replace(b'"replaced":0', b'"replaced":-0', 1),
        lambda line: line.replace(b'"text":"', b'"text":"\\u0041', 1),
        lambda line: line.replace(b'"text":"', b'"text":"\\ud800', 1),
        lambda line: line.replace(b'"text":"', b'"text":"\xff', 1),
        lambda line: line + b" ",
        lambda line: line[:-1],
        lambda line: b"",
        lambda line: b"[]",
        lambda line: b"NaN",
        lambda line: b"[" * 100_000,
        lambda line: b'{"title":' * 100_000,
        lambda line: line.replace(b'"title":', b'"title":' + b'{"value":' * 100_000, 1),
        lambda line: line.replace(b'"offset":', b'"offset":' + b"9" * 10_000, 1),
    ],
)
def test_another_spelling_of_a_document_is_none(change) -> None:
    line = canonical.line(RICH)[:-1]
    changed = change(line)
    assert changed != line
    assert is_document(line) and not is_document(changed)


def test_the_schema_itself_is_sound() -> None:
    jsonschema.Draft202012Validator.check_schema(VALIDATOR.schema)
