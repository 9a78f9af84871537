"""Which host may be asked when: at most so many in flight, a rest after each answer, nothing past
the lease, nothing without a token."""

from __future__ import annotations

from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.share import Grant, HostLease, Resting
from pipeline.crawl.rules.politeness import NO_REST, Rest
from pipeline.model.target import Target

NOW = 1_000.0


def target(number: int, host: int = 1) -> Target:
    return Target(
        id=number, host_id=host, url=f"http://h{host}/{number}", via=None, hops="", attempt=0
    )


def granted(
    targets: dict[int, list[Target]],
    until: float = NOW + 15,
    next_at: float = NOW,
    in_flight: int = 1,
    room: int | None = None,
) -> Schedule:
    schedule = Schedule(in_flight)
    leases = tuple(HostLease(host, f"http://h{host}", 1, next_at, until, None) for host in targets)
    grant = Grant(until, (), leases, targets, exhausted=False, room=room)
    schedule.grant(grant, schedule.wish(stopping=False))
    return schedule


def answered(
    schedule: Schedule,
    target: Target | None,
    now: float,
    rest: Rest = NO_REST,
    *,
    failed: bool = False,
) -> None:
    assert target is not None
    schedule.finish(target, now, rest, failed=failed)


def more(schedule: Schedule, targets: dict[int, list[Target]], **grant: object) -> None:
    """Let a beat bring targets, and what else is given."""
    given = Grant(NOW + 60, (), (), targets, exhausted=False, **grant)  # type: ignore[arg-type]
    schedule.grant(given, schedule.wish(stopping=False))


def test_a_host_has_one_request_in_flight() -> None:
    schedule = granted({1: [target(1), target(2)]})
    assert schedule.take(NOW) == target(1)
    assert schedule.take(NOW) is None


def test_a_host_rests_from_the_end_of_its_answer() -> None:
    schedule = granted({1: [target(1), target(2)]})
    first = schedule.take(NOW)
    assert first
    answered(schedule, first, NOW + 3, Rest(2.0, ""))
    assert schedule.next_at() == NOW + 5
    assert schedule.take(NOW + 4.9) is None
    assert schedule.take(NOW + 5) == target(2)


def test_the_host_that_may_be_asked_first_comes_first() -> None:
    schedule = granted({1: [target(1)], 2: [target(2, 2), target(3, 2)]})
    one, two = schedule.take(NOW), schedule.take(NOW)
    assert one and two and {one.host_id, two.host_id} == {1, 2}
    answered(schedule, two if two.id == 2 else one, NOW + 1)
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
    answered(schedule, first, NOW)
    assert [schedule_take(schedule) for _ in range(3)] == [2, 3, None]


def test_a_robots_txt_that_is_asked_for_again_takes_the_place_of_all_that_is_queued() -> None:
    schedule = granted({1: [target(1), target(2), target(3)]}, in_flight=2)
    flying = schedule.take(NOW)
    robots = Target(id=9, host_id=1, url="http://h1/robots.txt", via=None, hops="P", attempt=0)
    more(schedule, {1: [robots]})
    assert schedule.take(NOW) == robots
    answered(schedule, flying, NOW)
    more(schedule, {1: [robots]})
    assert schedule.take(NOW) is None
    answered(schedule, robots, NOW)
    more(schedule, {1: [target(2), target(3)]})
    assert schedule.take(NOW) == target(2)


def schedule_take(schedule: Schedule) -> int | None:
    taken = schedule.take(NOW)
    if taken is None:
        return None
    answered(schedule, taken, NOW)
    return taken.id


def test_what_was_answered_while_the_beat_ran_is_not_queued_again() -> None:
    schedule = granted({1: [target(1), target(2)]})
    first = schedule.take(NOW)
    assert first
    wish = schedule.wish(stopping=False)
    answered(schedule, first, NOW)  # its outcome is in the next batch: the database still lists it
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
    answered(schedule, flying, NOW)
    assert schedule.hosts == 0 and schedule.take(NOW) is None


