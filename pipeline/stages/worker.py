"""A worker process of a crawl: threads that visit, and a main thread that commits once a second.

The order of each beat is the commit protocol: records appended -> fsync -> one transaction in the
frontier. A worker that dies between two beats leaves a tail in its WARC that was never committed;
the next start cuts it off and fetches those targets again.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from multiprocessing.synchronize import Event

from msgspec import Struct

from pipeline.archive.compose import Composer
from pipeline.archive.member import Members, Record
from pipeline.crawl.frontier.catalogue import Catalogue, Known
from pipeline.crawl.frontier.runs import Run
from pipeline.crawl.frontier.schedule import Schedule
from pipeline.crawl.frontier.share import Batch, Grant, Share, Wish
from pipeline.crawl.rules import politeness, secrets
from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.rules.politeness import Rest
from pipeline.crawl.rules.robots import Robots, good_until
from pipeline.crawl.wire.adapter import WireAdapter
from pipeline.crawl.wire.reception import Limits
from pipeline.errors import ConfigError
from pipeline.model.http import Head
from pipeline.model.layout import Layout
from pipeline.model.target import Outcome, Retry, RobotsAnswer, Target
from pipeline.model.url import origin, robots_url
from pipeline.stages.hosts import Host
from pipeline.stages.memory import Memory
from pipeline.stages.recall import payload_of
from pipeline.stages.recording import Recorder
from pipeline.stages.rules import Rules, RulesWatch
from pipeline.stages.visit import Visit
from pipeline.stages.visitor import MOST_LINK_BYTES, Visitor

BEAT_S = 1.0
_HUNGRY_BEAT_S = 0.05
_WAITING_BEAT_S = 0.25
_STOPPING_BEAT_S = 0.05
_LOOK_S = 0.1
_MOST_THREADS = 16
_MEASURE_S = 0.1
_BUSY = 0.6
_MOST_RESULTS = 2000
_MOST_DISCOVERIES = 50_000
_MOST_BYTES = 8_000_000
_MOST_DOUBLINGS = 32


class Order(Struct, frozen=True, kw_only=True):
    """All that a worker process is told when it starts."""

    layout: Layout
    run: Run
    number: int
    rules: Rules


class Worker:
    """Visits targets with up to sixteen threads and keeps the archive's truth with one."""

    def __init__(self, order: Order, stop: Event, clock: Callable[[], float] = time.time) -> None:
        self._order = order
        self._stop = stop
        self._clock = clock
        rules = order.rules
        self._secrets = secrets.load(order.layout.root, rules.collection.secrets, os.environ)
        self._adapter = _adapter(order, self._secrets)
        catalogue = Catalogue(order.layout.catalogue, order.run.collection)
        self._memory = Memory(catalogue, enabled=rules.policy.revisits)
        self._share = Share(
            order.layout.frontier,
            order.run.id,
            order.number,
            origin,
            robots_url,
            canonical=rules.collection.scope.canonical,
            limits=rules.collection.limits,
        )
        self._watch = RulesWatch(order.layout, rules)
        self._lock = threading.Lock()
        self._targets = threading.Condition(self._lock)
        self._due = threading.Condition(self._lock)
        self._threads: list[threading.Thread] = []
        self._measured = 0.0, 0.0
        """When the threads were last counted, and the CPU seconds used until then."""
        self._waits = 0
        """How many waits in a row were only for other workers, or for the last answers."""
        # from here on: touched only under the lock
        self._rules = rules
        self._visitor = self._new_visitor(rules)
        self._schedule = Schedule(rules.policy.in_flight)
        self._batch = Batch()
        self._hosts: dict[int, Host] = {}
        self._stopping = False
        self._exhausted = False
        self._broken: BaseException | None = None
        self._recorder = Recorder(order.layout, order.run, self._share, rules.config.warc)
        self._recorder.begin(rules.provenance(order.run), clock())

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
        self._raise_broken()
        self._beat()
        self._recorder.warc.close()
        self._share.beat(
            Batch(),
            (self._recorder.number, self._recorder.warc.size),
            [self._recorder.number],
            self._schedule.wish(stopping=True),
            self._clock(),
        )
        self._share.close()
        self._memory.close()
        self._adapter.close()

    def _new_visitor(self, rules: Rules) -> Visitor:
        return Visitor(self._adapter, rules, self._secrets, self._memory, self._recall)

    def _recall(self, known: Known) -> tuple[Head, bytes] | None:
        return payload_of(self._order.layout, known, MOST_LINK_BYTES)

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
            is_idle = self._stopping or not self._schedule.hosts
            self._waits = self._waits + 1 if is_idle else 0
            while not self._broken:
                rest = self._pause() - (self._clock() - begun)
                is_told = self._stop.is_set() and not self._stopping
                if rest <= 0 or is_told or self._is_full():
                    return
                self._due.wait(min(rest, _LOOK_S))
                if not self._stopping:
                    self._add_threads()

    def _pause(self) -> float:
        """Give the seconds between two beats; more each time where the last ones were for nothing.

        A host that will be due soon may be leased earlier than that (see `Leases.take`).
        """
        if self._stopping:
            is_news = self._batch.outcomes or self._batch.retries
            return _STOPPING_BEAT_S if is_news else min(_STOPPING_BEAT_S * self._waits, BEAT_S)
        if not self._schedule.hosts:
            return min(_WAITING_BEAT_S * self._waits, BEAT_S)
        return _HUNGRY_BEAT_S if self._schedule.hungry else BEAT_S

    def _is_full(self) -> bool:
        batch = self._batch
        return (
            len(batch.outcomes) >= _MOST_RESULTS
            or len(batch.discoveries) + len(batch.declined) >= _MOST_DISCOVERIES
            or batch.size >= _MOST_BYTES
            or self._recorder.is_full
        )

    def _beat(self) -> None:
        """Commit what was done since the last beat and take in what comes next."""
        changed = self._changed_rules()
        with self._lock:
            batch, self._batch = self._batch, Batch()
            entries = self._memory.take()
            wish = self._schedule.wish(stopping=self._stopping)
            warc, number, size = (
                self._recorder.warc,
                self._recorder.number,
                self._recorder.warc.size,
            )
            closed = []
            if changed:
                self._rules = changed
                self._visitor = self._new_visitor(changed)
                self._share.go_by(changed.collection.scope.canonical, changed.collection.limits)
            if changed or self._recorder.is_full:
                closed.append(number)
                self._recorder.begin(self._rules.provenance(self._order.run), self._clock())
        if closed:
            warc.close()
        else:
            warc.sync()
        grant = self._share.beat(batch, (number, size), closed, wish, self._clock())
        self._memory.enter(entries)
        self._take_in(grant, wish)

    def _changed_rules(self) -> Rules | None:
        try:
            return self._watch.changed()
        except ConfigError:
            return None  # the supervisor tells the operator; the old rules hold

    def _take_in(self, grant: Grant, wish: Wish) -> None:
        with self._lock:
            self._schedule.grant(grant, wish)
            self._exhausted = grant.exhausted
            for host_id in (*grant.lost, *wish.released):
                self._hosts.pop(host_id, None)
            for lease in grant.leases:
                self._hosts[lease.id] = Host.of(lease)
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
        at_once = self._schedule.hosts * self._rules.policy.in_flight
        wanted = min(max(1, 2 * len(self._threads)), at_once, _MOST_THREADS)
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
            while (given := self._next()) is not None:
                target, host, visitor = given
                visit = visitor.visit(target, host, self._clock())
                try:
                    self._keep(target, host, visit)
                finally:
                    visit.close()
        except BaseException as error:  # noqa: BLE001 the main thread raises it again
            with self._lock:
                self._broken = error
                self._due.notify()

    def _next(self) -> tuple[Target, Host, Visitor] | None:
        """Give a target that may be asked for now, waiting for one; None when told to stop.

        With its host and who visits it, because a beat may change both as soon as the lock is free.
        """
        with self._lock:
            while not (self._stopping or self._broken):
                now = self._clock()
                target = self._schedule.take(now)
                if target is not None:
                    return target, self._hosts[target.host_id], self._visitor
                if self._schedule.hungry:
                    self._due.notify()
                ready_at = self._schedule.next_at() or now
                # what is ready and was not given waits for a beat, too
                self._targets.wait(ready_at - now if ready_at > now else BEAT_S)
        return None

    def _keep(self, target: Target, host: Host, visit: Visit) -> None:
        """Append a visit's records and note it for the next beat."""
        moment = self._clock()
        date = datetime.fromtimestamp(moment, UTC)
        robots = Robots.parse(*visit.robots) if visit.robots else None
        records: Sequence[Record] = ()

        def compose(composer: Composer) -> Sequence[Record]:
            nonlocal records
            records = visit.records(target, composer, date)
            return records

        def then(offset: int, members: Members) -> None:
            starts = [offset + start for start in members.starts]
            entry = visit.entry(records, self._recorder.name, starts)
            if entry:
                self._memory.note(entry)
            if robots:
                host.robots = robots
            self._note(target, host, visit, moment, offset, members.size)

        self._recorder.append(compose, self._lock, then)

    def _note(
        self, target: Target, host: Host, visit: Visit, moment: float, offset: int, length: int
    ) -> None:
        batch = self._batch
        policy = self._rules.policy
        if visit.kind is None:
            doublings = min(target.attempt, _MOST_DOUBLINGS)
            pause = min(policy.retry_delay_s * 2**doublings, policy.max_wait_s)
            batch.retries.append(
                Retry(target=target, not_before=moment + pause, received=visit.received)
            )
        else:
            batch.outcomes.append(
                Outcome(
                    target=target,
                    kind=visit.kind,
                    at=moment,
                    reason=visit.absence[0] if visit.absence else "",
                    status=visit.status,
                    mime=visit.mime,
                    change=visit.change,
                    offset=offset,
                    length=length,
                    received=visit.received,
                    duration_ms=visit.last.duration_ms if visit.last else 0,
                )
            )
        if policy.cookies and visit.sets_cookies:
            batch.cookies.append((target.host_id, host.jar.dump()))
        batch.discoveries.extend(visit.ways.discoveries)
        batch.declined.extend(visit.ways.declined)
        batch.size += length
        rest = self._rest(target, host, visit, moment)
        if visit.robots:
            until = good_until(moment, rest.seconds)
            batch.robots.append(RobotsAnswer(target.host_id, *visit.robots, until))
        if self._schedule.hungry or self._is_full():
            self._due.notify()

    def _rest(self, target: Target, host: Host, visit: Visit, moment: float) -> Rest:
        """Let the host rest as its answers ask for; set it aside when it only fails."""
        policy = self._rules.policy
        failed = visit.is_failure
        failures = self._schedule.failures(target.host_id) + 1 if failed else 0
        rest = politeness.NO_REST
        if failed is not None:
            rest = politeness.rest(
                policy,
                host.crawl_delay(policy.user_agent),
                visit.status,
                visit.retry_after(moment),
                visit.last.duration_ms / 1000 if visit.last else 0.0,
                failures,
            )
        self._schedule.finish(target, moment, rest, failed=failed, received=visit.received)
        if failures >= policy.host_failures:
            reason = visit.absence[1] if visit.absence else f"it answered {visit.status}"
            self._batch.set_aside.append(
                (target.host_id, f"{failures} failures in a row, the last: {reason}")
            )
        return rest


def _adapter(order: Order, given: secrets.Secrets) -> WireAdapter:
    policy, seeds = order.rules.policy, order.rules.collection.seeds
    return WireAdapter(
        Limits(
            connect_timeout_s=policy.connect_timeout_s,
            idle_timeout_s=policy.idle_timeout_s,
            deadline_s=policy.deadline_s,
            max_bytes=policy.max_body_bytes,
        ),
        ca_bundle=policy.ca_bundle or None,
        # /tmp may be memory
        spool_folder=order.layout.working,
        admission=Admission.of((seed.url for seed in seeds), policy.allow_addresses),
        proxy=given.proxy,
        tls=policy.tls,
        max_idle_per_origin=policy.in_flight,
    )
