"""What an extraction event says is read in its right form, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.extract.environment import environment, environment_digest
from pipeline.extract.policy import ExtractPolicy
from pipeline.fixity.extraction import extraction_of

AGENT = {"name": "holdfast", "version": "1.2.3"}
DETAIL = {
    "collection": "c",
    "documents": 3,
    "skipped": {"robots-txt": 1, "media-type image/gif": 2},
    "anomalies": {},
    "damaged": 0,
    "config_digest": ExtractPolicy().digest(),
    "environment": environment(),
}


def test_an_event_tells_how_many_and_by_whom() -> None:
    made = extraction_of(DETAIL, AGENT)
    assert made is not None
    assert (made.documents, made.skipped["media-type image/gif"], made.damaged) == (3, 2, 0)
    assert made.maker.version == "1.2.3"
    assert made.maker.environment == environment_digest()


@pytest.mark.parametrize(
    "change",
    [
        {"documents": -1},
        {"documents": "3"},
        {"documents": True},
        {"skipped": {"x": -1}},
        {"skipped": ["x"]},
        {"damaged": None},
        {"config_digest": "sha256:0"},
        {"environment": {"lxml": 6}},
    ],
)
def test_an_event_in_another_form_tells_nothing(change: dict[str, Any]) -> None:
    assert extraction_of({**DETAIL, **change}, AGENT) is None


@pytest.mark.parametrize("missing", ["documents", "skipped", "damaged", "config_digest"])
def test_an_event_that_leaves_something_out_tells_nothing(missing: str) -> None:
    told = {name: value for name, value in DETAIL.items() if name != missing}
    assert extraction_of(told, AGENT) is None


@pytest.mark.parametrize("agent", [None, {}, {"version": 1}, "holdfast"])
def test_an_event_of_nobody_tells_nothing(agent: Any) -> None:
    assert extraction_of(DETAIL, agent) is None