def test_up_to_so_many_requests_are_in_flight_at_one_host() -> None:
    schedule = granted({1: [target(n) for n in range(5)]}, in_flight=3)
    flying = [schedule.take(NOW) for _ in range(4)]
    assert [t.id if t else None for t in flying] == [0, 1, 2, None]
    answered(schedule, flying[1], NOW, Rest(1.0, ""))
    assert schedule.take(NOW + 0.9) is None
    assert schedule.take(NOW + 1) == target(3)
    assert schedule.take(NOW + 1) is None


def test_a_long_rest_is_not_shortened_by_an_answer_that_was_in_flight() -> None:
    schedule = granted({1: [target(n) for n in range(5)]}, in_flight=2)
    one, two = schedule.take(NOW), schedule.take(NOW)
    answered(schedule, one, NOW, Rest(8.0, "retry-after"), failed=True)
    answered(schedule, two, NOW + 1, Rest(1.0, ""))
    assert schedule.take(NOW + 7.9) is None
    assert schedule.take(NOW + 8) is not None


def test_failures_in_a_row_are_counted_until_an_answer_comes() -> None:
    schedule = granted({1: [target(n) for n in range(5)]})
    for expected in (1, 2):
        answered(schedule, schedule.take(NOW), NOW, failed=True)
        assert schedule.failures(1) == expected
    unasked = schedule.take(NOW)
    assert unasked
    schedule.finish(unasked, NOW, NO_REST, failed=None)
    assert schedule.failures(1) == 2, "the host was not asked"
    answered(schedule, schedule.take(NOW), NOW)
    assert schedule.failures(1) == 0
    assert schedule.failures(99) == 0


def test_the_frontier_is_told_why_a_host_rests_and_when_it_no_longer_does() -> None:
    schedule = granted({1: [target(n) for n in range(5)]})
    answered(schedule, schedule.take(NOW), NOW, Rest(5.0, "back-off"), failed=True)
    assert schedule.wish(stopping=False).resting == {1: Resting(NOW + 5, "back-off", 1)}
    assert not schedule.wish(stopping=False).resting, "once"
    answered(schedule, schedule.take(NOW + 5), NOW + 5, Rest(1.0, ""))
    assert schedule.wish(stopping=False).resting == {1: Resting(NOW + 6, "", 0)}
    answered(schedule, schedule.take(NOW + 6), NOW + 6, Rest(1.0, ""))
    assert not schedule.wish(stopping=False).resting, "the ordinary delay is no news"


def test_a_lease_takes_up_the_failures_that_it_brings() -> None:
    schedule = Schedule()
    lease = HostLease(1, "http://h1", 1, NOW, NOW + 15, None, failures=4, why="back-off")
    grant = Grant(NOW + 15, (), (lease,), {1: [target(1)]}, exhausted=False)
    schedule.grant(grant, schedule.wish(stopping=False))
    assert schedule.failures(1) == 4
    assert not schedule.wish(stopping=False).resting


def test_a_host_that_rests_long_is_given_back_with_its_moment() -> None:
    schedule = granted({1: [target(1), target(2)], 2: [target(3, 2), target(4, 2)]})
    one, two = schedule.take(NOW), schedule.take(NOW)
    assert one and two
    answered(schedule, one, NOW, Rest(3600.0, "retry-after"), failed=True)
    answered(schedule, two, NOW, Rest(1.0, ""))
    wish = schedule.wish(stopping=False)
    assert wish.released == {one.host_id: NOW + 3600}
    assert wish.resting[one.host_id] == Resting(NOW + 3600, "retry-after", 1)


def test_nothing_is_taken_without_a_token() -> None:
    schedule = granted({1: [target(n) for n in range(9)]}, room=2)
    for _ in range(2):
        answered(schedule, schedule.take(NOW), NOW)
    assert schedule.take(NOW) is None
    assert schedule.hungry, "the last beat brought tokens, so the next one may as well"
    more(schedule, {}, room=0)
    assert schedule.take(NOW) is None
    assert not schedule.hungry, "there are none: one beat a second is enough"
    more(schedule, {}, room=1)
    assert schedule.take(NOW) == target(2)


