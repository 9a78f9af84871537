"""Which of the hosts that a worker holds may be asked next, and when. Pure: time is passed in.

One request in flight per host, then a rest of the host's delay counted from the end of the answer.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from pipeline.crawl.frontier.share import Grant, HostLease, Wish
from pipeline.model.target import Target

# the longest time between two beats that still leaves the lease to us
_MARGIN_S = 2.0
# targets queued for a host, at least; twice what it took since the last beat if that is more
_QUEUE = 100


@dataclass(slots=True)
class HeldHost:
    """A host leased by this worker: mutable, touched only under the worker's lock."""

    lease: HostLease
    next_at: float
    queue: deque[Target] = field(default_factory=deque)
    in_flight: Target | None = None
    settled: set[int] = field(default_factory=set)
    """Ids answered since the last beat: the database still lists them."""
    asked: int = 0
    """Targets taken since the last beat."""

    @property
    def is_dry(self) -> bool:
        """Tell whether the last beat brought nothing and nothing is waiting to be settled."""
        return not self.queue and not self.settled and not self.asked


class Schedule:
    """The hosts that a worker holds, ordered by when they may be asked."""

    def __init__(self) -> None:
        self._held: dict[int, HeldHost] = {}
        self._ready: list[tuple[float, int]] = []
        self._until = 0.0

    def take(self, now: float) -> Target | None:
        """Give a target whose host may be asked now, and mark the host as busy."""
        if now > self._until - _MARGIN_S:
            return None
        while self._ready and self._ready[0][0] <= now:
            _, host_id = heapq.heappop(self._ready)
            held = self._held.get(host_id)
            if held and held.queue and not held.in_flight:
                held.in_flight = held.queue.popleft()
                held.asked += 1
                return held.in_flight
        return None

    def next_at(self) -> float | None:
        """Give the moment at which `take` may have something, None if only a beat can bring it."""
        return self._ready[0][0] if self._ready else None

    def finish(self, target: Target, next_at: float) -> None:
        """Note that a target was answered; its host rests until `next_at`."""
        held = self._held.get(target.host_id)
        if held is None or held.in_flight is not target:
            return  # the lease was lost meanwhile
        held.in_flight = None
        held.settled.add(target.id)
        held.next_at = next_at
        if held.queue:
            heapq.heappush(self._ready, (next_at, target.host_id))

    @property
    def hosts(self) -> int:
        """How many hosts are held."""
        return len(self._held)

    @property
    def hungry(self) -> bool:
        """Tell whether some host has nothing queued and nothing in flight, or none is held."""
        return not self._held or any(
            not held.queue and not held.in_flight for held in self._held.values()
        )

    def wish(self, *, stopping: bool) -> Wish:
        """Say what is held and wanted, and count anew: the beat that follows settles the rest."""
        released: dict[int, float] = {}
        wanted: dict[int, int] = {}
        for host_id, held in self._held.items():
            most = max(2 * held.asked, _QUEUE)
            if not held.in_flight and (stopping or held.is_dry):
                released[host_id] = held.next_at
            elif not stopping and len(held.queue) < most / 2:
                # what is queued or in flight is still listed in the database
                wanted[host_id] = most + len(held.queue) + 1
            held.asked = 0
            held.settled.clear()
        epochs = {host_id: held.lease.epoch for host_id, held in self._held.items()}
        return Wish(held=epochs, wanted=wanted, released=released, more=not stopping)

    def grant(self, grant: Grant, wish: Wish) -> None:
        """Take in what the frontier gave."""
        self._until = grant.until
        for host_id in (*grant.lost, *wish.released):
            self._held.pop(host_id, None)
        for lease in grant.leases:
            self._held[lease.id] = HeldHost(lease, lease.next_at)
        for host_id, targets in grant.targets.items():
            self._refill(host_id, targets)

    def _refill(self, host_id: int, targets: Iterable[Target]) -> None:
        held = self._held.get(host_id)
        if held is None:
            return
        have = {target.id for target in held.queue} | held.settled
        if held.in_flight:
            have.add(held.in_flight.id)
        was_empty = not held.queue
        held.queue.extend(target for target in targets if target.id not in have)
        if was_empty and held.queue and not held.in_flight:
            heapq.heappush(self._ready, (held.next_at, host_id))
