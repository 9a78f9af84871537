"""A proxy between the crawl and the web, as the operator names it: one URL, taken apart.

For the secrets file, which may hold its password, and for the wire, which talks to it. Messages and
representations never show the password. Pure.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from typing import Final, Literal, get_args
from urllib.parse import unquote_to_bytes

from pipeline.errors import ConfigError

ProxyScheme = Literal["http", "socks5", "socks5h", "socks4", "socks4a"]
"""`socks5` and `socks4`: we look names up and give the proxy addresses. With the others it looks
them up itself, as an onion service needs it."""

EXPECTED: Final = "a URL such as socks5h://127.0.0.1:9050 or http://user:password@proxy.lan:3128"

_URL = re.compile(
    r"(?P<scheme>[a-z0-9]+)://(?:(?P<user>[^:/?#@\s]*)(?::(?P<password>[^/?#@\s]*))?@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z._-]{1,253})(?::(?P<port>[0-9]{1,5}))?/?",
    re.IGNORECASE,
)
_PORTS: Final[dict[str, int]] = {"http": 3128}
_SOCKS_PORT = 1080
_MAX_CREDENTIAL = 255  # RFC 1929 §2


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """Where the proxy is, what it speaks, and who we are to it.

    Attributes:
        host: name or numeric address, without brackets; may be a private one.
        user, password: bytes as they are sent; both empty where the proxy asks for none.

    """

    scheme: ProxyScheme
    host: str
    port: int
    user: bytes = field(default=b"", repr=False)
    password: bytes = field(default=b"", repr=False)

    def __str__(self) -> str:
        """Write it for people, without user and password."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def resolves_names(self) -> bool:
        """Whether the proxy looks names up, so that we never see the addresses they lead to."""
        return self.scheme in ("http", "socks5h", "socks4a")

    @property
    def authorization(self) -> str | None:
        """The value of the Proxy-Authorization field (RFC 7617); None where none is needed."""
        if not self.user and not self.password:
            return None
        return basic_credentials(self.user, self.password)

    @classmethod
    def parse(cls, text: str) -> Proxy:
        """Read a proxy's URL; without a port it is 3128 for http and 1080 for SOCKS.

        Raises:
            ConfigError: it is none. The message says what was expected and does not quote it.

        """
        match = _URL.fullmatch(text.strip())
        scheme = match["scheme"].lower() if match else ""
        if match is None or scheme not in get_args(ProxyScheme):
            known = ", ".join(get_args(ProxyScheme))
            raise ConfigError(f"expected {EXPECTED} (schemes: {known})")
        port = int(match["port"] or _PORTS.get(scheme, _SOCKS_PORT))
        user, password = (unquote_to_bytes(match[part] or "") for part in ("user", "password"))
        if not 0 < port < 65_536:
            raise ConfigError("expected a port from 1 to 65535")
        if max(len(user), len(password)) > _MAX_CREDENTIAL or b"\0" in user + password:
            raise ConfigError("expected a user and a password of at most 255 bytes, without NUL")
        if scheme == "http" and b":" in user:
            raise ConfigError("expected a user without a colon (RFC 7617)")
        if scheme in ("socks4", "socks4a") and password:
            raise ConfigError(f"{scheme} knows no password; use socks5, or leave the password out")
        return cls(
            scheme=scheme,  # type: ignore[arg-type]  # checked above
            host=match["host"].strip("[]").lower(),
            port=port,
            user=user,
            password=password,
        )


def basic_credentials(user: bytes, password: bytes) -> str:
    """Write the credentials of the Basic scheme (RFC 7617 §2)."""
    return "Basic " + base64.b64encode(user + b":" + password).decode("ascii")
