"""A worker process of a crawl: threads that visit, and a main thread that commits once a second.

The order of each beat is the commit protocol: records appended -> fsync -> one transaction in the
frontier. A worker that dies between two beats leaves a tail in its WARC that was never committed;
the next start cuts it off and fetches those targets again.
"""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event

from pipeline.archive.compose import Composer, Provenance
from pipeline.archive.member import Members, Record
from pipeline.archive.writer import OpenWarc
from pipeline.crawl.frontier.runs import Run
from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.share import Batch, Share
from pipeline.crawl.rules.robots import Robots
from pipeline.crawl.rules.scope import Scope
from pipeline.crawl.wire.adapter import WireAdapter
from pipeline.errors import HoldfastError, StorageError
from pipeline.model.layout import Layout
from pipeline.model.names import OPEN, Name
from pipeline.model.policy import CrawlPolicy, WarcPolicy
from pipeline.model.target import Outcome, Retry, RobotsAnswer, Target
from pipeline.model.url import origin, robots_url
from pipeline.stages.visit import Visit, Visitor

BEAT_S = 1.0
_HUNGRY_BEAT_S = 0.05
_WAITING_BEAT_S = 0.25
_MOST_THREADS = 16
_MEASURE_S = 0.3
_BUSY = 0.6
_MOST_RESULTS = 2000
_MOST_DISCOVERIES = 50_000
_MOST_BYTES = 8_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """All that a worker process is told when it starts."""

    layout: Layout
    run: Run
    number: int
    crawl: CrawlPolicy
    warc: WarcPolicy
    scope: Scope
    provenance: Provenance


