"""A way through a proxy: asked for on an open connection to it, in HTTP or SOCKS.

For the dialer. What is said here is never recorded: it belongs to the operator's network, not to
the web. For the same reason no message names the proxy. HTTP tunnels are RFC 9110 §9.3.6, SOCKS 5
is RFC 1928 with RFC 1929, SOCKS 4 and 4a are as their authors wrote them down.
"""

from __future__ import annotations

import socket
from collections.abc import Callable

from pipeline.crawl.rules.proxy import Proxy
from pipeline.crawl.wire.connection import Origin
from pipeline.model.exchange import Failed, FailureReason
from pipeline.model.http import HeadScanner
from pipeline.model.wording import printable

_MAX_HEAD = 16_384
_MAX_REASON = 100

_NO_LOGIN, _PASSWORD, _NONE_WILL_DO = 0x00, 0x02, 0xFF
_CONNECT = 0x01
_IPV4, _NAME, _IPV6 = 0x01, 0x03, 0x04
_ADDRESS_BYTES = {_IPV4: 4, _IPV6: 16}
_REPLIES_5 = {
    0x01: "it failed",
    0x02: "its rules forbid it",
    0x03: "the network is unreachable",
    0x04: "the host is unreachable",
    0x05: "the connection was refused",
    0x06: "the time to live expired",
    0x07: "it does not know the command",
    0x08: "it does not know the kind of address",
}
_ORIGIN_IS_OUT_OF_REACH = (0x03, 0x04, 0x05, 0x06)
_GRANTED_4 = 90


class _RefusedError(Exception):
    """The proxy does not do what it is asked for."""

    def __init__(self, failure: Failed) -> None:
        super().__init__(failure.detail)
        self.failure = failure


class _Talk:
    """A conversation with the proxy that ends at a moment."""

    def __init__(
        self, sock: socket.socket, give_up_at: float, monotonic: Callable[[], float]
    ) -> None:
        self._sock = sock
        self._give_up_at = give_up_at
        self._monotonic = monotonic

    def say(self, data: bytes) -> None:
        self._set_timeout()
        self._sock.sendall(data)

    def hear(self, size: int) -> bytes:
        """Read exactly `size` bytes."""
        data = b""
        while len(data) < size:
            data += self.hear_some(size - len(data))
        return data

    def hear_some(self, size: int) -> bytes:
        self._set_timeout()
        piece = self._sock.recv(size)
        if not piece:
            raise _RefusedError(Failed("proxy", "the proxy hung up"))
        return piece

    def _set_timeout(self) -> None:
        left_s = self._give_up_at - self._monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)


def open_tunnel(
    sock: socket.socket,
    proxy: Proxy,
    origin: Origin,
    ip: str | None,
    timeout_s: float,
    monotonic: Callable[[], float],
) -> Failed | None:
    """Ask the proxy at the other end of `sock` for a way to `origin`; None when it is open.

    Args:
        sock: connected to the proxy; stays open also if this fails.
        proxy: what it speaks, and who we are to it.
        origin: where to.
        ip: the address to go to, None to let the proxy look the name up.
        timeout_s: for the whole conversation.
        monotonic: gives seconds that never go back.

    """
    talk = _Talk(sock, monotonic() + timeout_s, monotonic)
    try:
        if proxy.scheme == "http":
            _http(talk, proxy, origin)
        elif proxy.scheme in ("socks5", "socks5h"):
            _socks5(talk, proxy, origin, ip)
        else:
            _socks4(talk, proxy, origin, ip)
    except _RefusedError as refusal:
        return refusal.failure
    except TimeoutError:
        return Failed("timeout", f"no way through the proxy to {origin} in {timeout_s:g} s")
    except OSError as error:
        return _refused(origin, (error.strerror or "the connection broke").lower())
    return None


