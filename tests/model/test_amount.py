"""Amounts that operators write."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.errors import ConfigError
from pipeline.model.amount import Budget, seconds


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("90s", Budget(seconds=90)),
        ("30m", Budget(seconds=1_800)),
        ("8h", Budget(seconds=28_800)),
        ("2d", Budget(seconds=172_800)),
        ("1B", Budget(bytes=1)),
        ("5kB", Budget(bytes=5_000)),
        ("500MB", Budget(bytes=500_000_000)),
        ("20GiB", Budget(bytes=20 << 30)),
        ("3TiB", Budget(bytes=3 << 40)),
    ],
)
def test_a_budget_is_a_time_or_an_amount(text, budget):
    assert Budget.parse(text) == budget


@pytest.mark.parametrize(
    "text",
    ["", "0m", "30", "m", "-1m", "1.5h", "30 m", "30M", "20gib", "1e3s", "٣m", "9" * 10 + "s"],
)
def test_what_is_no_budget_is_refused_with_an_example(text):
    with pytest.raises(ConfigError, match=r"30m.*20GiB"):
        Budget.parse(text)


def test_an_age_may_be_nothing():
    assert (seconds("0d"), seconds("90d")) == (0, 7_776_000)


@given(st.text(max_size=12))
def test_any_text_is_an_age_or_an_error(text):
    try:
        assert seconds(text) >= 0
    except ConfigError as error:
        assert "90d" in str(error)