def work(
    order: Order,
    stop: Event,
    lifeline: tuple[Connection, Connection],
    failures: SimpleQueue[HoldfastError],
) -> None:
    """Run as a process until the run is exhausted or `stop` is set.

    Args:
        order: what to do.
        stop: set by the supervisor: finish what is in flight, commit, end.
        lifeline: a pipe whose writing end only the supervisor keeps; when it closes, the supervisor
            is dead and this process ends at once, so that the archive's lock is free.
        failures: takes the error that ends this process early.

    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the supervisor decides
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    listen, keep = lifeline
    keep.close()
    threading.Thread(target=_end_with_supervisor, args=(listen,), daemon=True).start()
    try:
        Worker(order, stop).run()
    except OSError as error:
        where = error.filename or "the disk"
        failures.put(StorageError(f"{where}: {error.strerror}; make room, then crawl again"))
        raise SystemExit(StorageError.exit_code) from None
    except HoldfastError as error:
        failures.put(error)
        raise SystemExit(error.exit_code) from None
    except Exception:  # noqa: BLE001 the supervisor tells it to the operator; then the process ends
        failures.put(HoldfastError(f"a worker failed; please report it:\n{traceback.format_exc()}"))
        raise SystemExit(1) from None


def _end_with_supervisor(listen: Connection) -> None:
    try:
        listen.recv_bytes()
    except (EOFError, OSError):
        os._exit(1)


class Worker:
    """Visits targets with up to sixteen threads and keeps the archive's truth with one."""

    def __init__(self, order: Order, stop: Event, clock: Callable[[], float] = time.time) -> None:
        self._order = order
        self._stop = stop
        self._clock = clock
        self._adapter = WireAdapter(
            connect_timeout_s=order.crawl.connect_timeout_s,
            idle_timeout_s=order.crawl.idle_timeout_s,
            deadline_s=order.crawl.deadline_s,
            max_bytes=order.crawl.max_body_bytes,
            ca_bundle=order.crawl.ca_bundle or None,
            # /tmp may be memory
            spool_folder=order.layout.working,
        )
        self._visitor = Visitor(self._adapter, order.crawl, order.scope)
        self._share = Share(order.layout.frontier, order.run.id, order.number, origin, robots_url)
        self._lock = threading.Lock()
        self._targets = threading.Condition(self._lock)
        self._due = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._measured = 0.0, 0.0
        """When the threads were last counted, and the CPU seconds used until then."""
        # from here on: touched only under the lock
        self._schedule = Schedule()
        self._batch = Batch()
        self._robots: dict[int, Robots] = {}
        self._stopping = False
        self._exhausted = False
        self._broken: BaseException | None = None
        self._open_warc()

    def run(self) -> None:
        """Work until nothing is left, or until told to stop."""
        try:
            self._beat()
            while not self._finished():
                self._add_threads()
                self._wait()
                self._raise_broken()
                self._beat()
        finally:
            self._end_threads()
        # after an error the process ends, with threads that may still be waiting for a server
        self._warc.close()
        self._share.close()
        self._adapter.close()

    def _finished(self) -> bool:
        with self._lock:
            if self._stop.is_set():
                self._stopping = True
                self._targets.notify_all()
            return self._exhausted or (self._stopping and not self._schedule.hosts)

    def _raise_broken(self) -> None:
        """Raise what ended a thread; its visit must not be committed half."""
        if self._broken:
            raise self._broken

    def _wait(self) -> None:
        """Wait until a beat is due: a second is over, much has come in, or a host is hungry."""
        begun = self._clock()
        with self._lock:
            while not (self._stop.is_set() or self._broken):
                if self._schedule.hungry:
                    rest = _HUNGRY_BEAT_S if self._schedule.hosts else _WAITING_BEAT_S
                else:
                    rest = BEAT_S
                rest -= self._clock() - begun
                if rest <= 0 or self._is_full():
                    return
                self._due.wait(min(rest, _WAITING_BEAT_S))
        time.sleep(_HUNGRY_BEAT_S if self._stop.is_set() else 0)

    def _is_full(self) -> bool:
        batch = self._batch
        return (
            len(batch.outcomes) >= _MOST_RESULTS
            or len(batch.discoveries) >= _MOST_DISCOVERIES
            or batch.size >= _MOST_BYTES
            or self._warc.size >= self._order.warc.max_file_bytes
        )

    def _beat(self) -> None:
        """Commit what was done since the last beat and take in what comes next."""
        with self._lock:
            batch, self._batch = self._batch, Batch()
            wish = self._schedule.wish(stopping=self._stopping)
            warc, number, size = self._warc, self._warc_number, self._warc.size
            closed = []
            if size >= self._order.warc.max_file_bytes:
                closed.append(number)
                self._open_warc()
        if closed:
            warc.close()
        else:
            warc.sync()
        grant = self._share.beat(batch, (number, size), closed, wish, self._clock())
        with self._lock:
            self._schedule.grant(grant, wish)
            self._exhausted = grant.exhausted
            for host_id in (*grant.lost, *wish.released):
                self._robots.pop(host_id, None)
            for lease in grant.leases:
                if lease.robots is not None:
                    self._robots[lease.id] = Robots.parse(*lease.robots)
            self._targets.notify_all()

    def _add_threads(self) -> None:
        """Double the threads while the process waits more than it works.

        More of them only get into each other's way: all threads share one interpreter.
        """
        now, spent = time.monotonic(), time.process_time()
        if self._threads and now - self._measured[0] < _MEASURE_S:
            return
        busy = spent - self._measured[1] > _BUSY * (now - self._measured[0])
        self._measured = now, spent
        if busy and self._threads:
            return
        wanted = min(max(1, 2 * len(self._threads)), self._schedule.hosts, _MOST_THREADS)
        while len(self._threads) < wanted:
            thread = threading.Thread(target=self._visit_targets, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _end_threads(self) -> None:
        with self._lock:
            self._stopping = True
            self._targets.notify_all()
        for thread in self._threads:
            if not self._broken:
                thread.join()

    def _visit_targets(self) -> None:
        try:
            while (target := self._next()) is not None:
                with self._lock:
                    robots = self._robots.get(target.host_id)
                visit = self._visitor.visit(target, robots)
                try:
                    self._keep(target, visit)
                finally:
                    visit.close()
        except BaseException as error:  # noqa: BLE001 the main thread raises it again
            with self._lock:
                self._broken = error
                self._due.notify()

    def _next(self) -> Target | None:
        """Give a target that may be asked for now, waiting for one; None when told to stop."""
        with self._lock:
            while not (self._stopping or self._broken):
                now = self._clock()
                target = self._schedule.take(now)
                if target is not None:
                    return target
                if self._schedule.hungry:
                    self._due.notify()
                ready_at = self._schedule.next_at() or now
                # what is ready and was not given waits for a beat, too
                self._targets.wait(ready_at - now if ready_at > now else BEAT_S)
        return None

    def _keep(self, target: Target, visit: Visit) -> None:
        """Append a visit's records and note it for the next beat."""
        moment = self._clock()
        robots = Robots.parse(*visit.robots) if visit.robots else None
        while True:
            composer = self._composer
            records = visit.records(target, composer, datetime.fromtimestamp(moment, UTC))
            members = self._encode(records)
            with self._lock:
                if composer is self._composer:
                    offset = self._warc.append(members)
                    if robots:
                        self._robots[target.host_id] = robots
                    self._note(target, visit, moment, offset, members.size)
                    return
            # the file was changed meanwhile, and records must name the warcinfo of their own file
            members.close()

    def _encode(self, records: Sequence[Record]) -> Members:
        policy = self._order.warc
        return Members(records, policy.codec, policy.level, self._order.layout.working)

    def _note(self, target: Target, visit: Visit, moment: float, offset: int, length: int) -> None:
        batch = self._batch
        policy = self._order.crawl
        rest = 0.0 if visit.kind == "refused" else policy.delay_s
        if visit.kind is None:
            pause = policy.retry_delay_s * 2**target.attempt
            batch.retries.append(Retry(target=target, not_before=moment + pause))
        else:
            batch.outcomes.append(
                Outcome(
                    target=target,
                    kind=visit.kind,
                    at=moment,
                    reason=visit.absence[0] if visit.absence else "",
                    status=visit.status,
                    offset=offset,
                    length=length,
                    received=visit.received,
                )
            )
        if visit.robots:
            batch.robots.append(RobotsAnswer(target.host_id, *visit.robots))
        batch.discoveries.extend(visit.discoveries)
        batch.size += length
        self._schedule.finish(target, moment + rest)
        if self._schedule.hungry or self._is_full():
            self._due.notify()

    def _open_warc(self) -> None:
        """Begin the next WARC file; the caller holds the lock, or no thread runs yet."""
        now = datetime.fromtimestamp(self._clock(), UTC)
        run = self._order.run
        self._warc_number, name = self._share.reserve_warc(run.name, now.strftime("%Y%m%d%H%M%S"))
        path = self._order.layout.root / (Name(run.collection, name).warc + OPEN)
        filename = path.name.removesuffix(OPEN)
        self._composer = Composer(lambda: f"<{uuid.uuid4().urn}>")
        self._warc = OpenWarc(path)
        opening = self._composer.opening(filename, self._order.provenance, now)
        self._warc.append(self._encode(opening))
        self._warc.sync()
        self._share.opened_warc(self._warc_number, self._warc.size)
