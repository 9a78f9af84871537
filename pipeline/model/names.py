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
ORIGINAL: Final = ".original"
"""Stands before the ending of an imported file that has a normalised copy beside it."""

REPORT: Final = ".report.json"
REPORT_PAGE: Final = ".report.html"

OPEN: Final = ".open"
"""Ends the name of a WARC file that is being written."""

TEMPORARY: Final = ".tmp"
"""Ends the name of any other file that is being written."""

LOG_WRITER: Final = "log"
"""The writer in the NAME of the WARC file that holds a run's crawl log."""

Kind = Literal["warc", "original", "members", "cdxj", "report", "report-page", "documents"]

# what the endings of other files would be taken for
_TAKEN = re.compile(rf"(?:-{LOG_WRITER}|\{ORIGINAL}|\.r[0-9]+)\Z")
_MAX_NAME = 200
_COLLECTION = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PART = re.compile(
    r"warc/(?P<collection>[^/]+)/(?P<name>[^/]+?)"
    r"(?P<ending>\.original\.(?:warc|arc)(?:\.gz)?|\.warc\.gz|\.members\.jsonl|\.cdxj"
    r"|\.report\.json|\.report\.html)"
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

    def original(self, ending: str) -> str:
        """Give the path of the imported file of which the WARC file is a normalised copy."""
        return f"warc/{self.collection}/{self.name}{ORIGINAL}{ending}"

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


def is_collection(name: str) -> bool:
    """Tell whether a collection may be called so (FORMAT.md §1)."""
    return _COLLECTION.fullmatch(name) is not None


def collection_of(stem: str) -> str:
    """Make the name of a collection from that of a file without its ending."""
    name = re.sub(r"[^a-z0-9._-]+", "-", stem.lower()).lstrip("._-")
    return name[:64] or "imported"


def name_of(stem: str) -> str:
    """Make a NAME (FORMAT.md §1) from that of a file of others without its ending."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", stem).lstrip(".-")[:_MAX_NAME] or "imported"
    return f"{name}-import" if _TAKEN.search(name) else name


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
        name = Name(match["collection"], match["name"])
        return Part(name, _KINDS.get(match["ending"], "original"))
    name = Name(match["collection_"], match["name_"])
    return Part(name, "documents", int(match["revision"] or 1))
