"""Each rule has a file that breaks it and one that does not: the table of make_rule_files.py."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from pipeline.archive.validator import inspect
from pipeline.model.rules import MEANING

sys.path.insert(0, str(Path(__file__).parent))
from make_rule_files import CASES, Case, write

# what the disk does, and no bytes of a file
OF_THE_DISK = {"E106", "W106"}


def found_in(path: Path, *, foreign: bool) -> set[str]:
    return {found.code for found in inspect(path, path.name, foreign=foreign).findings}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.code)
def test_the_bad_file_breaks_the_rule_and_the_good_one_none(case: Case, tmp_path: Path) -> None:
    good, bad = write(tmp_path, case)
    assert found_in(bad, foreign=case.foreign) == {case.code, *case.also}
    if case.good:
        assert found_in(good, foreign=True) == found_in(good, foreign=False) == set()


def test_every_rule_about_a_warc_file_has_such_a_pair() -> None:
    about_files = {code for code in MEANING if re.fullmatch(r"[EW][123][0-9]{2}", code)}
    assert {case.code for case in CASES} == about_files - OF_THE_DISK
    assert len(CASES) == len({case.code for case in CASES})
