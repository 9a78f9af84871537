"""A web server that says what a test tells it to, over TCP or TLS, and remembers every byte."""

from __future__ import annotations

import shutil
import socket
import ssl
import struct
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from pipeline.crawl.wire.adapter import WireAdapter
from pipeline.crawl.wire.reception import Limits

_PATIENCE_S = 10.0


@dataclass
class Talk:
    """The server's side of one connection."""

    sock: socket.socket
    received: bytearray = field(default_factory=bytearray)
    sent: bytearray = field(default_factory=bytearray)

    def hear(self) -> bytes:
        """Read one request; empty where the client has gone."""
        begun = len(self.received)
        while b"\r\n\r\n" not in self.received[begun:]:
            data = self._recv()
            if not data:
                break
            self.received += data
        return bytes(self.received[begun:])

    def say(self, data: bytes) -> bool:
        """Send `data` as far as the client takes it; False when it has gone."""
        view = memoryview(data)
        with suppress(OSError):
            while view:
                count = self.sock.send(view)
                self.sent += view[:count]
                view = view[count:]
        return not view

    def hold(self) -> None:
        """Keep the connection open until the client closes it."""
        while self._recv():
            pass

    def reset(self) -> None:
        """Break the connection off with a TCP reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _recv(self) -> bytes:
        try:
            return self.sock.recv(65536)
        except OSError:
            return b""


Script = Callable[[Talk], None]


class Server:
    """Plays one script for each connection, in order or all at once, and then takes no more."""

    def __init__(
        self,
        scripts: tuple[Script, ...],
        context: ssl.SSLContext | None,
        host: str,
        *,
        parallel: bool = False,
    ) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self._listener = socket.create_server((host, 0), family=family)
        self._listener.settimeout(_PATIENCE_S)
        self._context = context
        self._scripts = scripts
        self._parallel = parallel
        self.talks: list[Talk] = []
        self.port: int = self._listener.getsockname()[1]
        authority = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.url = f"{'https' if context else 'http'}://{authority}/"
        self._thread = threading.Thread(target=self._play)
        self._thread.start()

    def finish(self) -> Talk:
        """Wait for the last script to end and give its talk."""
        self._thread.join(_PATIENCE_S)
        assert not self._thread.is_alive(), "the script has not ended"
        return self.talks[-1]

    def close(self) -> None:
        """Stop listening; a script that still waits for a connection ends."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(_PATIENCE_S)
        self._listener.close()

    def _play(self) -> None:
        playing: list[threading.Thread] = []
        for script in self._scripts:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                break
            if self._parallel:
                playing.append(threading.Thread(target=self._serve, args=(sock, script)))
                playing[-1].start()
            else:
                self._serve(sock, script)
        for thread in playing:
            thread.join()

    def _serve(self, sock: socket.socket, script: Script) -> None:
        with sock:
            sock.settimeout(_PATIENCE_S)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._talk(sock, script)

    def _talk(self, sock: socket.socket, script: Script) -> None:
        if self._context is None:
            talk = Talk(sock)
            self.talks.append(talk)
            script(talk)
            return
        try:
            protected = self._context.wrap_socket(sock, server_side=True)
        except OSError:
            return
        with protected:
            talk = Talk(protected)
            self.talks.append(talk)
            script(talk)


@dataclass(frozen=True)
class Certificates:
    """A root of our own and a server certificate for 127.0.0.1, ::1 and localhost.

    Attributes:
        untrusted: certificates that do not hold, by what is wrong with them.

    """

    root: Path
    chain: Path
    key: Path
    untrusted: dict[str, Path]

    def server_context(self, fault: str = "") -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.untrusted[fault] if fault else self.chain, self.key)
        return context


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    if shutil.which("openssl") is None:
        pytest.skip("the openssl command is needed to make certificates: install openssl")
    folder = tmp_path_factory.mktemp("certificates")
    new_key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
    (folder / "root.cnf").write_text(
        "[req]\ndistinguished_name=name\nx509_extensions=root\nprompt=no\n[name]\nCN=Test Root\n"
        "[root]\nbasicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n"
        "subjectKeyIdentifier=hash\n"
    )
    (folder / "server.ext").write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=CA:FALSE\n"
        "authorityKeyIdentifier=keyid\n"
    )
    (folder / "other.ext").write_text("subjectAltName=DNS:other.example\n")
    (folder / "alone.ext").write_text("subjectAltName=IP:127.0.0.1\n")
    for command in (
        f"req -x509 -config root.cnf {new_key} -keyout root.key -out root.pem -days 2",
        f"req -new -config root.cnf -subj /CN=localhost {new_key} -keyout server.key -out s.csr",
        "x509 -req -in s.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile server.ext"
        " -out server.pem -days 2",
        "x509 -req -in s.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile server.ext"
        " -out expired.pem -days -1",
        "x509 -req -in s.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile other.ext"
        " -out other.pem -days 2",
        "x509 -req -in s.csr -signkey server.key -extfile alone.ext -out alone.pem -days 2",
    ):
        subprocess.run(["openssl", *command.split()], cwd=folder, check=True, capture_output=True)
    untrusted = {name: folder / f"{name}.pem" for name in ("expired", "other", "alone")}
    return Certificates(
        folder / "root.pem", folder / "server.pem", folder / "server.key", untrusted
    )


Serve = Callable[..., Server]


@pytest.fixture
def serve(request: pytest.FixtureRequest) -> Iterator[Serve]:
    """Start a server: `serve(script, …, tls=False, host="127.0.0.1")`, one script a connection.

    `tls` may also be the context to serve with; `parallel` plays the scripts at the same time.
    """
    servers: list[Server] = []

    def start(
        *scripts: Script,
        tls: bool | ssl.SSLContext = False,
        host: str = "127.0.0.1",
        parallel: bool = False,
    ) -> Server:
        context = tls or None
        if context is True:
            context = request.getfixturevalue("certificates").server_context()
        server = Server(scripts, context, host, parallel=parallel)
        servers.append(server)
        return server

    yield start
    for server in servers:
        server.close()


@pytest.fixture
def make_adapter(request: pytest.FixtureRequest) -> Iterator[Callable[..., WireAdapter]]:
    """Make an adapter with short time limits.

    `tls=True` lets it trust the test's own root, `tls_policy` is what the adapter calls `tls`.
    """
    adapters: list[WireAdapter] = []

    def make(*, tls: bool = False, tls_policy: str = "strict", **settings: object) -> WireAdapter:
        settings["tls"] = tls_policy
        if tls:
            settings["ca_bundle"] = request.getfixturevalue("certificates").root
        times = {"connect_timeout_s": 5.0, "idle_timeout_s": 5.0, "deadline_s": 9.0}
        limits = {**times, "linger_s": 0.05, "max_bytes": 1 << 30}
        given = {name: settings.pop(name) for name in limits if name in settings}
        adapter = WireAdapter(Limits(**{**limits, **given}), **settings)
        adapters.append(adapter)
        return adapter

    yield make
    for adapter in adapters:
        adapter.close()
