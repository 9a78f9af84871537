"""A crawl of a site that does all that a site must not: it ends, and tells of every URL.

The site is hostile_site.py; it counts what it was asked and remembers the links that it sent. All
names on its pages that are not loopback are out of scope, and a test sees to it before the crawl.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from warcio.archiveiterator import ArchiveIterator

from pipeline.model.url import Rejected, resolve

# the crawl alone takes most of a minute
pytestmark = pytest.mark.slow

HOLDFAST = Path(sys.executable).with_name("holdfast")
SITE = Path(__file__).with_name("hostile_site.py")
LIMIT_S = 240
MOST_MEMORY = 250 << 20
MAX_BODY = 2_000_000
_CONFIG = f"""
[archive]
operator = "Test"
contact = "mailto:test@example.org"
[crawl]
delay_s = 0
max_delay_s = 0.2
max_wait_s = 3
deadline_s = 3
idle_timeout_s = 2
max_body_bytes = {MAX_BODY}
retries = 1
retry_delay_s = 0.1
host_failures = 20
"""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SESSION = re.compile(r"(?i)(sid|phpsessid)=[0-9a-f]+|;jsessionid=\w+|\(s\(\w+\)\)")


@dataclass
class Hostile:
    """The site while it is served, and what it told at its end."""

    port: int
    closed: int
    ipv6: bool
    pid: int
    asked: Counter[str] = field(default_factory=Counter)
    links: list[tuple[str, str]] = field(default_factory=list)

    def origin(self, number: int) -> str:
        return f"http://127.0.0.{number}:{self.port}"

    @property
    def seeds(self) -> list[str]:
        six = [f"http://[::1]:{self.port}/"] * self.ipv6
        return [f"{self.origin(n)}/" for n in range(1, 10)] + [
            *six,
            f"http://127.0.0.1:{self.closed}/",
        ]

    def times(self, number: int, path: str) -> int:
        """Tell how often what begins with a path was asked for."""
        return sum(n for url, n in self.asked.items() if url.startswith(self.origin(number) + path))


@contextmanager
def serve(*options: str, prefix: Sequence[str] = ()) -> Iterator[Hostile]:
    """Serve the site as a program of its own."""
    command = [*prefix, sys.executable, str(SITE), *options]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdin and program.stdout
        try:
            hostile = Hostile(**json.loads(program.stdout.readline()), pid=program.pid)
            yield hostile
            program.stdin.close()
            told = json.loads(program.stdout.read())
            hostile.asked = Counter(told["asked"])
            hostile.links = [(page, link) for page, link in told["links"]]
        finally:
            program.kill()


def holdfast(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [HOLDFAST, "-C", root, *words], capture_output=True, text=True, timeout=LIMIT_S, check=False
    )


def make(root: Path, seeds: list[str], config: str = _CONFIG) -> None:
    (root / "seeds").mkdir(parents=True)
    (root / "config.toml").write_text(config)
    (root / "seeds" / "bad.txt").write_text("".join(f"{url}\n" for url in seeds))


@dataclass
class Crawled:
    """What a crawl left behind."""

    root: Path
    site: Hostile
    code: int
    out: str
    err: str
    memory: int

    @property
    def run(self) -> dict[str, Any]:
        run: dict[str, Any] = json.loads(self.out)["runs"][0]
        return run

    def captured(self) -> list[dict[str, str]]:
        return [
            json.loads(line.split(" ", 2)[2])
            for index in self.root.glob("warc/*/*.cdxj")
            for line in index.read_text("utf-8").splitlines()
        ]

    def log(self) -> list[dict[str, Any]]:
        """Read the crawl log from the WARC files with warcio."""
        lines: list[dict[str, Any]] = []
        for warc in sorted(self.root.glob("warc/*/*.warc.gz")):
            with warc.open("rb") as stream:
                for record in ArchiveIterator(stream):
                    target = record.rec_headers.get_header("WARC-Target-URI") or ""
                    if record.rec_type == "resource" and ":crawl-log" in target:
                        data = record.content_stream().read()
                        if data.startswith(b"\x1f\x8b"):
                            data = gzip.decompress(data)
                        lines += map(json.loads, data.decode("utf-8").splitlines())
        return lines

    def rules(self, number: int, path: str) -> set[str]:
        """Give the reasons why URLs that begin with a path were not captured."""
        begin = self.site.origin(number) + path
        return {
            line["reason"]
            for line in self.log()
            if line["url"].startswith(begin) and line.get("reason")
        }


def peak(session: int) -> int:
    """Give the most memory that any process of a session has had, as far as Linux tells it.

    The system's own account of a child's memory counts that of the test from which it was forked.
    """
    most = 0
    for status in Path("/proc").glob("[0-9]*/status"):
        with suppress(OSError):
            if os.getsid(int(status.parent.name)) == session:
                told = re.search(r"VmHWM:\s+(\d+) kB", status.read_text("utf-8"))
                most = max(most, int(told[1]) << 10 if told else 0)
    return most


def crawl(root: Path, site: Hostile, prefix: Sequence[str] = ()) -> Crawled:
    """Crawl to the end; measure the memory of the largest process."""
    out, err = root / "out", root / "err"
    with out.open("wb") as to, err.open("wb") as also_to:
        command = [*prefix, HOLDFAST, "-C", root, "--json", "crawl", "--workers", "2"]
        process = subprocess.Popen(command, stdout=to, stderr=also_to, start_new_session=True)
        give_up = time.monotonic() + LIMIT_S
        memory = 0
        while process.poll() is None:
            memory = max(memory, peak(process.pid))
            if time.monotonic() > give_up:
                process.kill()
                process.wait()
                pytest.fail(f"the crawl stalled: {holdfast(root, 'status').stdout}")
            time.sleep(0.1)
    told = (path.read_text("utf-8", "surrogateescape") for path in (out, err))
    return Crawled(root, site, process.returncode, *told, memory)


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> Crawled:
    root = tmp_path_factory.mktemp("hostile") / "archive"
    with serve() as site:
        make(root, site.seeds)
        assert_stays_on_loopback(root, site)
        return crawl(root, site)


def assert_stays_on_loopback(root: Path, site: Hostile) -> None:
    """What the pages name elsewhere is out of scope; to ask that opens no socket."""
    text = SITE.read_text("utf-8")
    elsewhere = set(re.findall(r'"(http://[^"]*(?:\.invalid|169\.254|10\.0\.0)[^"]*)"', text))
    assert len(elsewhere) >= 6
    for url in {*elsewhere, "http://n1.invalid/"}:
        told = holdfast(root, "--json", "seeds", "check", "--url", url.split('" +')[0])
        if told.returncode == 2:
            continue  # no URL at all
        assert '"accepted": false' in told.stdout, (url, told.stdout)


def test_it_ends_and_says_that_some_failed(crawled: Crawled) -> None:
    assert crawled.code == 3, crawled.err
    assert crawled.run["finished_at"] and crawled.run["waiting"] == 0


def test_nobody_sees_a_traceback_or_a_control_character(crawled: Crawled) -> None:
    status = holdfast(crawled.root, "status")
    told = {"out": crawled.out, "err": crawled.err, "status": status.stdout + status.stderr}
    for bad in ("links.html", "fields.html", "loop/control"):
        shown = holdfast(crawled.root, "show", f"{crawled.site.origin(1)}/{bad}")
        told[bad] = shown.stdout + shown.stderr
    for name, text in told.items():
        assert "Traceback" not in text, name
        assert _CONTROL.findall(text) == [], name


def test_every_url_is_accounted_for(crawled: Crawled) -> None:
    run = crawled.run
    settled = run["captures"] + run["revisits"] + run["refused"] + run["failed"]
    assert run["discovered"] == settled
    outcomes = Counter(line["outcome"] for line in crawled.log())
    assert outcomes["captured"] == run["captures"]
    assert (outcomes["refused"], outcomes["failed"]) == (run["refused"], run["failed"])
    assert outcomes["waiting"] == 0


def test_every_link_is_captured_or_explained(crawled: Crawled) -> None:
    log = crawled.log()
    explained = {line["url"] for line in log if line["outcome"] != "waiting"}
    explained |= {_SESSION.sub("", url) for url in explained}
    no_urls = {line["url"][:40] for line in log if line.get("reason") == "url"}  # each told once
    missing = []
    for page, link in crawled.site.links:
        url = resolve(link, page)
        if url is Rejected.SCHEME:
            continue  # ftp and the like name nothing that a crawl could miss
        if isinstance(url, Rejected):
            if link[:40] not in no_urls:
                missing.append((page, link[:80]))
        elif url not in explained and _SESSION.sub("", url) not in explained:
            missing.append((page, link[:80]))
    assert missing == []
    assert all(line.get("reason") for line in log if line["outcome"] in ("failed", "refused"))
    assert all(line.get("rule") for line in log if line["outcome"] == "declined")


def test_an_absence_is_shown_with_its_reason(crawled: Crawled) -> None:
    for url, reason in {
        f"http://127.0.0.1:{crawled.site.closed}/": "robots-unavailable",
        f"http://127.0.0.1:{crawled.site.closed}/robots.txt": "connect",
        f"{crawled.site.origin(1)}/forbidden/x.html": "robots",
        f"{crawled.site.origin(6)}/empty": "disconnect",
        f"{crawled.site.origin(9)}/": "robots-unavailable",
    }.items():
        shown = holdfast(crawled.root, "--json", "show", url)
        assert shown.returncode == 3
        assert [each["reason"] for each in json.loads(shown.stdout)["absences"]] == [reason], url


def test_what_is_good_is_captured_in_spite_of_all_that_is_bad(crawled: Crawled) -> None:
    good = {each["url"] for each in crawled.captured() if each.get("status") == "200"}
    wanted = [(number, "/good.html") for number in (1, 2, 4, 5, 7)]
    wanted += [(6, f"/good.html?{n}") for n in range(1, 5)]
    wanted += [(1, "/map/broken.html"), (1, "/map/49.html"), (1, "/frame/2.html"), (1, "/i/5.gif")]
    wanted += [(7, f"/busy/{name}") for name in ("seconds", "date", "429", "odd")]
    assert [each for each in wanted if crawled.site.origin(each[0]) + each[1] not in good] == []


@pytest.mark.parametrize(
    ("number", "path", "most", "reason"),
    [
        (1, "/chain/", 60, "redirects"),
        (2, "/calendar/", 1500, "trap-calendar"),
        (2, "/calendar.php", 600, "trap-calendar"),
        (2, "/path/", 600, "trap-path"),
        (4, "/same/", 600, "trap-content"),
        (4, "/query/", 1000, "trap-query"),
        (4, "/names/", 60, "trap-query"),
        (4, "/long/", 30, "trap-length"),
        (8, "/reset/", 60, "host-failing"),
    ],
)
def test_a_trap_is_left_and_the_rule_is_told(
    crawled: Crawled, number: int, path: str, most: int, reason: str
) -> None:
    assert 1 <= crawled.site.times(number, path) <= most
    assert reason in crawled.rules(number, path)


def test_session_ids_make_no_new_urls(crawled: Crawled) -> None:
    assert 3 <= crawled.site.times(3, "/session/") <= 12


def test_what_loops_is_asked_for_once(crawled: Crawled) -> None:
    asked = crawled.site.asked
    for name in ("self", "a", "b"):
        assert asked[f"{crawled.site.origin(1)}/loop/{name}"] == 1
    assert crawled.site.times(1, "/cookie/") <= 4
    assert asked[f"{crawled.site.origin(4)}/robots.txt"] <= 10
    assert crawled.site.times(1, "/maps/index/") <= 300


def test_the_forbidden_and_what_is_no_link_is_never_asked_for(crawled: Crawled) -> None:
    assert crawled.site.times(1, "/forbidden/") == 0
    assert not [url for url in crawled.site.asked if "never" in url or "alert" in url]


def test_answers_that_are_not_whole_are_kept_and_say_so(crawled: Crawled) -> None:
    truncated: dict[str, str] = {}
    for warc in crawled.root.glob("warc/*/*.warc.gz"):
        with warc.open("rb") as stream:
            for record in ArchiveIterator(stream):
                why = record.rec_headers.get_header("WARC-Truncated")
                if why and record.rec_type == "response":
                    truncated[record.rec_headers.get_header("WARC-Target-URI")] = why
    assert {path: truncated.get(crawled.site.origin(n) + path) for n, path in _CUT} == {
        path: why for (_, path), why in _CUT.items()
    }


_CUT = {
    (1, "/maps/many.xml"): "length",
    (5, "/slow/drip.html"): "time",
    (6, "/cut/body"): "disconnect",
    (6, "/chunks/endless"): "length",
}


def test_memory_is_bounded(crawled: Crawled) -> None:
    assert crawled.memory < MOST_MEMORY, f"{crawled.memory >> 20} MiB"


def test_the_archive_is_sound(crawled: Crawled) -> None:
    verified = holdfast(crawled.root, "--json", "verify", "--level", "records")
    assert verified.returncode == 0, verified.stdout
    kinds: Counter[str] = Counter()
    for warc in crawled.root.glob("warc/*/*.warc.gz"):
        subprocess.run(["gzip", "-t", warc], check=True)
        with warc.open("rb") as stream:
            # our own verification has checked the digests; in a body that is longer than was
            # declared, warcio takes for payload what is none
            for record in ArchiveIterator(stream):
                record.content_stream().read()
                kinds[record.rec_type] += 1
    assert kinds["response"] + kinds["revisit"] == len(crawled.captured())


def test_documents_are_made_of_it_without_a_failure(crawled: Crawled) -> None:
    extracted = holdfast(crawled.root, "--json", "extract")
    assert extracted.returncode in (0, 3), extracted.stderr
    assert "Traceback" not in extracted.stderr
    assert json.loads(extracted.stdout)["documents"] > 50


@pytest.fixture
def apart() -> tuple[str, ...]:
    """Give what to put before a command so that it has no network but a loopback of its own."""
    prefix = ("unshare", "--user", "--map-root-user", "--net")
    try:
        subprocess.run([*prefix, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        pytest.skip(f"this machine gives no network namespace: {error}")
    return prefix


def test_addresses_that_are_not_public_are_refused(apart: tuple[str, ...], tmp_path: Path) -> None:
    """Run where no packet could leave, as embeds of other hosts are in scope."""
    root = tmp_path / "archive"
    with serve("--apart", prefix=apart) as site:
        make(root, [f"{site.origin(1)}/addresses.html"])
        join = ("nsenter", "--preserve-credentials", "--user", "--net", f"--target={site.pid}")
        done = crawl(root, site, join)
    embedded = {resolve(link, page) for page, link in site.links if "/addresses.html" in page}
    assert len(embedded) > 8
    why = {line["url"]: line.get("reason") for line in done.log()}
    assert {url: why.get(url) for url in embedded} == dict.fromkeys(embedded, "address")


def test_a_page_of_a_million_links_and_a_sitemap_of_a_million_entries(tmp_path: Path) -> None:
    root = tmp_path / "archive"
    config = _CONFIG.replace(f"max_body_bytes = {MAX_BODY}", "max_body_bytes = 100000000")
    with serve("--big") as site:
        seeds = [f"{site.origin(1)}{path}" for path in ("/many.html", "/maps/many.xml")]
        make(root, seeds, config.replace("deadline_s = 3", "deadline_s = 60"))
        assert_stays_on_loopback(root, site)
        done = crawl(root, site)
    assert done.code in (0, 3) and "Traceback" not in done.err
    assert done.run["waiting"] == 0
    assert done.memory < MOST_MEMORY, f"{done.memory >> 20} MiB"
