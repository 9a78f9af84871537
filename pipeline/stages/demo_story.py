"""What `holdfast demo` tells at its end: the archive it has just made, in plain words.

For somebody who has never seen a web archive. Everything told is read back from the archive's own
files, so the story cannot be better than what is on the disk.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from msgspec import Struct

from pipeline.model.records import Capture
from pipeline.model.wording import printable, size
from pipeline.stages.absence import Absence
from pipeline.stages.demo_server import path_of
from pipeline.stages.run import RunReport

_CURLY_QUOTE = re.compile("\u201c[^\u201c\u201d]{4,60}\u201d")
_EVIDENCE = {
    "bom": "its first bytes say so",
    "http": "the server says so",
    "meta": "the page says so",
    "utf-8": "valid UTF-8, hardly ever by chance",
    "detected": "nobody says so; worked out from the bytes",
}
_MEANING = {
    "301": "moved; the new address was followed",
    "404": "a broken link; the server's answer is kept",
}


class OutsideCheck(Struct, frozen=True, kw_only=True):
    """What a checksum program that knows nothing of Holdfast said about the manifest."""

    program: str
    sound: bool
    files: int


class DemoReport(Struct, frozen=True, kw_only=True):
    """The archive the demo has made, read back from its files.

    Attributes:
        command: how the reader can call holdfast from where they are.
        address: where the site was served, ending in a slash.
        documents: as in the `.jsonl.gz` files (docs/document.md).
        outside: None where the machine has no such program.

    """

    root: Path
    command: str
    address: str
    ran: RunReport
    captures: Sequence[Capture]
    absences: Sequence[Absence]
    documents: Sequence[dict[str, Any]]
    outside: OutsideCheck | None

    @property
    def exit_code(self) -> int:
        """Give the run's exit code, or 4 where the outside program disagrees."""
        return 4 if self.outside and not self.outside.sound else self.ran.exit_code

    def as_json(self) -> dict[str, Any]:
        """Give the run's object, and what is the demo's own."""
        outside = self.outside
        return {
            **self.ran.as_json(),
            "root": str(self.root),
            "address": self.address,
            "outside": {"program": outside.program, "ok": outside.sound} if outside else None,
        }

    def as_text(self) -> str:
        """Tell the story."""
        if self.ran.exit_code == 130:
            again = f"{self.command} demo NEW-FOLDER"
            return f"Interrupted. The site is no longer served; begin again: {again}"
        parts = [
            f"Holdfast has archived a small web site of 1999, complete in {self.root}/",
            self._captured(),
            self._absent(),
            self._frames(),
            self._charsets(),
            self._sound(),
            self._further(),
        ]
        return "\n\n".join(part for part in parts if part)

    def _captured(self) -> str:
        received = size(sum(report.bytes for report in self.ran.crawls))
        rows = [
            (capture.status or "", capture.mime, _path(capture.url), _meaning(capture))
            for capture in sorted(self.captures, key=lambda capture: capture.url)
        ]
        title = f"Captured: {len(rows)} answers, {received} exactly as they crossed the wire"
        return "\n".join([title, *_columns(rows)])

    def _absent(self) -> str:
        rows = [
            (gone.outcome, gone.reason, _path(gone.url), printable(gone.detail))
            for gone in self.absences
        ]
        title = "Not captured, and why (this is recorded in the archive, too)"
        return "\n".join([title, *_columns(rows)]) if rows else ""

    def _frames(self) -> str:
        lines = [
            f"  {_path(document['url'])}: "
            + ", ".join(
                f"{printable(frame['name'] or 'unnamed')} is {_path(frame['url'])}"
                for frame in document["frames"]
            )
            for document in self._pages()
            if document["frames"]
        ]
        return "\n".join(["Frames: each is a page of its own", *lines]) if lines else ""

    def _charsets(self) -> str:
        judged = [page for page in self._pages() if page["charset"]["method"] in _EVIDENCE]
        plain = sum(page["charset"]["method"] == "ascii" for page in self._pages())
        rows = [
            (_path(page["url"]), page["charset"]["used"], _EVIDENCE[page["charset"]["method"]])
            for page in judged
        ]
        lines = ["Charsets: the server names none, so each page is looked at", *_columns(rows)]
        if plain:
            lines.append(f"  {plain} more are plain ASCII, which is the same in all of them")
        return "\n".join([*lines, *self._quotations(judged)])

    def _quotations(self, pages: Sequence[dict[str, Any]]) -> Iterator[str]:
        """Show that curly quotes of two machines have come out right."""
        for page in pages:
            quotation = _CURLY_QUOTE.search(page["text"])
            if quotation:
                words = printable(" ".join(quotation[0].split()))
                yield f"  {_path(page['url'])} reads: {words}"

    def _sound(self) -> str:
        lines = ["Is it whole?"]
        verified = self.ran.verified
        if verified:
            ours = "whole" if verified.ok else "DAMAGED"
            lines.append(f"  holdfast verify: {ours}, {verified.checked.files} files checked")
        if self.outside:
            theirs = "whole" if self.outside.sound else "DAMAGED"
            lines.append(
                f"  {self.outside.program}, which knows nothing of Holdfast:"
                f" {theirs}, {self.outside.files} files checked"
            )
        return "\n".join(lines)

    def _further(self) -> str:
        here = f"{self.command} -C {shlex.quote(str(self.root))}"
        commands = [
            f"{here} show {self.address}history.htm",
            f"{here} status",
            f"{here} verify --level records",
            f"cd {shlex.quote(str(self.root))} && sha256sum -c --strict fixity/manifest-sha256.txt",
            f"gzip -dc {shlex.quote(str(self.root))}/warc/*/*.warc.gz | less",
        ]
        return "\n".join(["Look further", *(f"  {command}" for command in commands)])

    def _pages(self) -> list[dict[str, Any]]:
        return [document for document in self.documents if document["charset"]]


def _path(url: str) -> str:
    return printable(path_of(url))


def _meaning(capture: Capture) -> str:
    if capture.url.endswith("/robots.txt"):
        return "asked first: what the site wants left alone"
    if capture.url.endswith("/sitemap.xml"):
        return "asked for, because it would list the site's pages"
    return _MEANING.get(capture.status or "", "")


def _columns(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        "  "
        + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
