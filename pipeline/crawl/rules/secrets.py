"""What must not enter the archive: logins, cookies given by hand, and the proxy.

A seed file names the file they stand in, `[access] secrets = "FILE"`; the seed file itself is
sealed with each run, and that file never is. For the stages. No message and no representation made
here shows a value of the file.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec

from pipeline.crawl.rules.cookies import Cookie, is_cookie, pairs
from pipeline.crawl.rules.proxy import Proxy, basic_credentials
from pipeline.errors import ConfigError
from pipeline.model import toml
from pipeline.model.toml import Problem
from pipeline.model.url import Rejected, absolute, split

PROXY_VARIABLE: Final = "HOLDFAST_PROXY"
SECRETS_VARIABLE: Final = "HOLDFAST_SECRETS"

_MAX_BYTES = 1 << 20
_ARCHIVED = ("seeds", "warc", "extracted", "fixity")
_AUTHORIZATION = re.compile(r"authorization:[ \t]*([!-~\x80-\xff](?:[\t -~\x80-\xff]*))", re.I)
_TABLE_LINE = re.compile(r"\s*\[\[\s*(\w+)\s*\]\]")
_LOGIN_KEYS = ("origin", "user", "password", "header")
_COOKIE_KEYS = ("host", "name", "value", "path", "secure")
_HTTP_ONLY = "#HttpOnly_"


# no descriptions in this shape: with one, a message would quote what was there instead
class _SecretsFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    proxy: str = ""
    login: tuple[dict[str, Any], ...] = ()
    cookie: tuple[dict[str, Any], ...] = ()
    cookies_txt: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A cookie of the operator; `widely`: for the hosts below its own too (cookies.txt)."""

    cookie: Cookie
    widely: bool = False

    def belongs_to(self, host: str) -> bool:
        return host == self.cookie.host or (self.widely and host.endswith("." + self.cookie.host))


@dataclass(frozen=True, slots=True, kw_only=True)
class Secrets:
    """What the operator has given for the crawl of one collection; shows none of it.

    Attributes:
        proxy: through which all requests go, None for none.

    """

    proxy: Proxy | None = None
    _logins: tuple[tuple[tuple[str, str, int], str], ...] = field(default=(), repr=False)
    _cookies: tuple[_Given, ...] = field(default=(), repr=False)

    @property
    def has_cookies(self) -> bool:
        """Whether there is a cookie for any host."""
        return bool(self._cookies)

    def headers(self, url: str) -> tuple[tuple[str, str], ...]:
        """Give the Authorization field for a normal URL: for exactly the origin of a login."""
        if not self._logins:
            return ()
        scheme, host, port, _ = split(url)
        values = [value for origin, value in self._logins if origin == (scheme, host, port)]
        return (("Authorization", values[0]),) if values else ()

    def cookies(self, host: str) -> list[Cookie]:
        """Give the cookies for one host, as its own."""
        own = [each.cookie for each in self._cookies if each.belongs_to(host)]
        return [msgspec.structs.replace(cookie, host=host) for cookie in own]

    def cookie_header(self, url: str, own: str | None = None) -> str | None:
        """Give the value of the Cookie field for a normal URL; None if there is nothing to send.

        Args:
            url: what is asked for.
            own: the value made of the host's own cookies. They go first, and a cookie that the host
                has set itself takes the place of the one that was given.

        """
        if not self._cookies:
            return own
        scheme, host, _, target = split(url)
        path, secure = target.partition("?")[0], scheme == "https"
        fit = [each for each in self.cookies(host) if each.matches(host, path, secure=secure)]
        if own:
            known = {part.partition("=")[0] for part in own.split("; ")}
            fit = [each for each in fit if each.name not in known]
        return "; ".join(part for part in (own, pairs(fit)) if part) or None


