"""Which host may be asked when: one in flight, a rest after each answer, nothing past the lease."""

from __future__ import annotations

from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.share import Grant, HostLease
from pipeline.model.target import Target

NOW = 1_000.0


def target(number: int, host: int = 1) -> Target:
    return Target(
        id=number, host_id=host, url=f"http://h{host}/{number}", via=None, hops="", attempt=0
    )


def granted(
    targets: dict[int, list[Target]], until: float = NOW + 15, next_at: float = NOW
) -> Schedule:
    schedule = Schedule()
    leases = tuple(HostLease(host, f"http://h{host}", 1, next_at, until, None) for host in targets)
    grant = Grant(until, (), leases, targets, exhausted=False)
    schedule.grant(grant, schedule.wish(stopping=False))
    return schedule


def test_a_host_has_one_request_in_flight() -> None:
    schedule = granted({1: [target(1), target(2)]})
    assert schedule.take(NOW) == target(1)
    assert schedule.take(NOW) is None


def test_a_host_rests_from_the_end_of_its_answer() -> None:
    schedule = granted({1: [target(1), target(2)]})
    first = schedule.take(NOW)
    assert first
    schedule.finish(first, NOW + 5)
    assert schedule.next_at() == NOW + 5
    assert schedule.take(NOW + 4.9) is None
    assert schedule.take(NOW + 5) == target(2)


def test_the_host_that_may_be_asked_first_comes_first() -> None:
    schedule = granted({1: [target(1)], 2: [target(2, 2), target(3, 2)]})
    one, two = schedule.take(NOW), schedule.take(NOW)
    assert one and two and {one.host_id, two.host_id} == {1, 2}
    schedule.finish(two if two.id == 2 else one, NOW + 1)
    assert schedule.take(NOW + 1) == target(3, 2)


def test_nothing_is_taken_when_the_lease_is_about_to_end() -> None:
    schedule = granted({1: [target(1)]}, until=NOW + 15)
    assert schedule.take(NOW + 13.5) is None


def test_a_host_that_was_asked_a_moment_ago_by_another_rests_first() -> None:
    schedule = granted({1: [target(1)]}, next_at=NOW + 1)
    assert schedule.take(NOW) is None
    assert schedule.take(NOW + 1) == target(1)


def test_what_is_queued_or_in_flight_is_not_queued_again() -> None:
    schedule = granted({1: [target(1), target(2)]})
    first = schedule.take(NOW)
    assert first
    wish = schedule.wish(stopping=False)
    again = Grant(NOW + 15, (), (), {1: [target(1), target(2), target(3)]}, exhausted=False)
    schedule.grant(again, wish)
    schedule.finish(first, NOW)
    assert [schedule_take(schedule) for _ in range(3)] == [2, 3, None]


def schedule_take(schedule: Schedule) -> int | None:
    taken = schedule.take(NOW)
    if taken is None:
        return None
    schedule.finish(taken, NOW)
    return taken.id


def test_what_was_answered_while_the_beat_ran_is_not_queued_again() -> None:
    schedule = granted({1: [target(1), target(2)]})
    first = schedule.take(NOW)
    assert first
    wish = schedule.wish(stopping=False)
    schedule.finish(first, NOW)  # its outcome is in the next batch: the database still lists it
    schedule.grant(Grant(NOW + 15, (), (), {1: [target(1), target(2)]}, exhausted=False), wish)
    assert schedule_take(schedule) == 2
    assert schedule_take(schedule) is None


def test_a_host_is_released_only_after_a_beat_brought_nothing() -> None:
    schedule = granted({1: [target(1)]})
    assert schedule_take(schedule) == 1
    assert not schedule.wish(stopping=False).released
    assert schedule.wish(stopping=False).released == {1: NOW}


def test_stopping_releases_all_but_what_is_in_flight_and_asks_for_no_more() -> None:
    schedule = granted({1: [target(1), target(2)], 2: [target(3, 2)]})
    flying = schedule.take(NOW)
    assert flying
    wish = schedule.wish(stopping=True)
    assert flying.host_id not in wish.released
    assert set(wish.released) == {1, 2} - {flying.host_id}
    assert not wish.wanted and not wish.more


def test_a_late_answer_from_a_lost_host_is_no_harm() -> None:
    schedule = granted({1: [target(1), target(2)]})
    flying = schedule.take(NOW)
    assert flying
    schedule.grant(Grant(NOW + 15, (1,), (), {}, exhausted=False), schedule.wish(stopping=False))
    schedule.finish(flying, NOW)
    assert schedule.hosts == 0 and schedule.take(NOW) is None
