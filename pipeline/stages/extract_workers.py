"""Worker processes that make documents: in order, bounded in memory, and expendable.

A page may crash the C code that reads it or keep it busy for ever. Each document is made under a
limit of CPU time in a process of its own kind; a process that dies costs that one document.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import os
import resource
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import BrokenExecutor, Future, ProcessPoolExecutor
from typing import Any

from msgspec import Struct

from pipeline.extract.extractor import Skipped, extract, unread
from pipeline.extract.policy import ExtractPolicy
from pipeline.extract.source import Source
from pipeline.model import canonical
from pipeline.model.document import MAX_LINE, Anomaly, Document

_AHEAD_PER_WORKER = 3


class Line(Struct, frozen=True):
    """A document as its canonical JSON line, and the codes of its anomalies."""

    data: bytes
    anomalies: tuple[str, ...]


Made = Line | Skipped


class Workers:
    """A pool of processes; use it as a context.

    Args:
        policy: handed to every worker.
        count: number of processes.

    """

    def __init__(self, policy: ExtractPolicy, count: int) -> None:
        self._policy = policy
        self._count = count
        # Threads of a display make fork unsafe; the fork server has none and loads libraries once.
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["pipeline.extract.extractor"])
        self._pool = self._new_pool(count)

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def make(self, sources: Iterable[Source | Skipped]) -> Iterator[Made]:
        """Make one document of each source, in their order; what is skipped passes through."""
        waiting: deque[tuple[Source, Future[Made]] | Skipped] = deque()
        for source in sources:
            waiting.append(
                source if isinstance(source, Skipped) else (source, self._submit(source))
            )
            if len(waiting) > self._count * _AHEAD_PER_WORKER:
                yield self._result(waiting.popleft())
        while waiting:
            yield self._result(waiting.popleft())

    def _submit(self, source: Source) -> Future[Made]:
        try:
            return self._pool.submit(_make, source, self._policy)
        except BrokenExecutor:
            self._pool.shutdown()
            self._pool = self._new_pool(self._count)
            return self._pool.submit(_make, source, self._policy)

    def _result(self, task: tuple[Source, Future[Made]] | Skipped) -> Made:
        if isinstance(task, Skipped):
            return task
        source, future = task
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            # this page or one beside it killed a worker: only alone can that be told
            with self._new_pool(1) as pool:
                future = pool.submit(_make, source, self._policy)
                error = future.exception()
        if error is None:
            return future.result()
        if isinstance(error, BrokenExecutor):
            anomaly = Anomaly(code="worker-died", detail="the process that read the page was ended")
        else:
            anomaly = Anomaly(code="extraction-failed", detail=type(error).__name__)
        return _line(unread(source, self._policy, anomaly))

    def _new_pool(self, count: int) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(count, mp_context=self._context, initializer=_prepare)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, end with it, and leave libraries' complaints unsaid."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    for name in ("trafilatura", "htmldate", "courlan", "justext", "readability"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _end_with_parent() -> None:
    """End this process when its parent is gone, however that was killed: no work comes any more."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _make(source: Source, policy: ExtractPolicy) -> Made:
    _allow_cpu(policy.max_cpu_s)
    made = extract(source, policy)
    if isinstance(made, Skipped):
        return made
    line = _line(made)
    if len(line.data) <= MAX_LINE:
        return line
    detail = f"{len(line.data)} bytes as a line of JSON; at most {MAX_LINE} are written"
    return _line(unread(source, policy, Anomaly(code="document-too-large", detail=detail)))


def _allow_cpu(seconds: int) -> None:
    """Let the kernel end this process (SIGXCPU) when it has used `seconds` more of CPU time."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = math.ceil(used.ru_utime + used.ru_stime) + seconds
    hard: Any = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (soft, hard))


def _line(document: Document) -> Line:
    codes = tuple(anomaly.code for anomaly in document.anomalies)
    return Line(canonical.line(document.as_json()), codes)
