"""A run's account: what it holds, how it ends, what is said to people; metrics and the display."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console

from pipeline import display
from pipeline.crawl.frontier.account import Account, HostState
from pipeline.crawl.frontier.database import Database, connect
from pipeline.crawl.frontier.runs import Run
from pipeline.model import canonical
from pipeline.model.layout import Layout
from pipeline.stages import metrics
from pipeline.stages.crawl_report import (
    CrawlProgress,
    CrawlReport,
    CrawlSummary,
    report_of,
    thinned,
)

RUN = Run(1, "c", "c-20270115080000", 1_800_000_000.0)
END = "2027-01-15T08:01:00Z"


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = connect(tmp_path / "frontier.sqlite")
    made.execute(
        "INSERT INTO run(id, collection, name, started_at, discovered, captured, received, new)"
        f" VALUES (1, 'c', '{RUN.name}', {RUN.started_at}, 4, 1, 10, 1)"
    )
    for number, (kind, reason, status, mime) in enumerate(
        [
            ("captured", "", 200, "text/html"),
            ("failed", "dns", None, ""),
            ("refused", "robots", None, ""),
        ]
    ):
        made.execute(
            "INSERT INTO url VALUES (?, 1, 1, ?, ?, NULL, '')",
            (number + 1, number, f"http://a.example/{number}"),
        )
        made.execute(
            "INSERT INTO outcome(run_id, url_id, at, kind, reason, status, mime, received,"
            " duration_ms) VALUES (1, ?, 0, ?, ?, ?, ?, 10, 5)",
            (number + 1, kind, reason, status, mime),
        )
    made.execute("INSERT INTO minute VALUES (1, 30000000, 1, 10)")
    made.execute("INSERT INTO rule VALUES (1, 1, 'scope', 'off scope', 7)")
    made.execute("INSERT INTO warc VALUES (1, 1, 0, 'c-1-00000-w0', 1, 2, 'sealed')")
    made.execute("INSERT INTO warc VALUES (2, 1, 1, 'c-1-00001-w0', 1, 2, 'unsound')")
    yield made
    made.close()


@pytest.fixture
def account(database: Database, tmp_path: Path) -> Iterator[Account]:
    with closing(Account(tmp_path / "frontier.sqlite")) as account:
        yield account


@pytest.fixture
def report(account: Account) -> CrawlReport:
    return report_of(account, RUN, END, "warc/c/page.html")


def test_the_sealed_report_is_canonical_and_whole(report: CrawlReport) -> None:
    told = report.sealed()
    assert "." not in re.sub(r'"(\\.|[^"\\])*"', "", canonical.line(told).decode())
    assert told["types"] == {"text/html": {"captures": 1, "bytes": 10}}
    assert told["minutes"] == (("2027-01-15T08:00:00Z", 1, 10),)
    assert (told["minutes_step"], told["declined"], told["declined_by"]) == (1, 7, {"off scope": 7})
    assert (told["failures"], told["refusals"]) == ({"dns": 1}, {"robots": 1})
    assert told["warcs"] == ("warc/c/c-1-00000-w0.warc.gz",)
    assert not {"waiting", "failed_urls", "empty_sources", "page"} & told.keys()
    assert report.as_json()["failed_urls"] == (("http://a.example/1", "dns"),)


GOOD = {"failed": 0, "captures": 3, "refusals": {}, "hosts_set_aside": 0}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({}, 0),
        ({"ended_by": "max_captures"}, 0),
        ({"captures": 0, "revisits": 2}, 0),
        ({"failed": 1}, 3),
        ({"captures": 0}, 3),
        ({"refusals": {"robots": 2}}, 0),
        ({"refusals": {"robots-unavailable": 2}}, 3),
        ({"hosts_set_aside": 1}, 3),
        ({"empty_sources": (("http://a.example/feed", "the answer is 404"),)}, 3),
        ({"finished_at": None}, 130),
    ],
)
def test_exit_codes(report: CrawlReport, changes: dict[str, object], code: int) -> None:
    ended = replace(report, **{**GOOD, **changes})  # type: ignore[arg-type]
    assert ended.exit_code == CrawlSummary([ended]).exit_code == code


def test_people_are_told_what_was_left_out_and_what_to_do(report: CrawlReport) -> None:
    hosts = tuple(
        {"origin": f"http://h{n}\x1b.example:80", "asked": 1, "failed": 1} for n in range(6)
    )
    rules = {f"rule {n}": n + 1 for n in range(7)}
    ended = replace(
        report,
        ended_by="max_captures",
        hosts_set_aside=9,
        set_aside_hosts=hosts,
        declined_by=rules,
        changed=2,
        vanished=1,
    )
    text = CrawlSummary([ended]).as_text()
    assert "raise max_captures in [limits] of seeds/c.toml" in text
    assert "http://h4" in text and "http://h5" not in text and "and 4 more" in text
    assert "\x1b" not in text
    assert "rule 6" in text and "rule 1\n" not in text and "by 2 other rules" in text
    assert "1 new, 2 changed, 1 vanished" in text
    assert "Report with charts: warc/c/page.html" in text


def test_a_summary_sums_the_changes(report: CrawlReport) -> None:
    told = CrawlSummary([report, replace(report, vanished=2, declined=1)]).as_json()
    assert (told["new"], told["vanished"], told["declined"], told["captures"]) == (2, 2, 8, 2)
    assert len(told["runs"]) == 2 and "minutes" not in told["runs"][0]


minutes_of_a_run = st.dictionaries(
    st.integers(29_000_000, 29_100_000), st.tuples(st.integers(0, 99), st.integers(0, 9999))
).map(lambda found: [(at, *found[at]) for at in sorted(found)])


@settings(max_examples=40, deadline=None)
@given(minutes_of_a_run)
def test_merging_minutes_loses_nothing(minutes: list[tuple[int, int, int]]) -> None:
    points, step = thinned(minutes)
    assert len(points) <= 500
    assert sum(p[1] for p in points) == sum(m[1] for m in minutes)
    assert sum(p[2] for p in points) == sum(m[2] for m in minutes)
    assert [p[0] for p in points] == sorted({p[0] for p in points})
    assert step == 1 or len(minutes) > 500


def test_many_minutes_become_few_points() -> None:
    points, step = thinned([(29_000_000 + n, 1, 2) for n in range(2001)])
    assert (len(points), step, points[1][1:]) == (401, 5, (5, 10))


def test_metrics_are_in_the_text_format(account: Account, database: Database, tmp_path: Path):
    database.execute("UPDATE run SET collection = 'a\"b\\c\nd'")
    text = metrics.metrics(metrics.measure(account))
    label = r'{collection="a\"b\\c\nd"'
    assert f"holdfast_captures_total{label}}} 1\n" in text
    assert f'holdfast_failed_total{label},reason="dns"}} 1\n' in text
    assert f'holdfast_responses_total{label},code="200"}} 1\n' in text
    assert f"holdfast_declined_total{label}}} 7\n" in text
    assert "run_finished" not in text
    names = re.findall(r"^# TYPE (\S+) (?:counter|gauge)$", text, re.MULTILINE)
    assert len(names) == len(set(names)) > 10
    sample = re.compile(r'([a-z_]+)\{[a-z]+="(?:[^"\\\n]|\\.)*"(,[a-z]+="[^"]*")?\} [0-9.]+')
    for line in text.splitlines():
        assert line.startswith("# ") or ((found := sample.fullmatch(line)) and found[1] in names)
    layout = Layout(tmp_path / "archive")
    metrics.write(layout, "old\n")
    metrics.write(layout, text)
    assert metrics.metrics_path(layout).read_text() == text
    assert [path.name for path in layout.working.iterdir()] == ["crawl.prom"]


def test_the_display_has_a_line_for_each_host(account: Account) -> None:
    host = HostState(
        origin="http://\x1b[31mevil.example" + "x" * 200,
        waiting=1234,
        asked=1,
        failed=0,
        received=0,
        average_ms=1,
        state="rests 4 s (\x9bcrawl-delay)",
    )
    progress = replace(CrawlProgress.of(account, RUN, 2.0, 0.0), hosts_shown=[host])
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(display._live(progress.facts(), progress.details()))
    first, second = console.export_text(styles=False).splitlines()[:2]
    assert first.startswith("crawling c")
    assert "1,234" in second and "rests 4 s" in second and len(second) <= 100
    assert not {"\x1b", "\x9b"} & set(second)
    assert isinstance(progress, display.Detailed)


def test_elsewhere_progress_stays_one_line(account: Account, capsys: pytest.CaptureFixture[str]):
    progress = CrawlProgress.of(account, RUN, 2.0, 0.0)
    with display.Display(quiet=False, verbose=True) as shown:
        shown._every_s = 0.0
        shown.observe(progress)
    assert len(capsys.readouterr().err.splitlines()) == 1
