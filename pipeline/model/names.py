"""What the files of an archive are called (FORMAT.md §1): one place that knows every ending.

Pure: paths are text, relative to the archive's root.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from msgspec import Struct

WARC: Final = ".warc.gz"
MEMBERS: Final = ".members.jsonl"
CDXJ: Final = ".cdxj"
REPORT: Final = ".report.json"
REPORT_PAGE: Final = ".report.html"

OPEN: Final = ".open"
"""Ends the name of a WARC file that is being written."""

TEMPORARY: Final = ".tmp"
"""Ends the name of any other file that is being written."""

LOG_WRITER: Final = "log"
"""The writer in the NAME of the WARC file that holds a run's crawl log."""

Kind = Literal["warc", "members", "cdxj", "report", "report-page", "documents"]

_PART = re.compile(
    r"warc/(?P<collection>[^/]+)/(?P<name>[^/]+?)"
    r"(?P<ending>\.warc\.gz|\.members\.jsonl|\.cdxj|\.report\.json|\.report\.html)"
    r"|extracted/(?P<collection_>[^/]+)/(?P<name_>[^/]+?)(?:\.r(?P<revision>[1-9][0-9]{0,5}))?"
    r"\.jsonl\.gz"
)
_KINDS: dict[str, Kind] = {
    WARC: "warc",
    MEMBERS: "members",
    CDXJ: "cdxj",
    REPORT: "report",
    REPORT_PAGE: "report-page",
}


class Name(Struct, frozen=True):
    """The NAME of a WARC file, or the RUN of a report, in its collection."""

    collection: str
    name: str

    @property
    def warc(self) -> str:
        """The path of the WARC file."""
        return f"warc/{self.collection}/{self.name}{WARC}"

    @property
    def is_log(self) -> bool:
        """Tell whether the WARC file holds a crawl log."""
        return self.name.endswith(f"-{LOG_WRITER}")

    @property
    def members(self) -> str:
        """The path of its list of members."""
        return f"warc/{self.collection}/{self.name}{MEMBERS}"

    @property
    def cdxj(self) -> str:
        """The path of its index."""
        return f"warc/{self.collection}/{self.name}{CDXJ}"

    @property
    def report(self) -> str:
        """The path of a run's report."""
        return f"warc/{self.collection}/{self.name}{REPORT}"

    @property
    def page(self) -> str:
        """The path of the same report as a page for people."""
        return f"warc/{self.collection}/{self.name}{REPORT_PAGE}"

    def documents(self, revision: int = 1) -> str:
        """Give the path of the documents made of the WARC file, in their first or a later form."""
        later = f".r{revision}" if revision > 1 else ""
        return f"extracted/{self.collection}/{self.name}{later}.jsonl.gz"


class Part(Struct, frozen=True):
    """What a path in an archive names; `revision` counts for documents only."""

    name: Name
    kind: Kind
    revision: int = 1


def parse(path: str) -> Part | None:
    """Read the path of a sealed file; None where FORMAT.md knows no such file."""
    match = _PART.fullmatch(path)
    if match is None:
        return None
    if match["ending"]:
        return Part(Name(match["collection"], match["name"]), _KINDS[match["ending"]])
    name = Name(match["collection_"], match["name_"])
    return Part(name, "documents", int(match["revision"] or 1))
