"""Main text of real pages, against what people marked; the pages are not part of the project.

HOLDFAST_GOLD names a folder that holds `articles/html/<id>.html.gz` and
`articles/ground-truth.json` (id -> articleBody), as the public article extraction benchmark has
them.
"""

from __future__ import annotations

import gzip
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.extract.extractor import Skipped, extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source

PAGES = 60
FLOOR = 0.95


def _shingles(text: str) -> Counter[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    last = max(1, len(words) - 3) if words else 0
    return Counter(tuple(words[start : start + 4]) for start in range(last))


@pytest.mark.slow
def test_main_text_of_articles_stays_above_the_floor(
    make_source: Callable[..., Source],
) -> None:
    gold = os.environ.get("HOLDFAST_GOLD")
    if not gold:
        pytest.skip("set HOLDFAST_GOLD to a folder with articles/ground-truth.json to score")
    articles = Path(gold) / "articles"
    truths = json.loads((articles / "ground-truth.json").read_text("utf-8"))
    precisions, recalls = [], []
    for name in sorted(truths)[:PAGES]:
        payload = gzip.decompress((articles / "html" / f"{name}.html.gz").read_bytes())
        made = extract(make_source(payload), ExtractPolicy())
        text = "" if isinstance(made, Skipped) else made.text
        found, wanted = _shingles(text), _shingles(truths[name]["articleBody"])
        shared = (found & wanted).total()
        precisions.append(shared / max(1, found.total()))
        recalls.append(shared / max(1, wanted.total()))
    precision, recall = sum(precisions) / len(precisions), sum(recalls) / len(recalls)

    assert 2 * precision * recall / (precision + recall) >= FLOOR
