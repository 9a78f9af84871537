"""Which of the hosts that a worker holds may be asked next, and when. Pure: time is passed in.

A host has at most so many requests in flight, most often one, and after each answer a rest that is
counted from the answer's end. Where captures are limited, each target taken needs a token, and
where bytes are, none is taken when as many have come as the last beat allows.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Sequence

from msgspec import Struct, field

from pipeline.crawl.frontier.share import LEAST_TOKENS, Grant, HostLease, Resting, Wish
from pipeline.crawl.rules.politeness import Rest
from pipeline.model.target import Target

# the longest time between two beats that still leaves the lease to us
_MARGIN_S = 2.0
# targets queued for a host, at least; twice what it took since the last beat if that is more
_QUEUE = 100
# a host that rests longer is given back, so that it takes no place from hosts that may be asked
_LONG_REST_S = 10.0
# a host that rests no longer than this needs tokens
_SOON_S = 2.0


class HeldHost(Struct):
    """A host leased by this worker: mutable, touched only under the worker's lock.

    Attributes:
        next_at: moment before which it may not be asked.
        why: what it rests for.
        failures: answers in a row that were failures.
        in_flight: how many of its targets are being asked for.
        settled: ids answered since the last beat: the database still lists them.
        asked: targets taken since the last beat.
        told: how the frontier knows it to stand.

    """

    lease: HostLease
    next_at: float
    why: str
    failures: int
    told: Resting
    queue: deque[Target] = field(default_factory=deque)
    in_flight: int = 0
    settled: set[int] = field(default_factory=set)
    is_listed: bool = False
    """Whether it is among those that may be asked; its moment there may be too early."""
    asked: int = 0

    @property
    def is_dry(self) -> bool:
        """Tell whether the last beat brought nothing and nothing is waiting to be settled."""
        return not (self.queue or self.in_flight or self.settled or self.asked)


class Schedule:
    """The hosts that a worker holds, ordered by when they may be asked.

    Args:
        in_flight: requests that may be under way at one host at the same time.

    """

    def __init__(self, in_flight: int = 1) -> None:
        self._most = in_flight
        self._held: dict[int, HeldHost] = {}
        self._flying: dict[int, Target] = {}
        self._ready: list[tuple[float, int]] = []
        self._until = 0.0
        self._now = 0.0
        self._tokens: int | None = None
        self._allowance: int | None = None
        self._received = 0
        self._fed = True
        self._taken = 0
        self._ended = False

    def take(self, now: float) -> Target | None:
        """Give a target whose host may be asked now, and note that it is in flight."""
        self._now = max(self._now, now)
        if now > self._until - _MARGIN_S or self._ended or self._is_spent:
            return None
        while self._ready and self._ready[0][0] <= now:
            _, host_id = heapq.heappop(self._ready)
            held = self._held.get(host_id)
            if held is None:
                continue
            held.is_listed = False
            if not held.queue or held.in_flight >= self._most:
                continue
            if held.next_at > now:
                # an answer came after it was listed
                self._list(held)
                continue
            target = held.queue.popleft()
            held.in_flight += 1
            held.asked += 1
            self._flying[target.id] = target
            self._taken += 1
            if self._tokens is not None:
                self._tokens -= 1
            self._list(held)
            return target
        return None

    def next_at(self) -> float | None:
        """Give the moment at which `take` may have something, None if only a beat can bring it."""
        return self._ready[0][0] if self._ready else None

    def failures(self, host_id: int) -> int:
        """Give how many answers of a host, the last ones in a row, were failures."""
        held = self._held.get(host_id)
        return held.failures if held else 0

    def finish(
        self, target: Target, now: float, rest: Rest, *, failed: bool | None, received: int = 0
    ) -> None:
        """Note that a target was answered at `now`.

        Args:
            target: as it was taken.
            now: end of the answer; the host's rest begins.
            rest: what the host is owed. A longer rest that it was given before stays.
            failed: whether the answer was a failure (see `politeness.is_failure`); None if the
                host was not asked at all.
            received: bytes of the answer.

        """
        self._now = max(self._now, now)
        self._received += received
        flew = self._flying.pop(target.id, None) is target
        held = self._held.get(target.host_id)
        if held is None or not flew or target.id in held.settled:
            return  # the lease was lost meanwhile
        held.in_flight -= 1
        held.settled.add(target.id)
        if failed is not None:
            held.failures = held.failures + 1 if failed else 0
        if now + rest.seconds >= held.next_at:
            held.next_at = now + rest.seconds
            held.why = rest.why
        self._list(held)

    def _list(self, held: HeldHost) -> None:
        """Put a host among those that may be asked, unless it is there."""
        if held.queue and held.in_flight < self._most and not held.is_listed:
            held.is_listed = True
            heapq.heappush(self._ready, (held.next_at, held.lease.id))

    @property
    def hosts(self) -> int:
        """How many hosts are held."""
        return len(self._held)

    @property
    def hungry(self) -> bool:
        """Tell whether a beat may bring what this worker can use at once.

        When the frontier had no token and no byte to give, one beat a second is enough to ask
        again.
        """
        if self._ended:
            return not self._flying
        if self._is_spent:
            return self._fed
        return not self._held or any(
            not held.queue and not held.in_flight for held in self._held.values()
        )

    @property
    def _is_spent(self) -> bool:
        """Tell whether all that the last beat allowed has been taken or has come."""
        is_enough = self._allowance is not None and self._received >= self._allowance
        return is_enough or self._tokens == 0

    def wish(self, *, stopping: bool) -> Wish:
        """Say what is held and wanted, and count anew: the beat that follows settles the rest."""
        stopping = stopping or self._ended
        if self._allowance is not None:
            # the rest may be used while the beat runs, and what comes then is part of the next
            self._allowance = max(self._allowance - self._received, 0)
        self._received = 0
        released: dict[int, float] = {}
        wanted: dict[int, int] = {}
        for host_id, held in self._held.items():
            most = max(2 * held.asked, _QUEUE)
            rests_long = held.next_at > self._now + _LONG_REST_S
            if not held.in_flight and (stopping or held.is_dry or rests_long):
                released[host_id] = held.next_at
                held.queue.clear()  # while the beat runs, nothing of it may be taken
            elif not stopping and len(held.queue) < most / 2:
                # what is queued or in flight is still listed in the database
                wanted[host_id] = most + len(held.queue) + held.in_flight
            held.asked = 0
            held.settled.clear()
        asked = 0 if stopping else self._balance(wanted, released)
        return Wish(
            held={host_id: held.lease.epoch for host_id, held in self._held.items()},
            wanted=wanted,
            released=released,
            more=not stopping,
            resting=self._news(),
            in_flight=frozenset(self._flying),
            tokens=self._tokens or 0,
            asked=asked,
        )

    def _balance(self, wanted: dict[int, int], released: dict[int, float]) -> int:
        """Give up tokens that are not needed soon; tell how many more are."""
        taken, self._taken = self._taken, 0
        if self._tokens is None:
            return 0
        usable = sum(
            len(held.queue) + wanted.get(host_id, 0)
            for host_id, held in self._held.items()
            if host_id not in released and held.next_at <= self._now + _SOON_S
        )
        goal = min(max(2 * taken, LEAST_TOKENS), usable)
        self._tokens = min(self._tokens, goal)
        return goal - self._tokens

    def _news(self) -> dict[int, Resting]:
        """Give the hosts that stand otherwise than the frontier knows.

        The moment alone matters only where it is not the ordinary delay: a lease that is given
        back or lost tells or bounds that one.
        """
        news = {}
        for host_id, held in self._held.items():
            stands = Resting(held.next_at, held.why, held.failures)
            if stands != held.told and (held.why or stands[1:] != held.told[1:]):
                news[host_id] = held.told = stands
        return news

    def grant(self, grant: Grant, wish: Wish) -> None:
        """Take in what the frontier gave."""
        self._until = grant.until
        self._ended = self._ended or bool(grant.ended_by)
        self._fed = grant.room != 0 and grant.allowance != 0
        self._allowance = grant.allowance
        self._tokens = None if grant.room is None else (self._tokens or 0) + grant.room
        for host_id in (*grant.lost, *wish.released):
            self._held.pop(host_id, None)
        for lease in grant.leases:
            told = Resting(lease.next_at, lease.why, lease.failures)
            # what was in flight when an earlier lease on this host was lost still is
            flying = sum(target.host_id == lease.id for target in self._flying.values())
            self._held[lease.id] = HeldHost(lease, *told, told, in_flight=flying)
        for host_id, targets in grant.targets.items():
            self._refill(host_id, targets)

    def _refill(self, host_id: int, targets: Sequence[Target]) -> None:
        held = self._held.get(host_id)
        if held is None:
            return
        if targets and targets[0].hops == "P":
            # the rules by which the rest was to be asked for are no longer known
            held.queue.clear()
        have = {target.id for target in held.queue} | held.settled | self._flying.keys()
        was_empty = not held.queue
        held.queue.extend(target for target in targets if target.id not in have)
        if was_empty:
            self._list(held)