def _http(talk: _Talk, proxy: Proxy, origin: Origin) -> None:
    authority = str(origin)
    lines = [f"CONNECT {authority} HTTP/1.1", f"Host: {authority}"]
    if login := proxy.authorization:
        lines.append(f"Proxy-Authorization: {login}")
    talk.say("".join(f"{line}\r\n" for line in [*lines, ""]).encode("ascii"))
    scanner, answer = HeadScanner(), b""
    while (head := scanner.scan(answer)) is None:
        if scanner.hopeless or len(answer) >= _MAX_HEAD:
            raise _RefusedError(_refused(origin, "its answer is no HTTP"))
        answer += talk.hear_some(_MAX_HEAD - len(answer))
    if head.status == 407:
        raise _RefusedError(asks_for_login())
    if not 200 <= head.status < 300:
        reason = printable(head.reason.decode("latin-1"))[:_MAX_REASON]
        raise _RefusedError(_refused(origin, f"{head.status} {reason}".strip()))
    if len(answer) > head.end:
        raise _RefusedError(_refused(origin, "it speaks before it is asked"))


def asks_for_login() -> Failed:
    """Say what a proxy's answer 407 means (RFC 9110 §15.5.8)."""
    return Failed("proxy", "the proxy asks for a user and password, or for others")


def _socks5(talk: _Talk, proxy: Proxy, origin: Origin, ip: str | None) -> None:
    login = bool(proxy.user or proxy.password)
    talk.say(bytes([5, 2, _NO_LOGIN, _PASSWORD]) if login else bytes([5, 1, _NO_LOGIN]))
    version, method = talk.hear(2)
    if version != 5:
        raise _RefusedError(_refused(origin, "it does not speak SOCKS 5"))
    if method == _PASSWORD and login:
        talk.say(b"\x01" + _counted(proxy.user) + _counted(proxy.password))
        if talk.hear(2)[1] != 0:
            raise _RefusedError(asks_for_login())
    elif method != _NO_LOGIN:
        raise _RefusedError(asks_for_login())
    talk.say(bytes([5, _CONNECT, 0]) + _address(origin, ip) + origin.port.to_bytes(2, "big"))
    version, reply, _, kind = talk.hear(4)
    if version != 5 or reply != 0:
        words = _REPLIES_5.get(reply, f"reply {reply}")
        out_of_reach = version == 5 and reply in _ORIGIN_IS_OUT_OF_REACH
        raise _RefusedError(_refused(origin, words, origin_is_to_blame=out_of_reach))
    size = talk.hear(1)[0] if kind == _NAME else _ADDRESS_BYTES.get(kind)
    if size is None:
        raise _RefusedError(_refused(origin, "its answer is no SOCKS"))
    talk.hear(size + 2)  # where the proxy stands, which is its own business


def _address(origin: Origin, ip: str | None) -> bytes:
    host = ip or origin.host
    for kind, family in ((_IPV4, socket.AF_INET), (_IPV6, socket.AF_INET6)):
        try:
            return bytes([kind]) + socket.inet_pton(family, host)
        except OSError:
            continue
    return bytes([_NAME]) + _counted(host.encode("ascii"))


def _socks4(talk: _Talk, proxy: Proxy, origin: Origin, ip: str | None) -> None:
    host = ip or origin.host
    try:
        address, name = socket.inet_pton(socket.AF_INET, host), b""
    except OSError:
        if ":" in host:
            raise _RefusedError(_refused(origin, "SOCKS 4 knows no IPv6")) from None
        # an address that cannot be says that the name follows
        address, name = b"\0\0\0\x01", host.encode("ascii") + b"\0"
    port = origin.port.to_bytes(2, "big")
    talk.say(bytes([4, _CONNECT]) + port + address + proxy.user + b"\0" + name)
    version, reply = talk.hear(8)[:2]
    if version != 0 or reply != _GRANTED_4:
        raise _RefusedError(_refused(origin, f"reply {reply}"))


def _counted(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _refused(origin: Origin, words: str, *, origin_is_to_blame: bool = False) -> Failed:
    reason: FailureReason = "connect" if origin_is_to_blame else "proxy"
    return Failed(reason, f"no way through the proxy to {origin}: {words}")
