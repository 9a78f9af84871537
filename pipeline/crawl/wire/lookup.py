"""Names looked up within a time limit, and remembered for a minute.

For the dialer. The system's resolver cannot be interrupted, so each look-up runs in a thread of its
own, which nobody waits for longer than the limit. Numeric addresses never come here.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Final, NamedTuple

from pipeline.model.exchange import Failed

KEEP_S: Final = 60.0
"""How long the addresses of a name hold."""

MAX_HANGING: Final = 8
"""Look-ups given up and not ended; while there are as many, none is begun."""

_MAX_NAMES = 1024


class Address(NamedTuple):
    """Where a name leads: `family` and the first member of `sockaddr` as `socket` has them."""

    family: int
    ip: str
    scope_id: int = 0

    def sockaddr(self, port: int) -> tuple[str, int] | tuple[str, int, int, int]:
        """Give what `socket.connect` takes."""
        if self.family == socket.AF_INET6:
            return self.ip, port, 0, self.scope_id
        return self.ip, port


class _Query:
    """One look-up under way; `answer` is there when `done` is set."""

    __slots__ = ("answer", "done", "hanging")

    def __init__(self) -> None:
        self.done = threading.Event()
        self.answer: tuple[Address, ...] | Failed | None = None
        self.hanging = False


class Resolver:
    """Looks names up. Thread-safe; who asks for the same name at once shares one look-up."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Use `monotonic`, which gives seconds that never go back."""
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._known: dict[str, tuple[float, tuple[Address, ...]]] = {}
        self._queries: dict[str, _Query] = {}

    def look_up(self, name: str, timeout_s: float) -> tuple[Address, ...] | Failed:
        """Give the addresses of `name` in the system's order, at least one; failures are `dns`."""
        now = self._monotonic()
        with self._lock:
            until, addresses = self._known.get(name, (now, ()))
            if now < until:
                return addresses
            query = self._queries.get(name)
            if query is None:
                if sum(each.hanging for each in self._queries.values()) >= MAX_HANGING:
                    detail = f"no address for {name}: {MAX_HANGING} look-ups hang already"
                    return Failed("dns", detail)
                query = self._queries[name] = _Query()
                threading.Thread(
                    target=self._work, args=(name, query), name=f"look-up of {name}", daemon=True
                ).start()
        if not query.done.wait(timeout_s):
            query.hanging = True
            return Failed("dns", f"no address for {name} in {timeout_s:g} s")
        assert query.answer is not None
        return query.answer

    def _work(self, name: str, query: _Query) -> None:
        answer = _resolve(name)
        with self._lock:
            del self._queries[name]
            if not isinstance(answer, Failed):
                self._known.pop(name, None)
                self._known[name] = (self._monotonic() + KEEP_S, answer)
                if len(self._known) > _MAX_NAMES:
                    del self._known[next(iter(self._known))]
        query.answer = answer
        query.done.set()


def literal(host: str) -> Address | None:
    """Give the address that `host` is, or None if it is a name."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    if family == socket.AF_INET and not host[-1:].isdigit():
        return None
    try:
        socket.inet_pton(family, host)
    except (OSError, ValueError):
        return None
    return Address(family, host)


def _resolve(name: str) -> tuple[Address, ...] | Failed:
    try:
        found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        reason = (error.strerror or "the look-up failed").lower()
        return Failed("dns", f"no address for {name}: {reason}")
    except (UnicodeError, ValueError):
        return Failed("dns", f"no address for {name}: not a host name")
    except OSError as error:
        reason = (error.strerror or "the look-up failed").lower()
        return Failed("dns", f"no address for {name}: {reason}")
    addresses = []
    for family, _, _, _, sockaddr in found:
        if family in (socket.AF_INET, socket.AF_INET6):
            scope_id = int(sockaddr[3]) if len(sockaddr) == 4 else 0
            addresses.append(Address(family, str(sockaddr[0]).partition("%")[0], scope_id))
    return tuple(dict.fromkeys(addresses)) or Failed("dns", f"no address for {name}")
