"""The test bed: nginx serves documentation from Debian packages on loopback, one address per site.

For tests/real and for the benchmarks. Real pages, real links, a real server, and no network. nginx
runs as a child process in the foreground with a configuration of its own; nothing of the machine's
own nginx is read or changed, and no root rights are needed.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

_DOC = Path("/usr/share/doc")
_START_S = 10
_STOP_S = 10


@dataclass(frozen=True)
class Tree:
    """A folder of HTML pages that a Debian package installs; `start` is where its links begin."""

    package: str
    root: Path
    start: str = "index.html"

    @property
    def is_there(self) -> bool:
        """Tell whether the package is installed with its documentation."""
        return (self.root / self.start).is_file()


POSTGRESQL = Tree("postgresql-doc-15", _DOC / "postgresql-doc-15" / "html")
APACHE = Tree("apache2-doc", _DOC / "apache2-doc" / "manual", "en/index.html")
PYTHON = Tree("python3.11-doc", _DOC / "python3.11-doc" / "html")


def handbook(language: str = "en-US") -> Tree:
    """Give one translation of the Debian Administrator's Handbook."""
    return Tree("debian-handbook", _DOC / "debian-handbook" / "html" / language)


def handbooks() -> list[Tree]:
    """Give all translations that are installed, in the order of their names."""
    folders = sorted(
        path.parent for path in (_DOC / "debian-handbook" / "html").glob("*/index.html")
    )
    return [handbook(folder.name) for folder in folders]


def missing(trees: Sequence[Tree], commands: Sequence[str] = ()) -> str | None:
    """Say what must be installed before `trees` can be served; None where nothing is missing."""
    packages = {tree.package for tree in trees if not tree.is_there}
    if not _nginx():
        packages.add("nginx-light")
    packages |= {command for command in commands if not shutil.which(command)}
    return f"apt-get install {' '.join(sorted(packages))}" if packages else None


@dataclass(frozen=True)
class Hit:
    """One request as the server logged it: the moment of its answer (Unix time) and what it was."""

    at: float
    address: str
    path: str
    status: int


@dataclass(frozen=True)
class Bed:
    """A running server.

    Attributes:
        port: the same on every address.
        sites: the tree behind each address, as `127.0.0.N`.

    """

    port: int
    sites: dict[str, Tree]
    log: Path

    def url(self, address: str) -> str:
        """Give the page at which a crawl of the site begins."""
        return f"http://{address}:{self.port}/{self.sites[address].start}"

    @property
    def urls(self) -> list[str]:
        """Give the first page of every site."""
        return [self.url(address) for address in self.sites]

    def hits(self) -> list[Hit]:
        """Read the requests answered so far."""
        found = []
        for line in self.log.read_text("utf-8").splitlines():
            at, address, status, path = line.split(" ", 3)
            found.append(Hit(float(at), address, path, int(status)))
        return found


@contextmanager
def serve(trees: Sequence[Tree], folder: Path) -> Iterator[Bed]:
    """Serve each tree on an address of its own, 127.0.0.2 and up; keep everything in `folder`.

    Raises:
        RuntimeError: nginx did not start; its own words are in the message.

    """
    sites = {f"127.0.0.{number}": tree for number, tree in enumerate(trees, 2)}
    bed = Bed(_free_port(list(sites)), sites, folder / "access.log")
    config = folder / "nginx.conf"
    config.write_text(_config(bed, folder), "utf-8")
    errors = folder / "error.log"
    with subprocess.Popen(
        [_nginx() or "nginx", "-e", str(errors), "-p", str(folder), "-c", str(config)],
        stdin=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_until_it_answers(server, bed, errors)
            yield bed
        finally:
            server.terminate()
            server.wait(_STOP_S)


def _nginx() -> str | None:
    return shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")


def _free_port(addresses: Sequence[str]) -> int:
    """Find a port that is free on every address (taken again by nginx a moment later)."""
    while True:
        with ExitStack() as held:
            first = held.enter_context(socket.create_server((addresses[0], 0)))
            port: int = first.getsockname()[1]
            try:
                for address in addresses[1:]:
                    held.enter_context(socket.create_server((address, port)))
            except OSError:
                continue
            return port


def _wait_until_it_answers(server: subprocess.Popen[bytes], bed: Bed, errors: Path) -> None:
    give_up = time.monotonic() + _START_S
    while True:
        try:
            socket.create_connection((next(iter(bed.sites)), bed.port), 1).close()
        except OSError as error:
            if server.poll() is not None or time.monotonic() > give_up:
                said = errors.read_text("utf-8", "replace") if errors.exists() else ""
                raise RuntimeError(f"nginx did not start: {said}") from error
            time.sleep(0.02)
        else:
            return


def _config(bed: Bed, folder: Path) -> str:
    servers = "\n".join(
        f"  server {{ listen {address}:{bed.port}; root {tree.root}; }}"
        for address, tree in bed.sites.items()
    )
    temporary = "\n".join(
        f"  {name}_temp_path {folder / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""
daemon off;
master_process off;
pid {folder / "nginx.pid"};
events {{ worker_connections 1024; }}
http {{
  log_format hit '$msec $server_addr $status $request_uri';
  access_log {bed.log} hit;
{temporary}
  default_type application/octet-stream;
  types {{
    text/html html htm; text/plain txt; text/css css; application/javascript js;
    image/png png; image/gif gif; image/jpeg jpg jpeg; image/svg+xml svg; image/x-icon ico;
    application/pdf pdf; application/xml xml; application/json json;
  }}
  index index.html;
  sendfile on;
  keepalive_requests 1000000;
{servers}
}}
"""