def load(root: Path, named: str, environ: Mapping[str, str]) -> Secrets:
    """Read the file of secrets that a seed file names, and the environment.

    `HOLDFAST_PROXY` goes before the file's proxy. `HOLDFAST_SECRETS` names the file where the seed
    file names none.

    A file that everybody may read, or that others may write, is refused. Its group may read it:
    that is how services are given their secrets.

    Args:
        root: folder of the archive, to which file names are relative.
        named: as the seed file has it, empty if it names none.
        environ: the environment.

    Raises:
        ConfigError: one line for each mistake, with file and line.

    """
    name = named or environ.get(SECRETS_VARIABLE, "")
    secrets = _read_file(root, name) if name else Secrets()
    address = environ.get(PROXY_VARIABLE, "")
    if not address:
        return secrets
    try:
        proxy = Proxy.parse(address)
    except ConfigError as error:
        raise ConfigError(f"{PROXY_VARIABLE}: {error}") from None
    return replace(secrets, proxy=proxy)


def _read_file(root: Path, name: str) -> Secrets:
    raw = _bytes_of(root, name)
    file = toml.read(raw, _SecretsFile, name)
    reading = _Reading(name, toml.decode(raw, name))
    proxy = reading.proxy(file.proxy) if file.proxy else None
    logins = [reading.login(number, table) for number, table in enumerate(file.login)]
    cookies = [reading.cookie(number, table) for number, table in enumerate(file.cookie)]
    listed: list[_Given] = []
    if file.cookies_txt:
        # beside the file that names it
        at = str(Path(name).parent / file.cookies_txt)
        listed = list(reading.cookies_txt(at, _bytes_of(root, at)))
    toml.fail(reading.problems)
    return Secrets(
        proxy=proxy,
        _logins=tuple(login for login in logins if login),
        _cookies=tuple(_Given(cookie=cookie) for cookie in cookies if cookie) + tuple(listed),
    )


class _Reading:
    """Takes the tables of one file, and collects what is wrong with them.

    Attributes:
        problems: what to mend, none of it quoting a value.

    """

    def __init__(self, file: str, text: str) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._text = text

    def proxy(self, text: str) -> Proxy | None:
        try:
            return Proxy.parse(text)
        except ConfigError as error:
            self._problem(toml.line_of(self._text, "proxy"), f"proxy: {error}")
            return None

    def login(self, number: int, table: dict[str, Any]) -> tuple[tuple[str, str, int], str] | None:
        line = self._line("login", number)
        known = len(self.problems)
        self._check(line, "login", table, _LOGIN_KEYS)
        written = str(table.get("origin", ""))
        origin = absolute(written)
        if isinstance(origin, Rejected) or split(origin).target != "/" or "@" in written:
            expected = 'expected scheme, host and port only, such as "https://example.org"'
            self._problem(line, f"login: origin: {expected}")
        value = self._authorization(line, table)
        if isinstance(origin, Rejected) or value is None or len(self.problems) > known:
            return None
        return split(origin)[:3], value

    def cookie(self, number: int, table: dict[str, Any]) -> Cookie | None:
        line = self._line("cookie", number)
        known = len(self.problems)
        self._check(line, "cookie", table, _COOKIE_KEYS)
        host = _host(str(table.get("host", "")))
        if host is None:
            self._problem(line, 'cookie: host: expected a host name, such as "example.org"')
        name, value = str(table.get("name", "")), str(table.get("value", ""))
        if not name or not is_cookie(name, value):
            expected = "expected a short text without control characters and semicolons"
            self._problem(line, f"cookie: name and value: {expected}")
        path = str(table.get("path", "/"))
        if not path.startswith("/"):
            self._problem(line, "cookie: path: expected a path that begins with a slash")
        if host is None or len(self.problems) > known:
            return None
        secure = bool(table.get("secure", True))
        return Cookie(host=host, name=name, value=value, path=path, secure=secure)

    def cookies_txt(self, file: str, raw: bytes) -> Iterator[_Given]:
        """Read the cookies.txt that browsers and curl write: seven fields, tabs between them."""
        for number, line in enumerate(raw.decode("latin-1").splitlines(), 1):
            line = line.removeprefix(_HTTP_ONLY)
            if not line.strip() or line.startswith("#"):
                continue
            given = _cookies_txt_line(line)
            if given is None:
                message = "expected seven fields with tabs between them, as in a cookies.txt"
                self.problems.append(Problem(file=file, line=number, message=message))
            else:
                yield given

    def _authorization(self, line: int | None, table: dict[str, Any]) -> str | None:
        user, password, header = (table.get(key) for key in ("user", "password", "header"))
        if header is None and isinstance(user, str) and isinstance(password, str):
            if ":" in user:
                self._problem(line, "login: user: expected a name without a colon (RFC 7617)")
            return basic_credentials(user.encode(), password.encode())
        match = _AUTHORIZATION.fullmatch(header.strip()) if isinstance(header, str) else None
        if match is None or user is not None or password is not None:
            expected = 'either user and password, or header = "Authorization: …"'
            self._problem(line, f"login: expected {expected}, on one line")
            return None
        return match[1]

    def _check(
        self, line: int | None, name: str, table: dict[str, Any], keys: tuple[str, ...]
    ) -> None:
        for key, value in table.items():
            wanted = bool if key == "secure" else str
            if key not in keys:
                self._problem(line, f"{name}: unknown key; known here: {', '.join(keys)}")
            elif not isinstance(value, wanted):
                expected = "true or false" if wanted is bool else "a text in quotes"
                self._problem(line, f"{name}: {key}: expected {expected}")

    def _line(self, name: str, number: int) -> int | None:
        """Find the line where the table of this number begins."""
        lines = enumerate(self._text.splitlines(), 1)
        begun = [at for at, line in lines if (m := _TABLE_LINE.match(line)) and m[1] == name]
        return begun[number] if number < len(begun) else toml.line_of(self._text, name)

    def _problem(self, line: int | None, message: str) -> None:
        self.problems.append(Problem(file=self._file, line=line, message=message))


