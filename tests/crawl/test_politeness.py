"""How long a host is left alone, and what it may ask for itself."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.politeness import BUSY, Rest, is_failure, rest, retry_after
from pipeline.model.policy import CrawlPolicy

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC).timestamp()
POLICY = CrawlPolicy(
    delay_s=1.0, delay_factor=2.0, max_delay_s=60.0, max_wait_s=600.0, retry_delay_s=30.0
)


def after(
    policy: CrawlPolicy = POLICY,
    *,
    crawl_delay: float | None = None,
    status: int | None = 200,
    asked: float | None = None,
    duration_s: float = 0.1,
    failures: int = 0,
) -> Rest:
    return rest(policy, crawl_delay, status, asked, duration_s, failures)


def policy(**changes: float) -> CrawlPolicy:
    return CrawlPolicy(
        **{"delay_s": 1.0, "retry_delay_s": 30.0, "max_wait_s": 600.0, **changes}  # type: ignore[arg-type]
    )


def test_the_ordinary_rest_is_the_delay() -> None:
    assert after() == Rest(1.0, "")
    assert after(status=404) == after(status=500) == Rest(1.0, "")


def test_a_slow_host_rests_as_many_times_as_long_as_it_took_up_to_a_cap() -> None:
    assert after(duration_s=4.0) == Rest(8.0, "slow")
    assert after(duration_s=400.0) == Rest(60.0, "slow")
    assert after(policy(delay_s=0.0, delay_factor=2.0), duration_s=4.0) == Rest(0.0, "")


def test_crawl_delay_is_obeyed_up_to_a_cap_also_without_a_delay_of_ours() -> None:
    assert after(crawl_delay=7.5) == Rest(7.5, "crawl-delay")
    assert after(policy(delay_s=0.0), crawl_delay=7.5) == Rest(7.5, "crawl-delay")
    assert after(crawl_delay=86_400.0) == Rest(60.0, "crawl-delay")
    assert after(crawl_delay=0.5) == Rest(1.0, ""), "it never makes us faster"


def test_a_cap_below_the_delay_does_not_shorten_the_delay() -> None:
    assert after(policy(delay_s=90.0, max_delay_s=60.0), crawl_delay=80.0) == Rest(90.0, "")


@pytest.mark.parametrize("status", sorted(BUSY))
def test_a_busy_host_rests_as_long_as_it_asks_up_to_a_cap(status: int) -> None:
    assert after(status=status, asked=120.0, failures=1) == Rest(120.0, "retry-after")
    assert after(status=status, asked=1e9, failures=1) == Rest(600.0, "retry-after")
    assert after(status=status, asked=0.0, failures=1) == Rest(1.0, "")
    assert after(status=404, asked=120.0) == Rest(1.0, "")


def test_a_busy_host_that_asks_for_nothing_rests_twice_as_long_each_time() -> None:
    rests = [after(status=503, failures=n) for n in (1, 2, 3, 4, 5, 6, 1000)]
    assert [pause.seconds for pause in rests] == [30, 60, 120, 240, 480, 600, 600]
    assert {pause.why for pause in rests} == {"back-off"}
    assert after(policy(delay_s=45.0), status=429, failures=1).seconds == 45


def test_a_single_hiccup_does_not_slow_a_host_but_three_in_a_row_do() -> None:
    rests = [after(status=None, failures=n) for n in (1, 2, 3, 4, 5)]
    assert rests[:2] == [Rest(1.0, "")] * 2
    assert rests[2:] == [Rest(30.0, "back-off"), Rest(60.0, "back-off"), Rest(120.0, "back-off")]


def test_what_counts_as_a_failure() -> None:
    assert is_failure(None) and is_failure(429) and is_failure(503)
    assert not any(map(is_failure, (200, 304, 403, 404, 500, 502)))


@settings(max_examples=300, deadline=None)
@given(
    st.builds(
        CrawlPolicy,
        delay_s=st.floats(0, 100),
        delay_factor=st.floats(0, 100),
        max_delay_s=st.floats(0, 1000),
        max_wait_s=st.floats(0, 10_000),
        retry_delay_s=st.floats(0, 1000),
    ),
    st.none() | st.floats(0, 86_400),
    st.none() | st.integers(100, 999),
    st.none() | st.floats(0, 1e64),
    st.floats(0, 1e6),
    st.integers(0, 10**9),
)
def test_every_rest_lies_between_the_delay_and_the_limits(
    policy: CrawlPolicy,
    crawl_delay: float | None,
    status: int | None,
    asked: float | None,
    duration_s: float,
    failures: int,
) -> None:
    pause = rest(policy, crawl_delay, status, asked, duration_s, failures)
    most = max(policy.delay_s, policy.max_delay_s, policy.max_wait_s if is_failure(status) else 0)
    assert policy.delay_s <= pause.seconds <= most
    assert (pause.why == "") == (pause.seconds == policy.delay_s)
    if crawl_delay is not None:
        assert pause.seconds >= min(crawl_delay, policy.max_delay_s)
    if asked is not None and status in BUSY:
        assert pause.seconds >= min(asked, policy.max_wait_s)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (b"120", 120),
        (b"0", 0),
        (b" \t7 ", 7),
        (b"99999999999999999999", 1e20),
        (b"Mon, 23 Nov 2026 12:02:00 GMT", 120),
        (b"Monday, 23-Nov-26 12:02:00 GMT", 120),
        (b"Mon Nov 23 12:02:00 2026", 120),
        (b"Tue Dec  1 12:00:00 2026", 8 * 86_400),
        (b"Mon, 23 Nov 2026 12:00:60 GMT", 60),
        (b"Mon, 23 Nov 2026 11:00:00 GMT", 0),
        (b"Sunday, 06-Nov-94 08:49:37 GMT", 0),
    ],
)
def test_retry_after_is_seconds_or_one_of_three_forms_of_date(value: bytes, seconds: float) -> None:
    assert retry_after(value, NOW) == seconds


def test_two_digits_of_a_year_are_at_most_fifty_years_ahead() -> None:
    ahead = retry_after(b"Monday, 23-Nov-76 12:00:00 GMT", NOW)
    assert ahead is not None and ahead == datetime(2076, 11, 23, 12, tzinfo=UTC).timestamp() - NOW
    assert retry_after(b"Monday, 23-Nov-77 12:00:00 GMT", NOW) == 0


@pytest.mark.parametrize(
    "value",
    [
        *(b"", b"soon", b"-5", b"+5", b"1.5", b"1e3", b"5 s", b"0x10", b"\xb2", b"nan", b"inf"),
        *(b"9" * 65, b"Mon, 31 Feb 2026 12:00:00 GMT", b"Mon, 23 Nov 2026 25:00:00 GMT"),
        *(b"Mon, 23 Nov 2026 12:00:61 GMT", b"Mon, 23 Nov 2026 12:00:00 +0100"),
        *(b"Mon, 23 Nov 0000 12:00:00 GMT", "١٢".encode(), b"2026-11-23T12:00:00Z", b"7\n"),
    ],
)
def test_what_is_neither_is_no_wish(value: bytes) -> None:
    assert retry_after(value, NOW) is None


@settings(max_examples=200)
@given(st.integers(0, 4_000_000_000), st.integers(0, 4_000_000_000))
def test_a_date_that_the_library_writes_is_read_back(now: int, then: int) -> None:
    value = formatdate(then, usegmt=True).encode()
    assert retry_after(value, now) == max(0, then - now)


@settings(max_examples=200)
@given(st.binary(max_size=80) | st.text("0123456789: MonvGT-,", max_size=40).map(str.encode))
def test_any_value_gives_none_or_a_number_that_is_not_negative(value: bytes) -> None:
    seconds = retry_after(value, NOW)
    assert seconds is None or 0 <= seconds < 1e65
