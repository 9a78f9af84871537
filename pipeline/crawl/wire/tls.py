"""TLS on an open connection: strictly, or so that old servers too can be captured and are marked.

For the dialer. *Strict* is what a browser asks for. *Lenient* speaks the old protocols too, back to
TLS 1.0, and *blind* looks at no certificate besides; only a collection that says `tls = "record"`
uses these, and what they protected says so (`Tls.untrusted`).
"""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path
from typing import Final, Literal

import certifi
from msgspec import Struct

from pipeline.crawl.wire.ciphers import iana_name
from pipeline.errors import ConfigError
from pipeline.model.exchange import Failed, Tls

Demand = Literal["strict", "lenient", "blind"]

_OLD_PROTOCOLS: Final = {"SSLv3": "SSL 3.0", "TLSv1": "TLS 1.0", "TLSv1.1": "TLS 1.1"}
# servers that never heard of RFC 5746; the constant has a name in ssl from Python 3.12 on
_OP_LEGACY_SERVER_CONNECT = 0x4


class Trust:
    """The certificates trusted, as contexts made when they are first needed. Thread-safe."""

    def __init__(self, ca_bundle: Path | None) -> None:
        """Trust the system's roots, certifi's, and those in the PEM file `ca_bundle`.

        Raises:
            ConfigError: `ca_bundle` cannot be read or holds no certificate.

        """
        self._ca_bundle = ca_bundle
        self._lock = threading.Lock()
        self._contexts: dict[Demand, ssl.SSLContext] = {}
        # reading the roots takes 20 ms, which a crawl of plain HTTP need not spend
        if ca_bundle is not None:
            self.context("strict")

    def context(self, demand: Demand) -> ssl.SSLContext:
        """Give the context for this demand."""
        with self._lock:
            context = self._contexts.get(demand)
            if context is None:
                context = self._contexts[demand] = _context(demand, self._ca_bundle)
            return context


class Unprotected(Struct, frozen=True, kw_only=True):
    """TLS did not come about.

    Attributes:
        words: the reason, in OpenSSL's words.
        by_certificate: the server's certificate is the reason, and nothing else.

    """

    failure: Failed
    words: str = ""
    by_certificate: bool = False


def protect(
    sock: socket.socket, peer: str, host: str, context: ssl.SSLContext, timeout_s: float
) -> ssl.SSLSocket | Unprotected:
    """Begin TLS on `sock`, which is closed if that fails; `peer` names the server in messages."""
    sock.settimeout(timeout_s)
    try:
        name = host.rstrip(".")
        return context.wrap_socket(sock, server_hostname=name, suppress_ragged_eofs=False)
    except (OSError, ValueError) as error:
        sock.close()
        return _not_protected(peer, timeout_s, error)


def describe(sock: ssl.SSLSocket, protocol: str, certificate: str) -> Tls:
    """Tell how a connection is protected.

    Args:
        sock: the connection.
        protocol: what was wrong with the server's protocol when strict TLS was tried, or empty.
        certificate: what is wrong with its certificate, or empty.

    """
    cipher = sock.cipher()
    version = sock.version() or ""
    reasons = [_OLD_PROTOCOLS.get(version, protocol), certificate]
    return Tls(
        version=version,
        cipher=iana_name(cipher[0]) if cipher else "",
        untrusted=", ".join(reason for reason in reasons if reason),
    )


def _context(demand: Demand, ca_bundle: Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if demand == "strict":
        # some systems (Debian's Python) leave the floor to OpenSSL's configuration
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    else:
        context.set_ciphers("ALL:!aNULL:!eNULL:@SECLEVEL=0")
        # to name the old versions here warns; SSL 2 and 3 stay off all the same
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.options |= _OP_LEGACY_SERVER_CONNECT
    if demand == "blind":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    context.load_default_certs()
    context.load_verify_locations(certifi.where())
    if ca_bundle is not None:
        _add_roots(context, ca_bundle)
    return context


def _add_roots(context: ssl.SSLContext, ca_bundle: Path) -> None:
    try:
        context.load_verify_locations(ca_bundle)
    except ssl.SSLError:
        raise ConfigError(
            f"crawl.ca_bundle: {ca_bundle}: expected certificates in PEM form"
        ) from None
    except OSError as error:
        raise ConfigError(f"{ca_bundle}: {error.strerror}") from None


def _not_protected(peer: str, timeout_s: float, error: Exception) -> Unprotected:
    if isinstance(error, TimeoutError):
        detail = f"no TLS handshake with {peer} in {timeout_s:g} s"
        return Unprotected(failure=Failed("timeout", detail))
    if isinstance(error, ssl.SSLCertVerificationError):
        words = error.verify_message.rstrip(".")
        detail = f"the certificate of {peer} is not trusted: {words}"
        return Unprotected(failure=Failed("tls", detail), words=words, by_certificate=True)
    if isinstance(error, ssl.SSLError):
        words = (error.reason or "the handshake failed").replace("_", " ").lower()
        return Unprotected(failure=Failed("tls", f"no TLS with {peer}: {words}"), words=words)
    if isinstance(error, ConnectionError):
        return Unprotected(failure=Failed("disconnect", f"{peer} hung up before it was asked"))
    return Unprotected(failure=Failed("connect", f"no connection to {peer}: {error}"))
