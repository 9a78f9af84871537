"""Every golden page gives the document that was reviewed, byte for byte."""

from __future__ import annotations

import json
import re
from pathlib import Path

import jsonschema
import make_cases
import pytest

import pipeline.extract
from pipeline.extract.extractor import Skipped, extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.model import canonical

FOLDERS = sorted(path.parent for path in make_cases.CASES.glob("*/page.bin"))
SCHEMA = json.loads(
    (Path(pipeline.extract.__path__[0]) / "document.schema.json").read_text("utf-8")
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_golden_page_gives_the_reviewed_document(folder: Path) -> None:
    expected = json.loads((folder / "expected.json").read_text("utf-8"))

    assert make_cases.outcome(make_cases.read_source(folder)) == expected


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_document_keeps_the_published_schema(folder: Path) -> None:
    document = extract(make_cases.read_source(folder), ExtractPolicy())
    assert not isinstance(document, Skipped)

    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(canonical.line(document.as_json())))


def test_the_folders_are_what_the_script_writes() -> None:
    assert [case.name for case in sorted(make_cases.CASE_LIST, key=lambda case: case.name)] == [
        folder.name for folder in FOLDERS
    ]
    for case in make_cases.CASE_LIST:
        folder = make_cases.CASES / case.name
        assert (folder / "page.bin").read_bytes() == case.payload
        assert json.loads((folder / "meta.json").read_text("utf-8")) == make_cases.meta(case)


def test_the_schema_is_strict_everywhere() -> None:
    def objects(node: object) -> list[dict[str, object]]:
        found = [node] if isinstance(node, dict) and node.get("type") == "object" else []
        children = (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        )
        return found + [each for child in children for each in objects(child)]

    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    for each in objects(SCHEMA):
        assert each["additionalProperties"] is False
        assert each["required"] == sorted(each["properties"])  # type: ignore[call-overload]


def test_the_example_in_the_documentation_is_real() -> None:
    page = (Path(__file__).parents[2] / "docs" / "document.md").read_text("utf-8")
    example = json.loads(re.findall(r"```json\n(.*?)```", page, re.DOTALL)[0])

    jsonschema.Draft202012Validator(SCHEMA).validate(example)
    del example["extractor"]
    assert example == json.loads(
        (make_cases.CASES / "documentation-example" / "expected.json").read_text("utf-8")
    )


def test_every_field_is_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "document.md").read_text("utf-8")

    assert [name for name in SCHEMA["properties"] if f"| `{name}` |" not in page] == []
