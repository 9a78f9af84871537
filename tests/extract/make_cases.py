"""Makes the golden pages of this folder from the bytes written here.

python tests/extract/make_cases.py             writes page.bin and meta.json of every case
python tests/extract/make_cases.py --expected  also what extraction gives now: review the diff
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.extract.extractor import Skipped, extract
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.model.document import Anomaly, Provenance

CASES = Path(__file__).parent / "cases"
PROSE = (
    "The lighthouse keeper’s log was kept for eleven years – every night, without a gap. "
    "“Fog until four,” it says, “then a clear sky.” The café at the pier has the naïve drawings."
)
PLAIN_PROSE = (
    "The lighthouse keeper's log was kept for eleven years, every night, without a single gap, "
    "and whoever reads it today finds the weather of a whole coast in a tidy small hand. "
)


@dataclass(frozen=True)
class Case:
    """One page: what it teaches, how the server sent it, and its bytes."""

    name: str
    teaches: str
    payload: bytes
    content_type: str | None = "text/html"
    content_language: str | None = None
    problem: str | None = None


def page(body: str, encoding: str, head: str = "<title>The log</title>") -> bytes:
    return f"<html><head>{head}</head>\n<body>\n{body}\n</body></html>\n".encode(encoding)


def paragraphs(count: int, text: str = PLAIN_PROSE) -> str:
    return "\n".join(f"<p>{number}. {text * 2}</p>" for number in range(1, count + 1))


CASE_LIST = (
    Case(
        "macroman-undeclared",
        "A page from a Macintosh that names no charset: quotes are D2, D3 and D5.",
        page(f"<h1>The log</h1><p>{PROSE}<p>{PROSE}", "mac-roman"),
    ),
    Case(
        "windows-1252-undeclared",
        "A page from Windows that names no charset: quotes are 93 and 94, the dash is 96.",
        page(f"<h1>The log</h1><p>{PROSE}<p>{PROSE}", "cp1252"),
    ),
    Case(
        "latin-1-declared-with-93-97",
        "Declared ISO-8859-1 means windows-1252 (WHATWG): 93, 94 and 97 are punctuation.",
        page(
            "<p>He said \u201cfog until four\u201d \u2014 and slept. The caf\u00e9 was shut.",
            "cp1252",
            '<meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">'
            "<title>Fog</title>",
        ),
    ),
    Case(
        "utf-8",
        "UTF-8 shown by its bytes; the declaration agrees.",
        page(
            f"<p>{PROSE} Ελλάδα, Россия, 日本.", "utf-8", "<meta charset=utf-8><title>λόγος</title>"
        ),
        "text/html; charset=UTF-8",
        "en",
    ),
    Case(
        "utf-16-bom",
        "UTF-16 with a byte order mark, against what the server says.",
        b"\xff\xfe" + page(f"<p>{PROSE}", "utf-16-le"),
        "text/html; charset=iso-8859-1",
    ),
    Case(
        "wrong-declaration",
        "Declared UTF-8, but the bytes are windows-1252: the declaration cannot be true.",
        page(f"<p>{PROSE}<p>{PROSE}", "cp1252", "<meta charset=utf-8><title>Fog</title>"),
    ),
    Case(
        "koi8-r-undeclared",
        "Russian in KOI8-R without a declaration: dense high bytes open the whole list.",
        page(
            "<h1>Журнал смотрителя маяка</h1><p>Журнал вёлся одиннадцать лет, каждую ночь, без "
            "единого пропуска. До четырёх часов туман, затем ясное небо. Кто читает его сегодня, "
            "находит в нём погоду целого побережья.",
            "koi8-r",
            "<title>Журнал</title>",
        ),
    ),
    Case(
        "pre-with-blank-lines",
        "An article set in PRE: line breaks, indents and empty lines are its form.",
        page(
            "<h1>Notes</h1>\n<pre>\n\n   THE LOG\n   =======\n\nFirst paragraph, set\nby hand."
            "\n\n\n  wind   hours\n  north     12\n  south      3\n</pre>",
            "ascii",
        ),
    ),
    Case(
        "br-paragraphs",
        "Paragraphs made by two BR, lines by one; CR alone ends source lines.",
        b"<HTML><HEAD><TITLE>Verse</TITLE></HEAD><BODY>Fog until four,\r<BR>then a clear sky."
        b"<BR><BR>\rThe keeper slept.<BR>\r\n<BR>\r\nThe lamp did not.</BODY></HTML>",
    ),
    Case(
        "frameset",
        "A frameset names its frames; NOFRAMES is text and has links.",
        b'<html><head><title>Home of the log</title></head><frameset cols="20%,*">'
        b'<frame src="menu.html" name="menu"><frame src="/welcome.html" name=main>'
        b"<noframes><body><p>Your browser shows no frames. <a href='menu.html'>Menu</a></body>"
        b"</noframes></frameset></html>",
    ),
    Case(
        "title-unclosed",
        "A TITLE without an end would swallow the page.",
        b"<html><head><title>The log\n<body><h1>The log of the lamp</h1><p>Fog until four.</html>",
    ),
    Case(
        "comment-unclosed",
        "A comment without an end would swallow the page; browsers of its time ended it at >.",
        b"<html><body><p>Before.<!-- menu --><!-- end of menu ><p>After the menu.</body></html>",
    ),
    Case(
        "table-layout",
        "A layout table, navigation at the left, and a table of data whose rows stay together.",
        page(
            "<table><tr><td><a href=a.html>Log</a><br><a href=b.html>Lamp</a></td>"
            f"<td><h2>Winds</h2>{PLAIN_PROSE}<table border><tr><th>wind</th><th>hours</th></tr>"
            "<tr><td>north</td><td>12</td></tr></table></td></tr></table>",
            "ascii",
        ),
    ),
    Case(
        "modern-article",
        "A page with structure: main text apart from furniture, and metadata with its sources.",
        (
            '<!DOCTYPE html><html lang="en-GB"><head><meta charset="utf-8">'
            "<title>Eleven years of fog | The Coast</title>"
            '<meta property="article:published_time" content="2004-05-12T09:30:00+02:00">'
            '<meta name="description" content="A keeper&#39;s log.">'
            '<meta name="keywords" content="lighthouse, fog, lighthouse">'
            '<link rel="license" href="https://creativecommons.org/licenses/by/4.0/">'
            '<script type="application/ld+json">{"@context":"https://schema.org","@type":'
            '"NewsArticle","author":[{"@type":"Person","name":"Ada Lamb"}],"dateModified":'
            '"2004-06"}</script></head><body><header><nav><ul><li><a href="/">Home</a></li>'
            '<li><a href="/coast">Coast</a></li></ul></nav></header><main><article>'
            f"<h1>Eleven years of fog</h1>{paragraphs(6)}</article></main>"
            '<footer><p>Copyright The Coast. <a href="/imprint">Imprint</a></p></footer>'
            "</body></html>"
        ).encode(),
    ),
    Case(
        "printed-byline-and-month",
        "Byline and date are printed; the month does not become its first day.",
        page(
            "<h1>The log</h1><p>by Ada van der Lamb<p>May 1996<p>"
            + PLAIN_PROSE
            + "<p>Last updated: 3/4/05",
            "ascii",
        ),
    ),
    Case(
        "date-after-capture",
        "A date after the capture is not believed.",
        page("<p>Fog.", "ascii", '<meta name="date" content="2031-01-01"><title>Fog</title>'),
    ),
    Case(
        "plain-text",
        "A text file keeps its lines and has no title.",
        "Fog until four,\r\nthen a clear sky.\r\n\r\n  – the keeper\r\n".encode("cp1252"),
        "text/plain",
    ),
    Case(
        "html-as-plain-text",
        "HTML that the server calls text/plain is still HTML.",
        page("<h1>The log</h1><p>Fog.", "ascii"),
        "text/plain",
    ),
    Case(
        "xhtml-with-entities",
        "XHTML; entities of its own, one of them a file, stay unexpanded.",
        b'<?xml version="1.0" encoding="utf-8"?>\n<!DOCTYPE html [<!ENTITY a "fog fog"><!ENTITY b '
        b'"&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>\n<html xmlns="http://www.w3.org/1999/'
        b'xhtml" xml:lang="en"><head><title>Log</title></head><body><p>&b; &c; &#147;ok&#148;</p>'
        b"</body></html>",
        "application/xhtml+xml",
    ),
    Case("empty", "A page of no bytes is a document without text.", b""),
    Case(
        "broken-gzip",
        "What could be decoded of a broken coding is read; the anomaly comes with it.",
        b"<html><body><h1>The log</h1><p>Fog until fo",
        problem="content-encoding-broken",
    ),
    Case(
        "nested-bomb",
        "Five thousand elements deep: trafilatura gives up, the text is still there.",
        b"<html><body>" + b"<div>" * 5000 + b"Down here is a light.",
    ),
    Case(
        "control-bytes",
        "NUL, unassigned bytes and a lone surrogate are replaced, and the page says so.",
        b"<html><title>a\0b</title><p>C\0 and &#xD800; and \x81 and caf\xe9",
    ),
    Case(
        "documentation-example",
        "The example in docs/document.md.",
        page(
            "<center><h1>Eleven years of fog</h1>by Ada van der Lamb<br>May 1996</center>"
            "<p>The keeper’s log was kept for eleven years – every night. "
            "“Fog until four,” it says."
            '<hr><a href="index.html">Back to the lamp</a>',
            "mac-roman",
            "<title>The log: fog</title>",
        ),
        "text/html",
        "en",
    ),
    Case(
        "links",
        "References become absolute; base, refresh, other schemes and unreadable ones.",
        page(
            '<a href="../a b.html#x">up</a> <a href="#top">top</a>'
            ' <a href=mailto:a@b.example>mail</a> <a href="javascript:go()">go</a>'
            ' <a href="http://[bad">bad</a> <img src=x.gif alt="A lamp">'
            ' <area href="/map.html" alt=Map>',
            "ascii",
            '<base href="http://other.example/d/e/"><title>L</title>'
            '<meta http-equiv=refresh content="5; URL=next.html"><link rel="next up" href=n.html>',
        ),
    ),
)


def meta(case: Case) -> dict[str, Any]:
    return {
        "teaches": case.teaches,
        "url": f"http://log.example/{case.name}/page.html",
        "captured_at": "2026-02-03T04:05:06Z",
        "content_type": case.content_type,
        "content_language": case.content_language,
        "problem": case.problem,
    }


def read_source(folder: Path) -> Source:
    """Build what extraction is given from a case's page.bin and meta.json."""
    facts = json.loads((folder / "meta.json").read_text("utf-8"))
    problem = facts["problem"]
    return Source(
        url=facts["url"],
        collection="log",
        captured_at=facts["captured_at"],
        content_type=facts["content_type"],
        content_language=facts["content_language"],
        payload=(folder / "page.bin").read_bytes(),
        provenance=Provenance(
            warc="warc/log/log-20260203040506-00000-w0.warc.gz",
            offset=1000,
            length=500,
            record_id="urn:uuid:00000000-0000-4000-8000-000000000001",
            payload_digest="sha256:" + "0" * 64,
            block_digest=None,
        ),
        problems=(Anomaly(code=problem, detail="made so"),) if problem else (),
    )


def outcome(source: Source) -> dict[str, Any]:
    """Give the document as expected.json has it: without what names this machine's libraries."""
    made = extract(source, ExtractPolicy())
    if isinstance(made, Skipped):
        return {"skipped": made.reason}
    told = made.as_json()
    del told["extractor"]
    return told


def write_cases(*, expected: bool) -> None:
    for case in CASE_LIST:
        folder = CASES / case.name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "page.bin").write_bytes(case.payload)
        _write_json(folder / "meta.json", meta(case))
        if expected:
            _write_json(folder / "expected.json", outcome(read_source(folder)))


def _write_json(path: Path, value: dict[str, Any]) -> None:
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False)
    path.write_text(text + "\n", "utf-8")


if __name__ == "__main__":
    write_cases(expected="--expected" in sys.argv[1:])