def test_nothing_is_taken_when_the_bytes_that_may_come_have_come() -> None:
    schedule = granted({host: [target(10 * host + n, host) for n in range(4)] for host in (1, 2)})
    one, two = schedule.take(NOW), schedule.take(NOW)
    assert one and two
    more(schedule, {}, allowance=100)
    schedule.finish(one, NOW, NO_REST, failed=False, received=60)
    third = schedule.take(NOW)
    assert third
    # what comes while a beat runs is part of what that beat allows
    wish = schedule.wish(stopping=False)
    schedule.finish(two, NOW, NO_REST, failed=False, received=30)
    schedule.grant(Grant(NOW + 60, (), (), {}, exhausted=False, allowance=70), wish)
    assert not schedule.hungry
    schedule.finish(third, NOW, NO_REST, failed=False, received=40)
    assert schedule.take(NOW) is None and schedule.hungry
    more(schedule, {}, allowance=0)
    assert schedule.take(NOW) is None and not schedule.hungry
    more(schedule, {}, allowance=1)
    assert schedule.take(NOW)


def test_tokens_beyond_what_can_be_used_soon_go_back() -> None:
    schedule = granted({1: [target(1), target(2)]}, room=50)
    answered(schedule, schedule.take(NOW), NOW, Rest(9.0, "slow"))
    wish = schedule.wish(stopping=False)
    assert (wish.tokens, wish.asked, wish.in_flight) == (0, 0, frozenset())
    schedule.grant(Grant(NOW + 15, (), (), {}, exhausted=False, room=0), wish)
    assert schedule.take(NOW + 9) is None
    assert schedule.wish(stopping=False).asked > 0


def test_what_is_in_flight_stays_covered_when_its_host_is_lost() -> None:
    schedule = granted({1: [target(1), target(2)]}, room=5)
    flying = schedule.take(NOW)
    assert flying
    lost = Grant(NOW + 15, (1,), (), {}, exhausted=False, room=0)
    schedule.grant(lost, schedule.wish(stopping=False))
    assert schedule.wish(stopping=False).in_flight == {flying.id}
    answered(schedule, flying, NOW)
    assert not schedule.wish(stopping=False).in_flight


def test_when_a_limit_has_ended_the_run_all_is_given_back_but_what_is_in_flight() -> None:
    schedule = granted({1: [target(1), target(2)], 2: [target(3, 2)]})
    flying = schedule.take(NOW)
    assert flying
    more(schedule, {}, room=0, ended_by="max_bytes")
    assert schedule.take(NOW) is None and not schedule.hungry
    wish = schedule.wish(stopping=False)
    assert set(wish.released) == {1, 2} - {flying.host_id} and not wish.more
    answered(schedule, flying, NOW)
    assert schedule.hungry
    assert flying.host_id in schedule.wish(stopping=False).released


def test_a_host_that_is_leased_again_is_not_asked_beside_what_is_still_in_flight() -> None:
    schedule = granted({1: [target(1), target(2)]})
    flying = schedule.take(NOW)
    lease = HostLease(1, "http://h1", 3, NOW, NOW + 15, None)
    lost_and_won = Grant(NOW + 15, (1,), (lease,), {1: [target(1), target(2)]}, exhausted=False)
    schedule.grant(lost_and_won, schedule.wish(stopping=False))
    assert schedule.take(NOW) is None
    answered(schedule, flying, NOW)
    assert schedule.take(NOW) == target(2)
    assert schedule.take(NOW) is None


def test_a_host_that_is_given_back_is_not_asked_while_the_beat_runs() -> None:
    schedule = granted({1: [target(1), target(2)]})
    assert schedule.wish(stopping=True).released == {1: NOW}
    assert schedule.take(NOW) is None
