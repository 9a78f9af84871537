"""A run's report as a page for people: RUN.report.html, made of RUN.report.json alone.

One file that needs nothing else: no script, no font, no picture from outside, and a policy in its
head that forbids them. Pure: the same report gives the same page, so it can be made again. All that
came from the web is escaped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from html import escape
from typing import Any

from pipeline.model.wording import printable, size
from pipeline.stages.crawl_chart import TimeAxis, bar, span, time_chart
from pipeline.stages.crawl_style import STYLE

_MOST_ROWS = 12
_MOST_NAME = 110
_TABLE_ROWS = 48
_MEANING = {
    "200": "OK",
    "204": "No Content",
    "206": "Partial Content",
    "301": "Moved Permanently",
    "302": "Found",
    "303": "See Other",
    "304": "Not Modified",
    "307": "Temporary Redirect",
    "308": "Permanent Redirect",
    "400": "Bad Request",
    "401": "Unauthorized",
    "403": "Forbidden",
    "404": "Not Found",
    "410": "Gone",
    "429": "Too Many Requests",
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
    "504": "Gateway Timeout",
}
_CHANGES = ("new", "changed", "unchanged", "vanished")

_Row = Sequence[str]


def page(report: Mapping[str, Any]) -> str:
    """Write the page of a report.

    Args:
        report: what RUN.report.json holds (FORMAT.md §5); keys that it lacks are told as nothing.

    """
    run = _text(report["run_id"])
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy"'
            " content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>Crawl report: {run}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            *_head(report, run),
            "<main>",
            *_over_time(report),
            '<div class="pair">',
            *_tables(report),
            "</div>",
            *_files(report),
            "</main>",
            f"<footer>Made from {run}.report.json, which lies beside this page.</footer>",
            "</body>",
            "</html>",
            "",
        ]
    )


def _head(report: Mapping[str, Any], run: str) -> Iterator[str]:
    yield f"<header><h1>{_text(report.get('collection', ''))}</h1>"
    yield f'<p class="run">Crawl report of <code>{run}</code></p>'
    yield f'<p class="when">{_when(report)}</p>'
    if ended_by := report.get("ended_by"):
        yield (
            f'<p class="note">Ended by the limit <code>{_text(ended_by)}</code>'
            " of its seed file: more was to be had.</p>"
        )
    yield '<dl class="facts">'
    for name, value, kind in _facts(report):
        yield f'<div class="{kind}"><dt>{name}</dt><dd>{value}</dd></div>'
    yield "</dl>"
    changes = [
        f"<b>{count:,}</b> {name}" for name in _CHANGES if (count := int(report.get(name, 0)))
    ]
    if changes and set(_CHANGES[1:]) & {name for name in _CHANGES if report.get(name)}:
        yield f'<p class="changes">Since the last crawl: {", ".join(changes)}</p>'
    yield "</header>"


def _when(report: Mapping[str, Any]) -> str:
    start, end = str(report.get("started_at", "")), str(report.get("finished_at") or "")
    moments = [_text(moment.replace("T", " ").removesuffix("Z")) for moment in (start, end)]
    told = " to ".join(moment for moment in moments if moment) + " UTC"
    active = int(report.get("active_s", 0))
    return f"{told}, {span(active)} of crawling" if active else told


def _facts(report: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    yield "captures", _count(report, "captures"), ""
    if report.get("revisits"):
        yield "revisits", _count(report, "revisits"), ""
    yield "received", size(int(report.get("bytes", 0))), ""
    yield "hosts", _count(report, "hosts"), ""
    yield "failed", _count(report, "failed"), "bad" if report.get("failed") else ""
    yield "refused", _count(report, "refused"), ""
    yield "declined", _count(report, "declined"), ""


def _over_time(report: Mapping[str, Any]) -> Iterator[str]:
    points = [(_minute(at), captures, got) for at, captures, got in report.get("minutes", ())]
    step = int(report.get("minutes_step", 1))
    if not points:
        return
    axis = TimeAxis.of([minute for minute, _, _ in points], step)
    yield "<section><h2>Over time</h2>"
    if axis.width > 2:
        each = "minute" if step == 1 else f"{span(step * 60)}"
        captures, got = [p[1] for p in points], [p[2] for p in points]
        for name, values, what, written in (
            ("captures", captures, "Captures", lambda n: f"{n:,}"),
            ("bytes", got, "Bytes received", size),
        ):
            best = values.index(max(values))
            yield f'<figure><figcaption>{what} every {each}</figcaption><div class="wide">'
            yield time_chart(
                axis,
                values,
                name=name,
                title=f"{what} every {each}",
                description=f"Most: {written(max(values))} at {_clock(points[best][0])} UTC;"
                f" in all {written(sum(values))}. The numbers are in the table below.",
                written=written,
            )
            yield "</div></figure>"
    yield from _time_table(points, axis)
    yield "</section>"


def _time_table(points: Sequence[tuple[int, int, int]], axis: TimeAxis) -> Iterator[str]:
    """Write the charts' numbers, in at most some dozens of rows."""
    together = -(-len(points) // _TABLE_ROWS)
    rows = []
    for start in range(0, len(points), together):
        some = points[start : start + together]
        captures, got = sum(p[1] for p in some), sum(p[2] for p in some)
        rows.append((_clock(some[0][0]), f"{captures:,}", size(got)))
    yield "<details><summary>The numbers as a table</summary>"
    yield from _table(("from (UTC)", "captures", "received"), rows)
    yield "</details>"
    for _, _, minutes in axis.pauses[:1]:
        yield (
            f'<p class="aside">The shaded break is a pause of {span(minutes * 60)}'
            " in which nothing came.</p>"
        )


def _tables(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _counted("Status codes", "code", report.get("status", {}), _code_class)
    yield from _types(report.get("types", {}))
    slowest = [
        (host, f"{host['average_ms']:,} ms", int(host["average_ms"]))
        for host in report.get("slowest_hosts", ())
    ]
    yield from _hosts("Slowest hosts", "average", slowest, "slow")
    failing = [
        (host, f"{host['failed']:,}", int(host["failed"]))
        for host in report.get("failing_hosts", ())
    ]
    yield from _hosts("Failing hosts", "failed", failing, "bad")
    yield from _counted("Failures by reason", "reason", report.get("failures", {}), _bad)
    yield from _counted("Refusals by reason", "reason", report.get("refusals", {}), _quiet)
    yield from _counted("Declined by rule", "rule", report.get("declined_by", {}), _quiet)
    yield from _set_aside(report)


def _counted(title: str, name: str, counts: Mapping[str, int], kind: Any) -> Iterator[str]:
    """Write counts by name, the largest first, each with its bar."""
    if not counts:
        return
    ordered = sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    total, largest = sum(counts.values()), ordered[0][1]
    rows = [
        (
            _named(each),
            f"{count:,}",
            f"{100 * count / total:.1f} %",
            _bar(count, largest, kind(each)),
        )
        for each, count in ordered[:_MOST_ROWS]
    ]
    if rest := ordered[_MOST_ROWS:]:
        count = sum(each for _, each in rest)
        rows.append(
            (f"<i>{len(rest):,} others</i>", f"{count:,}", f"{100 * count / total:.1f} %", "")
        )
    yield f"<section><h2>{title}</h2>"
    yield from _table((name, "URLs", "share", ""), rows)
    yield "</section>"


def _types(types: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    if not types:
        return
    ordered = sorted(types.items(), key=lambda each: (-each[1]["captures"], each[0]))
    most = max(each["captures"] for each in types.values())
    largest = max(each["bytes"] for each in types.values())
    rows = [
        (
            _named(mime),
            f"{counts['captures']:,}",
            _bar(counts["captures"], most, ""),
            size(counts["bytes"]),
            _bar(counts["bytes"], largest, "bytes"),
        )
        for mime, counts in ordered[:_MOST_ROWS]
    ]
    if rest := ordered[_MOST_ROWS:]:
        captures, got = (sum(each[key] for _, each in rest) for key in ("captures", "bytes"))
        rows.append((f"<i>{len(rest):,} others</i>", f"{captures:,}", "", size(got), ""))
    yield "<section><h2>Media types</h2>"
    yield from _table(("type", "captures", "", "received", ""), rows)
    yield "</section>"


def _hosts(
    title: str, name: str, hosts: Sequence[tuple[Mapping[str, Any], str, int]], kind: str
) -> Iterator[str]:
    if not hosts:
        return
    largest = max(value for _, _, value in hosts)
    rows = [
        (_named(host["origin"]), f"{host['asked']:,}", told, _bar(value, largest, kind))
        for host, told, value in hosts[:_MOST_ROWS]
    ]
    yield f"<section><h2>{title}</h2>"
    yield from _table(("host", "requests", name, ""), rows)
    yield "</section>"


def _set_aside(report: Mapping[str, Any]) -> Iterator[str]:
    hosts = report.get("set_aside_hosts", ())
    if not hosts:
        return
    rows = [
        (_named(host["origin"]), f"{host['asked']:,}", f"{host['failed']:,}")
        for host in hosts[:_MOST_ROWS]
    ]
    more = int(report.get("hosts_set_aside", len(hosts))) - len(rows)
    yield "<section><h2>Hosts set aside</h2>"
    yield from _table(("host", "requests", "failed"), rows)
    others = f" {more:,} more are not listed." if more > 0 else ""
    yield f'<p class="aside">They kept failing; the next run asks them again.{others}</p></section>'


def _files(report: Mapping[str, Any]) -> Iterator[str]:
    warcs = [_named(path) for path in report.get("warcs", ())]
    if not warcs:
        return
    shown = "".join(f"<li>{warc}</li>" for warc in warcs[: 4 * _MOST_ROWS])
    more = len(warcs) - 4 * _MOST_ROWS
    yield f'<section><h2>WARC files</h2><ul class="files">{shown}</ul>'
    yield f'<p class="aside">And {more:,} more.</p></section>' if more > 0 else "</section>"


def _table(heads: Sequence[str], rows: Sequence[_Row]) -> Iterator[str]:
    """Write a table: the first column names, those without a head are bars, the rest numbers."""
    yield "<table><thead><tr>"
    yield "".join(
        f'<th scope="col"{_column(place, head)}>{head}</th>' if head else "<td></td>"
        for place, head in enumerate(heads)
    )
    yield "</tr></thead><tbody>"
    for name, *cells in rows:
        told = "".join(
            f"<td{_column(place, head)}>{cell}</td>"
            for place, (head, cell) in enumerate(zip(heads[1:], cells, strict=True), 1)
        )
        yield f'<tr><th scope="row">{name}</th>{told}</tr>'
    yield "</tbody></table>"


def _column(place: int, head: str) -> str:
    if place == 0:
        return ""
    return ' class="n"' if head else ' class="b"'


def _bar(value: int, largest: int, kind: str) -> str:
    return bar(value / largest if largest else 0.0, kind)


def _named(name: str) -> str:
    """Write a name from outside, cut where it is too long, and free to break where it is long."""
    shown = name if len(name) <= _MOST_NAME else name[: _MOST_NAME - 1] + "…"
    meaning = f" <small>{_MEANING[name]}</small>" if name in _MEANING else ""
    return f"<code>{_text(shown)}</code>{meaning}"


def _text(text: str) -> str:
    return escape(printable(str(text)))


def _count(report: Mapping[str, Any], name: str) -> str:
    return f"{int(report.get(name, 0)):,}"


def _code_class(code: str) -> str:
    return {"2": "", "3": "quiet", "4": "slow", "5": "bad"}.get(code[:1], "quiet")


def _bad(_name: str) -> str:
    return "bad"


def _quiet(_name: str) -> str:
    return "quiet"


def _minute(moment: str) -> int:
    return int(datetime.strptime(moment, "%Y-%m-%dT%H:%M:%S%z").timestamp()) // 60


def _clock(minute: int) -> str:
    return f"{datetime.fromtimestamp(minute * 60, UTC):%Y-%m-%d %H:%M}"
