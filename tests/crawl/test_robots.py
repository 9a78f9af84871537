"""crawl/rules/robots.py: what a host permits."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.frontier.share import LEASE_S
from pipeline.crawl.rules import robots as robots_module
from pipeline.crawl.rules.robots import (
    LONGEST_DELAY_S,
    MAX_BYTES,
    Robots,
    good_until,
    product_token,
)

AGENT = "Holdfast/0.1.0 (+https://www.google.example/bot)"


def allowed(rules: str | bytes, path: str, agent: str = AGENT) -> bool:
    body = rules if isinstance(rules, bytes) else rules.encode()
    return Robots.parse(200, body).decide(f"http://example.org{path}", agent).accepted


RULES = """\
# nobody goes here
User-agent: *
Disallow: /private/
Allow: /private/open
Disallow: /*.cgi$
Crawl-delay: 7.5

User-agent: Googlebot
User-agent: google
Disallow: /
"""


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", True),
        ("/private", True),
        ("/private/x", False),
        ("/private/open", True),
        ("/a/b.cgi", False),
        ("/a/b.cgi?x", True),
        ("/robots.txt", True),
    ],
)
def test_the_rules_are_obeyed(path: str, expected: bool) -> None:
    assert allowed(RULES, path) is expected


def test_only_our_product_token_addresses_us() -> None:
    ours = "User-agent: other\nUser-agent: HOLDFAST/2.0 # us\nDisallow: /a\n\nUser-agent: *\n"
    assert not allowed(ours, "/a")
    assert allowed(ours, "/b")
    assert allowed("User-agent: hold\nUser-agent: holdfasting\nDisallow: /", "/a")
    assert allowed("User-agent: google\nUser-agent: bot\nDisallow: /", "/a"), "words of the contact"
    assert not allowed("user agent holdfast\nDisallow: /", "/a")
    assert not allowed("User-agent: * # all\nDisallow: /", "/a")


def test_the_group_that_names_us_replaces_the_one_for_all() -> None:
    rules = "User-agent: *\nDisallow: /\n\nUser-agent: holdfast\nDisallow: /x"
    assert allowed(rules, "/y")
    assert not allowed(rules, "/x")


def test_a_byte_order_mark_hides_no_rule() -> None:
    assert not allowed(b"\xef\xbb\xbfUser-agent: *\r\nDisallow: /\r\n", "/a")


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 410, 429, 499])
def test_a_host_without_robots_txt_allows_everything(status: int) -> None:
    decision = Robots.parse(status, b"User-agent: *\nDisallow: /").decide("http://h/", AGENT)
    assert decision.accepted
    assert decision.reason == ""


@pytest.mark.parametrize("status", [0, 100, 500, 503, 599, 999])
def test_a_host_that_cannot_tell_its_rules_is_left_alone(status: int) -> None:
    decision = Robots.parse(status, b"User-agent: *\nAllow: /").decide("http://h/", AGENT)
    assert not decision.accepted
    assert decision.reason == "robots-unavailable"


def test_a_refusal_names_its_reason_and_rule() -> None:
    decision = Robots.parse(200, b"User-agent: *\nDisallow: /").decide("http://h/x", AGENT)
    assert (decision.reason, decision.rule) == ("robots", "robots: disallowed by robots.txt")


def test_the_crawl_delay_is_that_of_our_group() -> None:
    assert Robots.parse(200, RULES.encode()).crawl_delay(AGENT) == 7.5
    assert Robots.parse(200, b"User-agent: *\nCrawl-delay: soon").crawl_delay(AGENT) is None
    assert Robots.parse(404, b"").crawl_delay(AGENT) is None


@pytest.mark.parametrize(
    ("written", "delay"),
    [
        *(("0", 0.0), ("0.5", 0.5), ("1e300", LONGEST_DELAY_S), ("86401", LONGEST_DELAY_S)),
        *(
            ("nan", None),
            ("-1", None),
            ("-inf", None),
            ("", None),
            ("1 s", None),
            ("9" * 5000, None),
        ),
    ],
)
def test_a_crawl_delay_is_a_number_of_seconds_up_to_a_day(
    written: str, delay: float | None
) -> None:
    robots = Robots.parse(200, f"User-agent: *\nCrawl-delay: {written}".encode())
    assert robots.crawl_delay(AGENT) == delay


def test_rules_are_read_once_for_all_requests_of_a_robot(monkeypatch: pytest.MonkeyPatch) -> None:
    robots = Robots.parse(200, RULES.encode())
    assert robots.crawl_delay(AGENT) == 7.5
    monkeypatch.setattr(robots_module, "_address_to", None)
    assert robots.crawl_delay(AGENT) == 7.5
    assert not robots.decide("http://example.org/private/x", AGENT).accepted


def test_a_rule_cut_short_at_the_size_limit_is_no_rule() -> None:
    rules = b"User-agent: *\nDisallow: /a\n"
    filler = b"#" * (MAX_BYTES - len(rules) - len(b"\nDisallow: /")) + b"\n"
    body = rules + filler + b"Disallow: /private\n"
    assert body[MAX_BYTES - 1 :] == b"/private\n"
    assert not allowed(body, "/a")
    assert allowed(body, "/b")
    assert allowed(body, "/private"), "it lies beyond the limit"


def test_an_answer_is_good_for_less_than_a_day_by_as_much_as_a_worker_may_be_behind() -> None:
    assert good_until(1000.0, 1.0) <= 1000.0 + 86_400 - LEASE_S
    assert good_until(1000.0, 3600.0) > 1000.0 + 86_400 - 2 * LEASE_S


def test_a_host_that_rests_for_a_day_after_its_robots_txt_is_asked_for_a_page_first() -> None:
    assert good_until(1000.0, 86_400.0) > 1000.0 + 86_400 + LEASE_S


@pytest.mark.parametrize(("status", "unavailable"), [(0, True), (503, True), (404, False)])
def test_it_is_known_whether_the_file_could_be_had(status: int, unavailable: bool) -> None:
    assert Robots.parse(status, b"").is_unavailable is unavailable


def test_the_product_token_is_the_first_word() -> None:
    assert product_token(AGENT) == "Holdfast"
    assert product_token("my-bot (x)") == "my-bot"
    assert product_token("(nothing)") == "Holdfast"


@pytest.mark.parametrize("spelling", ["User-agent: r%d", "user  agent r%d", "useragent:r%d"])
def test_ten_thousand_rules_for_ten_thousand_robots_cost_little(spelling: str) -> None:
    """Multiplied with each other they would be some hundred million."""
    agents = "\n".join(spelling % number for number in range(15_000))
    rules = "\n".join(f"Disallow: /{number}" for number in range(15_000))
    assert allowed(f"{agents}\n{rules}\n", "/1")


LINES = st.sampled_from(
    [
        *("User-agent: *", "User-agent:", "Disallow: /", "Disallow: /%zz*$*", "Allow: é"),
        *("Crawl-delay: -1", "Crawl-delay: 1e999", "Request-rate: 1/0", "Sitemap: x"),
        *(":", "Disallow", "\0", "Visit-time: 9"),
    ]
)


@settings(max_examples=200)
@given(
    st.one_of(
        st.binary(max_size=300), st.lists(LINES).map(lambda lines: "\n".join(lines).encode())
    ),
    st.integers(min_value=-1, max_value=1000),
    st.sampled_from(["/", "//x", "/[x", "/%zz?a=[", "/a/../%00", "/robots.txt?"]),
)
def test_no_answer_makes_it_fail(body: bytes, status: int, path: str) -> None:
    robots = Robots.parse(status, body)
    decision = robots.decide("http://example.org" + path, AGENT)
    assert decision.accepted or decision.reason in ("robots", "robots-unavailable")
    delay = robots.crawl_delay(AGENT)
    assert delay is None or 0 <= delay < float("inf")
