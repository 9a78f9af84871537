"""The worker processes of one run: started, watched, replaced when they are killed, ended.

The supervisor's business; what a worker does is in `stages/worker.py`.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from multiprocessing import connection
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import SimpleQueue
from multiprocessing.synchronize import Event
from typing import Any

from pipeline.errors import HoldfastError, StorageError
from pipeline.stages.worker import Order, Worker

_MOST_RESTARTS = 5


class Crew:
    """The workers of one run.

    Args:
        size: how many there are.
        order: tells what the worker of a number is to do.

    """

    def __init__(self, size: int, order: Callable[[int], Order]) -> None:
        # fork shares what is imported already; elsewhere it is not safe and spawn is the rule
        self._context: Any = multiprocessing.get_context(
            "fork" if sys.platform == "linux" else "spawn"
        )
        self._order = order
        self._stop: Event = self._context.Event()
        self._lifeline: tuple[Connection, Connection] = self._context.Pipe(duplex=False)
        self._failures: SimpleQueue[HoldfastError] = self._context.SimpleQueue()
        self._restarts = 0
        # what is imported stays for good: no garbage collection, here or in a worker, need look
        gc.freeze()
        self._processes = {number: self._start(number) for number in range(size)}

    @property
    def is_at_work(self) -> bool:
        """Tell whether any worker has not ended."""
        return bool(self._processes)

    def wait(self, timeout_s: float) -> list[int]:
        """Wait until a worker ends, but not longer; give the numbers of those that were killed.

        Raises:
            HoldfastError: one ended with an error of its own, or too many were killed.

        """
        connection.wait([process.sentinel for process in self._processes.values()], timeout_s)
        ended = [n for n, process in self._processes.items() if process.exitcode is not None]
        killed = [n for n in ended if self._processes.pop(n).exitcode]
        for _ in killed:
            if not self._failures.empty():
                raise self._failures.get()
            self._restarts += 1
            if self._restarts > _MOST_RESTARTS:
                raise HoldfastError(
                    f"workers were killed {self._restarts} times (out of memory?); what was"
                    " committed is kept: run holdfast crawl again, perhaps with --workers 1"
                )
        return killed

    def replace(self, number: int) -> None:
        """Put another worker in the place of one that was killed; no database may be open."""
        self._processes[number] = self._start(number)

    def stop(self) -> None:
        """Ask all to finish what is in flight, commit and end."""
        self._stop.set()

    def kill(self) -> None:
        """End all at once: what is in flight is given up."""
        for process in self._processes.values():
            process.kill()

    def dismiss(self) -> None:
        """Wait until all have ended."""
        self.stop()
        for process in self._processes.values():
            process.join()
        for end in self._lifeline:
            end.close()

    def _start(self, number: int) -> BaseProcess:
        process: BaseProcess = self._context.Process(
            target=_work,
            args=(self._order(number), self._stop, self._lifeline, self._failures),
            daemon=True,
        )
        process.start()
        return process


def _work(
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
