"""The main text of a modern page, by trafilatura. (An old page has nothing to tell it apart by.)

trafilatura gets a decoded `str`, a fixed last date and no memory of other pages: so it reads no
clock, and the order of pages does not matter. Only its text is used; what it says of titles,
authors and dates is often wrong on old pages. Readers' comments stay out: they are in the full
text.
"""

from __future__ import annotations

import trafilatura
from bs4 import BeautifulSoup
from lxml import etree
from msgspec import Struct

from pipeline.model.document import legible

_STRUCTURE = ("article", "aside", "div", "footer", "header", "main", "nav", "section")

# What a library that walks hostile trees can run into; a bug of ours in this file would hide here,
# so the file does nothing else.
_FAILURES = (
    etree.LxmlError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class MainText(Struct, frozen=True):
    """The main text, or None and the name of the failure where there was one."""

    text: str | None
    failure: str | None = None


def has_modern_structure(page: BeautifulSoup) -> bool:
    """Tell whether the page has any element by which main text can be told from furniture."""
    return page.find(_STRUCTURE) is not None


def main_text(markup: str, captured_at: str) -> MainText:
    """Find the main text of an HTML page; `captured_at` is its WARC-Date."""
    day = captured_at[:10]
    try:
        text = trafilatura.extract(
            markup,
            output_format="txt",
            include_comments=False,
            with_metadata=False,
            deduplicate=False,
            date_extraction_params={
                "original_date": True,
                "extensive_search": False,
                "max_date": day,
            },
        )
    except _FAILURES as failure:
        return MainText(None, type(failure).__name__)
    return MainText(legible(text).strip() or None if text else None)
