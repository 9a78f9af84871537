"""Secrets: read from a file of their own, sent only where they belong, and shown to nobody."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from pipeline.crawl.rules.secrets import Secrets, load
from pipeline.errors import ConfigError

FILE = """
proxy = "socks5h://me:hush-0@127.0.0.1:9050"
cookies_txt = "cookies.txt"

[[login]]
origin = "https://members.example.org"
user = "reader"
password = "hush-1"

[[login]]
origin = "http://api.example.org:8080/"
header = "Authorization: Bearer hush-2"

[[cookie]]
host = "members.example.org"
name = "session"
value = "hush-3"

[[cookie]]
host = "old.example.org"
name = "member"
value = "hush-4"
path = "/inside"
secure = false
"""
COOKIES_TXT = """# Netscape HTTP Cookie File
#HttpOnly_.wide.example\tTRUE\t/\tTRUE\t1900000000\twide\thush-5

narrow.example\tFALSE\t/a\tFALSE\t0\tnarrow\thush-6
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    put(tmp_path, "secrets.toml", FILE)
    put(tmp_path, "cookies.txt", COOKIES_TXT)
    return tmp_path


def put(root: Path, name: str, text: str, mode: int = 0o600) -> None:
    path = root / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    path.chmod(mode)


@pytest.fixture
def secrets(root: Path) -> Secrets:
    return load(root, "secrets.toml", {})


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://members.example.org/x?y", "Basic cmVhZGVyOmh1c2gtMQ=="),
        ("http://api.example.org:8080/", "Bearer hush-2"),
        ("http://members.example.org/", None),
        ("https://members.example.org:8443/", None),
        ("https://www.members.example.org/", None),
        ("https://members.example.org.evil.example/", None),
        ("https://example.org/members.example.org", None),
        ("http://api.example.org/", None),
    ],
)
def test_a_login_goes_to_exactly_its_origin(url, value, secrets):
    assert secrets.headers(url) == ((("Authorization", value),) if value else ())


@pytest.mark.parametrize(
    ("url", "value"),
    [
        ("https://members.example.org/", "session=hush-3"),
        ("http://members.example.org/", None),
        ("https://www.members.example.org/", None),
        ("http://old.example.org:81/inside/x", "member=hush-4"),
        ("http://old.example.org/outside", None),
        ("https://wide.example/", "wide=hush-5"),
        ("https://www.wide.example/", "wide=hush-5"),
        ("https://notwide.example/", None),
        ("http://www.wide.example/", None),
        ("http://narrow.example/a", "narrow=hush-6"),
        ("http://www.narrow.example/a", None),
    ],
)
def test_a_cookie_goes_where_it_belongs(url, value, secrets):
    assert secrets.has_cookies
    assert secrets.cookie_header(url) == value


def test_a_cookie_that_the_host_has_set_takes_the_place_of_the_given_one(secrets):
    url = "https://members.example.org/"
    assert secrets.cookie_header(url, "a=1") == "a=1; session=hush-3"
    assert secrets.cookie_header(url, "session=new; a=1") == "session=new; a=1"
    assert secrets.cookie_header("https://example.org/", "a=1") == "a=1"
    assert Secrets().cookie_header(url, "a=1") == "a=1"
    assert Secrets().cookie_header(url) is None


def test_no_secret_is_shown(secrets):
    shown = f"{secrets!r} {secrets} {secrets.cookies('members.example.org')} {secrets.proxy}"
    assert "hush" not in shown
    assert "reader" not in shown


def test_secrets_can_be_handed_to_another_process(secrets):
    assert pickle.loads(pickle.dumps(secrets)) == secrets


def test_without_a_file_there_are_none(tmp_path):
    secrets = load(tmp_path, "", {})
    assert (secrets.proxy, secrets.has_cookies, secrets.headers("http://a/")) == (None, False, ())


def test_the_environment_names_the_proxy_and_the_file(root):
    put(root, "other.toml", 'proxy = "http://other:1"')
    environ = {"HOLDFAST_PROXY": "http://p:3128", "HOLDFAST_SECRETS": str(root / "other.toml")}
    assert str(load(root, "secrets.toml", environ).proxy) == "http://p:3128"
    assert load(root, "secrets.toml", environ).has_cookies
    del environ["HOLDFAST_PROXY"]
    assert str(load(root, "secrets.toml", environ).proxy) == "socks5h://127.0.0.1:9050"
    assert str(load(root, "", environ).proxy) == "http://other:1"
    with pytest.raises(ConfigError, match="HOLDFAST_PROXY: expected a URL") as caught:
        load(root, "", {"HOLDFAST_PROXY": "ftp://hush"})
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize(("mode", "good"), [(0o600, True), (0o400, True), (0o640, True)])
@pytest.mark.parametrize("name", ["secrets.toml", "cookies.txt"])
def test_the_owner_and_the_group_may_read_the_file(name, mode, good, root):
    (root / name).chmod(mode)
    assert load(root, "secrets.toml", {}).has_cookies


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o620, 0o602, 0o601])
@pytest.mark.parametrize("name", ["secrets.toml", "cookies.txt"])
def test_a_file_that_others_can_open_is_refused(name, mode, root):
    (root / name).chmod(mode)
    with pytest.raises(ConfigError, match=f"^{name}: others .*; run: chmod 600 {name}$"):
        load(root, "secrets.toml", {})


