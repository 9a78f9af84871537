"""The versions of everything that decides how a document comes out, and one digest of them."""

from __future__ import annotations

import platform
import unicodedata
from functools import cache

import bs4
import chardet
import courlan
import htmldate
import idna
import justext  # type: ignore[import-untyped]
import lxml
import trafilatura
from lxml import etree

from pipeline.model import canonical
from pipeline.model.digest import sha256


def environment() -> dict[str, str]:
    """Give name and version of each library that reads pages; nothing is read from disk."""
    return {
        "beautifulsoup4": bs4.__version__,
        "chardet": chardet.__version__,
        "courlan": courlan.__version__,
        "htmldate": htmldate.__version__,
        "idna": idna.__version__,
        "justext": justext.__version__,
        "libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
        "lxml": lxml.__version__,
        "python": platform.python_version(),
        "trafilatura": trafilatura.__version__,
        "unicodedata": unicodedata.unidata_version,
    }


@cache
def environment_digest() -> str:
    """Give the labelled SHA-256 of `environment()` in canonical JSON."""
    return sha256(canonical.line(environment()))