def _cookies_txt_line(line: str) -> _Given | None:
    fields = line.split("\t")
    if len(fields) == 6:
        fields.append("")
    if len(fields) != 7:
        return None
    domain, widely, path, secure, expires, name, value = fields
    host = _host(domain.removeprefix("."))
    if host is None or not path.startswith("/") or not is_cookie(name, value):
        return None
    if {widely.upper(), secure.upper()} - {"TRUE", "FALSE"} or not expires.strip("-").isdecimal():
        return None
    cookie = Cookie(host=host, name=name, value=value, path=path, secure=secure.upper() == "TRUE")
    return _Given(cookie=cookie, widely=widely.upper() == "TRUE")


def _host(written: str) -> str | None:
    """Give a host as normal URLs have it; None for what is none."""
    url = absolute(f"https://{written}/")
    if isinstance(url, Rejected) or not written or split(url)[2:] != (443, "/") or "@" in written:
        return None
    return split(url).host


def _bytes_of(root: Path, name: str) -> bytes:
    """Read a file that holds secrets.

    Raises:
        ConfigError: it cannot be read, lies where all is archived, or is open to everybody.

    """
    try:
        path, folder = (root / name).resolve(), root.resolve()
        if path == folder / "config.toml" or any(
            path.is_relative_to(folder / archived) for archived in _ARCHIVED
        ):
            raise ConfigError(
                f"{name}: what lies there becomes part of the archive; keep secrets elsewhere"
            )
        if path.exists() and not path.is_file():
            raise ConfigError(f"{name}: could not be read: it is no file")
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            raw = file.read(_MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no name of a file"
        raise ConfigError(f"{toml.shown(name)[1:-1]}: could not be read: {reason}") from None
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigError(f"{name}: others may read or change it; run: chmod 600 {name}")
    if len(raw) > _MAX_BYTES:
        raise ConfigError(f"{name}: expected a file of at most 1 MiB")
    return raw