@pytest.mark.parametrize(
    "name", ["seeds/s.toml", "warc/s.toml", "extracted/s.toml", "fixity/s.toml", "config.toml"]
)
def test_secrets_may_not_lie_where_all_is_archived(name, root):
    put(root, name, FILE)
    with pytest.raises(ConfigError, match="becomes part of the archive"):
        load(root, name, {})
    put(root, "names.toml", f'cookies_txt = "{name}"')
    with pytest.raises(ConfigError, match="becomes part of the archive"):
        load(root, "names.toml", {})


BASIC = 'origin = "https://a.example"\nuser = "u"\npassword = "hush"\n'
COOKIE = 'host = "a.example"\nname = "n"\nvalue = "hush"\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('proxy = "hush"', "line 1: proxy: expected a URL such as"),
        ("proxy = 7", "line 1: proxy: Expected `str`"),
        ('\nporxy = "hush"', "line 2: porxy: unknown key; did you mean proxy?"),
        ('x = "hush', "s.toml: not valid TOML: "),
        ("password = hush", "line 1: not valid TOML"),
        ('login = "hush"', "line 1: login: "),
        (f"[login]\n{BASIC}", "line 1: login: "),
        ('[[login]]\norigin = "https://a.example"', "line 1: login: expected either user and"),
        (f'[[login]]\n{BASIC}header = "Authorization: hush"', "line 1: login: expected either"),
        (f"[[login]]\n{BASIC}[[login]]\nx = 'hush'", "line 5: login: unknown key; known here:"),
        (f"[[login]]\n{BASIC}[[login]]\nx = 'hush'", "line 5: login: origin: expected scheme"),
        ('[[login]]\norigin = "https://a/b/hush"\nuser=""\npassword=""', "login: origin: exp"),
        ('[[login]]\norigin = "https://hush@a"\nuser=""\npassword=""', "login: origin: expected"),
        ("[[login]]\norigin = 7\nuser=''\npassword=''", "line 1: login: origin: expected a text"),
        ('[[login]]\norigin = "http://a"\nheader = "X-Key: hush"', "expected either user and pas"),
        ('[[login]]\norigin = "http://a"\nheader = "Authorization: hush\\r\\nX: y"', "on one line"),
        ("[[login]]\norigin = 'http://a'\nuser = 'u:hush'\npassword = 'hush'", "without a colon"),
        ("[[login]]\norigin = 'http://a'\nuser = 'u'\npassword = 5", "password: expected a text"),
        ("[[cookie]]\nname = 'n'\nvalue = 'hush'", "line 1: cookie: host: expected a host name"),
        (f"[[cookie]]\n{COOKIE}path = 'hush'", "line 1: cookie: path: expected a path"),
        (f"[[cookie]]\n{COOKIE}secure = 'hush'", "line 1: cookie: secure: expected true or false"),
        ("[[cookie]]\nhost = 'a'\nname = 'n'\nvalue = 'hush;b'", "cookie: name and value: expect"),
        ("[[cookie]]\nhost = 'a'\nname = 'n'\nvalue = \"hush\\n\"", "cookie: name and value: exp"),
        ("[[cookie]]\nhost = 'a:80'\nname = 'n'\nvalue = 'hush'", "cookie: host: expected a host"),
        ('cookies_txt = "none.txt"', "none.txt: could not be read: No such file or directory"),
        ('cookies_txt = "bad.txt"', "bad.txt: line 2: expected seven fields with tabs between"),
    ],
)
def test_mistakes_are_told_with_their_line_and_without_the_secret(text, message, tmp_path):
    put(tmp_path, "s.toml", text)
    put(tmp_path, "bad.txt", "# cookies\na.example TRUE / hush\n")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "s.toml", {})
    assert message in str(caught.value)
    assert str(caught.value).startswith(("s.toml: ", "none.txt: ", "bad.txt: "))
    assert "hush" not in str(caught.value)


@pytest.mark.parametrize("name", ["missing.toml", ".", "a\0b"])
def test_a_file_that_cannot_be_read_is_the_operators_error(name, tmp_path):
    with pytest.raises(ConfigError, match="could not be read"):
        load(tmp_path, name, {})


def test_a_file_without_end_is_not_read(tmp_path):
    put(tmp_path, "s.toml", "#" * (2 << 20))
    with pytest.raises(ConfigError, match="at most 1 MiB"):
        load(tmp_path, "s.toml", {})
