"""New connections: the name looked up, its addresses checked, TCP, a proxy, TLS.

For the adapter. Which addresses may be reached is asked of each one before it is connected to, and
again of the one that has been connected to, so no answer of a name server can lead elsewhere.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from msgspec import Struct

from pipeline.crawl.rules.addresses import Admission
from pipeline.crawl.rules.proxy import Proxy
from pipeline.crawl.wire.connection import Connection, Origin
from pipeline.crawl.wire.lookup import Address, Resolver, literal
from pipeline.crawl.wire.tls import Demand, Trust, describe, protect
from pipeline.crawl.wire.tunnel import open_tunnel
from pipeline.model.exchange import Failed

TlsPolicy = Literal["strict", "record"]


class Dialer(Struct, frozen=True, kw_only=True):
    """Opens connections as an adapter is told to. Thread-safe.

    Attributes:
        timeout_s: for the look-up of the name, for TCP (all addresses together), for the way
            through a proxy, and for TLS, each.
        tls: `record` tries again, less strictly, where strict TLS fails.
        admission: which addresses may be reached; None for all. A proxy may stand anywhere. Where
            it looks names up itself, only hosts that are addresses or `localhost` can be checked.
        monotonic: gives seconds that never go back.

    """

    timeout_s: float
    trust: Trust
    tls: TlsPolicy
    admission: Admission | None
    proxy: Proxy | None
    resolver: Resolver
    monotonic: Callable[[], float]

    def dial(self, origin: Origin) -> Connection | Failed:
        """Open a connection to `origin`, protected by TLS if its scheme is https."""
        if origin.scheme == "https":
            return self._dial_protected(origin)
        reached = self._reach(origin)
        if isinstance(reached, Failed):
            return reached
        return Connection(origin, *reached)

    def _dial_protected(self, origin: Origin) -> Connection | Failed:
        """Connect strictly; then, if the policy allows it, as far as it takes, telling why."""
        demand: Demand = "strict"
        protocol = certificate = ""
        while True:
            reached = self._reach(origin)
            if isinstance(reached, Failed):
                return reached
            context = self.trust.context(demand)
            sock = protect(reached.sock, str(origin), origin.host, context, self.timeout_s)
            if isinstance(sock, ssl.SSLSocket):
                return Connection(origin, sock, reached.ip, describe(sock, protocol, certificate))
            if self.tls == "strict" or sock.failure.reason != "tls":
                return sock.failure
            if sock.by_certificate:
                demand, certificate = "blind", sock.words
            elif demand == "strict":
                demand, protocol = "lenient", sock.words
            else:
                return sock.failure

    def _reach(self, origin: Origin) -> _Reached | Failed:
        """Open a TCP connection that leads to `origin`, through the proxy if there is one."""
        if self.proxy is not None:
            return self._reach_through(self.proxy, origin)
        addresses = self._admitted(origin.host)
        if isinstance(addresses, Failed):
            return addresses
        reached = self._connect(addresses, origin.port, str(origin))
        if isinstance(reached, Failed) or self.admission is None:
            return reached
        refusal = self.admission.refusal(reached.ip)
        if refusal is not None:
            reached.sock.close()
            return Failed("address", refusal)
        return reached

    def _reach_through(self, proxy: Proxy, origin: Origin) -> _Reached | Failed:
        ip = None
        if not proxy.resolves_names:
            addresses = self._admitted(origin.host)
            if isinstance(addresses, Failed):
                return addresses
            ip = addresses[0].ip
            if proxy.scheme == "socks4":
                ip = next((each.ip for each in addresses if ":" not in each.ip), ip)
        elif refusal := self.admission and self.admission.refusal_of_host(origin.host):
            return Failed("address", refusal)
        sock = self._connect_to(proxy)
        if isinstance(sock, Failed):
            return sock
        if proxy.scheme == "http" and origin.scheme == "http":
            return _Reached(sock, "")
        failed = open_tunnel(sock, proxy, origin, ip, self.timeout_s, self.monotonic)
        if failed is not None:
            sock.close()
            return failed
        return _Reached(sock, "")

    def _connect_to(self, proxy: Proxy) -> socket.socket | Failed:
        addresses = self._addresses(proxy.host)
        if not isinstance(addresses, Failed):
            reached = self._connect(addresses, proxy.port, "the proxy")
            if not isinstance(reached, Failed):
                return reached.sock
        # the reason would tell where the proxy stands, and failures are recorded
        return Failed("proxy", "no connection to the proxy")

    def _addresses(self, host: str) -> tuple[Address, ...] | Failed:
        address = literal(host)
        return (address,) if address else self.resolver.look_up(host, self.timeout_s)

    def _admitted(self, host: str) -> Sequence[Address] | Failed:
        """Give the addresses of `host` that may be reached, at least one."""
        addresses = self._addresses(host)
        if isinstance(addresses, Failed) or self.admission is None:
            return addresses
        refusals = {address: self.admission.refusal(address.ip) for address in addresses}
        admitted = [address for address, refusal in refusals.items() if refusal is None]
        if admitted:
            return admitted
        refusal = refusals[addresses[0]] or ""
        return Failed("address", refusal if addresses[0].ip == host else f"{host}: {refusal}")

    def _connect(self, addresses: Sequence[Address], port: int, peer: str) -> _Reached | Failed:
        """Try the addresses in turn, each for its share of the time that is left."""
        give_up_at = self.monotonic() + self.timeout_s
        failed = Failed("timeout", f"no connection to {peer} in {self.timeout_s:g} s")
        for number, address in enumerate(addresses):
            left_s = give_up_at - self.monotonic()
            if left_s <= 0:
                break
            try:
                return _open(address, port, left_s / (len(addresses) - number))
            except TimeoutError:
                continue
            except OSError as error:
                failed = _not_connected(peer, error)
        return failed


class _Reached(NamedTuple):
    """An open way to an origin; `ip` is empty where a proxy hides its address."""

    sock: socket.socket
    ip: str


def _open(address: Address, port: int, timeout_s: float) -> _Reached:
    """Open a TCP connection.

    Raises:
        OSError: there is none.

    """
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(timeout_s)
        sock.connect(address.sockaddr(port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer: str = sock.getpeername()[0]
    except BaseException:
        sock.close()
        raise
    return _Reached(sock, peer.partition("%")[0])


def _not_connected(peer: str, error: OSError) -> Failed:
    if isinstance(error, ConnectionRefusedError):
        return Failed("connect", f"connection refused by {peer}")
    reason = (error.strerror or "the system gives no reason").lower()
    return Failed("connect", f"no connection to {peer}: {reason}")
