"""A web site on loopback that does all that a crawler may meet and nobody would wish for.

Run as a program: it prints `{"port": …, "closed": …}` when it listens (`closed` is a port at which
nothing does), serves until its standard input ends, and then prints `{"asked": …, "links": …}`: how
often each URL was asked for, and every link that it sent, as page and reference. Raw sockets, so
that it can send what no server library would. It listens on 127.0.0.1 to 127.0.0.9 and, where there
is IPv6, on ::1; each address plays another part. `--big` makes the large things larger;
with `--apart` it first brings up the loopback interface of a network namespace that it was put in.
"""

from __future__ import annotations

import contextlib
import fcntl
import html
import itertools
import json
import random
import re
import socket
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

NUMBERS = range(1, 10)
PACE_S = 0.2
ENDLESS = 300_000
"""Where the endless ends if nobody hangs up: a test that fails should not fill the disk."""

BIG = "--big" in sys.argv
MOST_LINKS = 1_000_000 if BIG else 20_000
SITEMAP_ENTRIES = 1_000_000 if BIG else 40_000

_REDIRECTS = {
    "/loop/self": "/loop/self",
    "/loop/a": "/loop/b",
    "/loop/b": "/loop/a",
    "/loop/nowhere": "http://[",
    "/loop/control": "/\x1b[2J",
    "/cookie/": "/cookie/set",
}

_CONTROL = ("/nul\0here", "/new\nline", "/tab\there", "/bell\x07", "/esc\x1b[2J", "/c1\x9b31m")
_FOREIGN = (
    "http://bücher.invalid/",
    "http://xn--bcher-kva.invalid/",
    "http://xn--a.invalid/",
    "http://a..b.invalid/",
    "http://-.invalid:0/",
    "http://[::1",
    "http://[fe80::1%25lo]/",
    "http://0x7f.1/",
    "http://2130706433/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:port/",
    "http://user:secret@other.invalid/",
    "http://169.254.169.254/latest/meta-data/",
    "http://10.0.0.1/",
    "http:///",
    "//",
    "ftp://other.invalid/",
    "gopher://other.invalid/",
    "http://" + "a" * 300 + ".invalid/",
)
_NO_LINKS = ("javascript:alert(1)", "mailto:a@example.org", "data:text/html,<a href=/no>", "#", "")


class Talk:
    """One request, and the means to answer it in any way."""

    def __init__(self, site: Site, client: socket.socket, origin: str, path: str, head: str):
        self.client, self.origin, self.path, self.head = client, origin, path, head
        self.times_asked = site.count(origin + path)
        self._site = site

    def send(self, data: bytes) -> None:
        """Send bytes as they are."""
        self.client.sendall(data)

    def answer(
        self,
        body: str | bytes = b"",
        status: str = "200 OK",
        media_type: str = "text/html; charset=utf-8",
        fields: Iterable[tuple[str, str]] = (),
    ) -> None:
        """Send a sound response."""
        data = body.encode("utf-8", "surrogateescape") if isinstance(body, str) else body
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {media_type}", *map(": ".join, fields)]
        lines.append(f"Content-Length: {len(data)}\r\n\r\n")
        self.send("\r\n".join(lines).encode("latin-1") + data)

    def redirect(self, to: str, *fields: tuple[str, str]) -> None:
        """Send to another URL."""
        self.answer(status="302 Found", fields=[("Location", to), *fields])

    def page(self, *links: str, more: str = "", note: bool = True) -> None:
        """Send a page of links, and remember them."""
        if note:
            self._site.links += [(self.origin + self.path, link) for link in links]
        anchors = "\n".join(f'<a href="{html.escape(link)}">x</a>' for link in links)
        self.answer(f"<!DOCTYPE html><title>{html.escape(self.path)}</title>{more}{anchors}")

    def stream(self, pieces: Iterable[bytes]) -> None:
        """Send a body whose end is the end of the connection."""
        self.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n")
        for piece in pieces:
            self.send(piece)
        self.hang_up()

    def hang_up(self) -> None:
        """End the connection in an orderly way."""
        with contextlib.suppress(OSError):
            self.client.shutdown(socket.SHUT_RDWR)

    def reset(self) -> None:
        """End the connection with a TCP reset."""
        self.client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()


Part = Callable[["Site", Talk], None]
PARTS: dict[str, Part] = {}


def at(path: str) -> Callable[[Part], Part]:
    """Let a function answer for a path and, where it ends with a slash, for all below it."""

    def enter(part: Part) -> Part:
        PARTS[path] = part
        return part

    return enter


class Site:
    """All addresses of the site."""

    def __init__(self, port: int = 0) -> None:
        self.links: list[tuple[str, str]] = []
        self.asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        first = socket.create_server(("127.0.0.1", port))
        self.port = first.getsockname()[1]
        self._listen(first, "127.0.0.1")
        for number in NUMBERS[1:]:
            address = f"127.0.0.{number}"
            self._listen(socket.create_server((address, self.port)), address)
        self.has_ipv6 = False
        with contextlib.suppress(OSError):
            six = socket.create_server(("::1", self.port), family=socket.AF_INET6)
            self._listen(six, "[::1]")
            self.has_ipv6 = True
        # bound and never listening: nobody else can take it
        self._closed = socket.socket()
        self._closed.bind(("127.0.0.1", 0))
        self.closed: int = self._closed.getsockname()[1]

    def origin(self, number: int) -> str:
        """Give the site of one address."""
        return f"http://127.0.0.{number}:{self.port}"

    def count(self, url: str) -> int:
        """Note that a URL was asked for, and tell how often it was before."""
        with self._lock:
            self.asked[url] += 1
            return self.asked[url] - 1

    def _listen(self, server: socket.socket, host: str) -> None:
        def serve() -> None:
            while True:
                client, _ = server.accept()
                talk = threading.Thread(target=self._talk, args=(client, host), daemon=True)
                talk.start()

        threading.Thread(target=serve, daemon=True).start()

    def _talk(self, client: socket.socket, host: str) -> None:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with client, contextlib.suppress(OSError):
            received = b""
            while more := client.recv(65536):
                received += more
                if not received.endswith(b"\r\n\r\n"):
                    continue
                head = received.decode("latin-1")
                path = head.split(" ", 2)[1]
                received = b""
                talk = Talk(self, client, f"http://{host}:{self.port}", path, head)
                self._part(path)(self, talk)

    def _part(self, path: str) -> Part:
        path = path.partition("?")[0]
        if path in PARTS:
            return PARTS[path]
        folders = (path[: end.start() + 1] for end in re.finditer("/", path))
        return next((PARTS[f] for f in folders if f != "/" and f in PARTS), missing)


def missing(site: Site, talk: Talk) -> None:
    """Answer what is linked only to see whether it is asked for."""
    talk.answer(b"nothing here", "404 Not Found", "text/plain")


@at("/")
def index(site: Site, talk: Talk) -> None:
    """Link to everything that belongs to the address."""
    number = talk.origin.split(":")[1].rpartition(".")[2]
    talk.page(*INDEX.get(number, ["/good.html"]))


INDEX = {
    "1": [
        *("/links.html", "/embeds.html", "/frames.html", "/forbidden/x.html", "/good.html"),
        *("/loop/self", "/loop/a", "/loop/nowhere", "/loop/control", "/chain/1", "/cookie/"),
        *("/bomb.html", "/bomb-twice.html", "/many.html", "/header.html", "/fields.html"),
        *("/deep.html", "/tag.html", "/lying.html", "/cookie/welcome.html", "/feed.xml"),
    ],
    "2": ["/calendar/2026/11/", "/calendar.php?year=2026&month=11", "/path/a/b/", "/good.html"],
    "3": ["/session/?sid=0123456789abcdef0123456789abcdef", "/session/list;jsessionid=AB12CD34EF"],
    "4": ["/same/", "/query/?q=1", "/names/?p1=1", "/long/x", "/good.html"],
    "5": ["/slow/drip.html", "/slow/head.html", "/good.html", "/slow/silent.html"],
    "6": [
        *("/cut/head", "/good.html?1", "/cut/body", "/short", "/long-length", "/chunks/endless"),
        *("/good.html?2", "/chunks/bad", "/length/negative", "/length/two", "/empty", "/reset"),
        *("/good.html?3", "/http09", "/status/999", "/status/no", "/status/reason", "/status/204"),
        *("/not-http", "/good.html?4", "/continue", "/upgrade"),
    ],
    "7": ["/busy/seconds", "/busy/date", "/busy/429", "/busy/odd", "/broken/1", "/good.html"],
    "8": [f"/reset/{n}" for n in range(80)],
}


@at("/good.html")
def good(site: Site, talk: Talk) -> None:
    """Give an ordinary page: trouble elsewhere must not keep a crawl from it."""
    talk.answer(f"<title>good</title><p>{talk.origin}{talk.path}")


# robots.txt and sitemaps


@at("/robots.txt")
def robots(site: Site, talk: Talk) -> None:
    """Be another bad robots.txt on each address."""
    number = talk.origin.split(":")[1].rpartition(".")[2]
    if number == "2":
        noise = random.Random(2).randbytes(200_000)
        talk.answer(b"\xff\xfe\0User-agent: *\n" + noise, media_type="text/plain")
    elif number == "3":
        line = b"Disallow: /" + b"*" * 100 + b"nowhere$\n"
        talk.answer(b"User-agent: *\n" + line * 100_000, media_type="text/plain")
    elif number == "4":
        talk.redirect("/robots.txt")
    elif number == "9":
        talk.reset()
    else:
        sitemaps = ("/maps/index/1.xml", "/maps/many.xml", "/maps/laughs.xml", "/maps/bomb.xml.gz")
        names = (*sitemaps, "/maps/broken.xml", "/maps/outside.xml", "/maps/cut.xml.gz")
        more = "".join(f"Sitemap: {talk.origin}{name}\n" for name in names) * (number == "1")
        more += "Crawl-delay: 1e309\n" * (number == "7")
        rules = f"User-agent: *\nDisallow: /forbidden/\n{more}"
        talk.answer(rules, media_type="text/plain")


_XML = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SITEMAP = 'xmlns="http://www.sitemaps.org/schemas/sitemap/0.9"'


@at("/maps/index/")
def sitemap_index(site: Site, talk: Talk) -> None:
    """Be an index of indexes without end, each of which names itself, too."""
    number = int(re.findall(r"\d+", talk.path)[-1])
    names = (f"{talk.origin}/maps/index/{n}.xml" for n in (number, number + 1, 2 * number))
    entries = "".join(f"<sitemap><loc>{name}</loc></sitemap>" for name in names)
    body = f"{_XML}<sitemapindex {_SITEMAP}>{entries}</sitemapindex>"
    talk.answer(body, media_type="application/xml")


@at("/maps/many.xml")
def sitemap_of_many(site: Site, talk: Talk) -> None:
    """Be a sitemap that never comes to its end; it names fifty pages again and again."""
    entry = "<url><loc>{}/map/{}.html</loc></url>\n"
    hundred = "".join(entry.format(talk.origin, n % 50) for n in range(100)).encode()
    start = f"{_XML}<urlset {_SITEMAP}>".encode()
    talk.stream(itertools.chain([start], itertools.repeat(hundred, SITEMAP_ENTRIES // 100)))


@at("/maps/laughs.xml")
def entity_bomb(site: Site, talk: Talk) -> None:
    """Be a sitemap whose entities grow to gigabytes, and another that names a file."""
    grown = "".join(
        f'<!ENTITY e{n} "{"".join(f"&e{n - 1};" for _ in range(20))}">' for n in range(1, 12)
    )
    entities = f'<!ENTITY e0 "ha"><!ENTITY file SYSTEM "file:///etc/passwd">{grown}'
    entries = f"<url><loc>{talk.origin}/map/&e11;.html</loc></url>"
    entries += f"<url><loc>{talk.origin}/map/&file;.html</loc></url>"
    body = f"{_XML}<!DOCTYPE urlset [{entities}]><urlset {_SITEMAP}>{entries}</urlset>"
    talk.answer(body, media_type="application/xml")


@at("/maps/bomb.xml.gz")
def compressed_sitemap_bomb(site: Site, talk: Talk) -> None:
    """Be a small file that unpacks to much."""
    talk.answer(bomb(f"{_XML}<urlset {_SITEMAP}>".encode()), media_type="application/gzip")


@at("/maps/broken.xml")
def broken_sitemap(site: Site, talk: Talk) -> None:
    """Be a sitemap with errors and bad URLs beside a good one."""
    locs = ("javascript:x", "http://[", f"{talk.origin}/map/broken.html", "\x01", "//")
    entries = "".join(f"<url><loc>{loc}</loc><lastmod>never</url>" for loc in locs)
    talk.answer(f"{_XML}<urlset {_SITEMAP}>{entries}", media_type="text/xml")


@at("/maps/outside.xml")
def sitemap_of_others(site: Site, talk: Talk) -> None:
    """Name the pages of others."""
    entries = "".join(f"<url><loc>http://n{n}.invalid/</loc></url>" for n in range(50))
    talk.answer(f"{_XML}<urlset {_SITEMAP}>{entries}</urlset>", media_type="application/xml")


@at("/maps/cut.xml.gz")
def cut_sitemap(site: Site, talk: Talk) -> None:
    """Be a compressed sitemap that was cut, and damaged."""
    packed = zlib.compress(b"<urlset>" * 5000, wbits=31)
    talk.answer(packed[: len(packed) // 2] + b"\0" * 50, media_type="application/gzip")


@at("/map/")
def mapped(site: Site, talk: Talk) -> None:
    """Be a page that a sitemap names."""
    talk.answer(f"<p>{talk.path}")


@at("/feed.xml")
def feed(site: Site, talk: Talk) -> None:
    """Be a feed nested deeper than any parser likes."""
    body = f'{_XML}<rss version="2.0">' + "<channel>" * 20_000
    talk.answer(body, media_type="application/rss+xml")


def bomb(start: bytes) -> bytes:
    """Give 320 kB of gzip that hold more than 300 MB and never come to their checksum."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    head = packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
    # what lies between two full flushes refers to nothing outside, and may be repeated
    return head + (packer.compress(bytes(1 << 24)) + packer.flush(zlib.Z_FULL_FLUSH)) * 20


@at("/bomb.html")
def page_bomb(site: Site, talk: Talk) -> None:
    """Be a page that unpacks to much."""
    body = bomb(b"<!DOCTYPE html><a href=/good.html>good</a>")
    talk.answer(body, fields=[("Content-Encoding", "gzip")])


@at("/bomb-twice.html")
def nested_page_bomb(site: Site, talk: Talk) -> None:
    """Be a page packed so often that nobody wants to unpack it."""
    body = bomb(b"<!DOCTYPE html>")
    for _ in range(3):
        body = zlib.compress(body, wbits=31)
    talk.answer(body, fields=[("Content-Encoding", "gzip, gzip, gzip, gzip")])


# large and malformed pages


@at("/many.html")
def many_links(site: Site, talk: Talk) -> None:
    """Link to more than anybody can visit, all of it elsewhere."""

    def pieces() -> Iterator[bytes]:
        for first in range(0, MOST_LINKS, 1000):
            numbers = range(first, first + 1000)
            yield b"".join(b'<a href="http://n%d.invalid/">x</a> ' % n for n in numbers)

    talk.stream(pieces())


@at("/header.html")
def huge_header(site: Site, talk: Talk) -> None:
    """Send a header field of 10 MB."""
    talk.send(b"HTTP/1.1 200 OK\r\nX-Long: ")
    for _ in range(160):
        talk.send(b"a" * 65536)
    talk.send(b"\r\nContent-Length: 0\r\n\r\n")


@at("/fields.html")
def many_fields(site: Site, talk: Talk) -> None:
    """Send a hundred thousand header fields."""
    talk.send(b"HTTP/1.1 200 OK\r\n" + b"X-A: b\r\n" * 100_000 + b"Content-Length: 0\r\n\r\n")


@at("/deep.html")
def deep(site: Site, talk: Talk) -> None:
    """Nest elements deeper than a stack."""
    talk.answer("<!DOCTYPE html>" + "<div><table><font>" * 30_000 + "<a href=/good.html>x</a>")


@at("/tag.html")
def endless_tag(site: Site, talk: Talk) -> None:
    """Open one tag and a hundred thousand quotes, and close none."""
    talk.answer("<!DOCTYPE html><a " + "x='\" href=" * 100_000)


@at("/lying.html")
def lying(site: Site, talk: Talk) -> None:
    """Say that noise is a page in a charset that does not exist."""
    noise = random.Random(1).randbytes(300_000)
    talk.answer(noise, media_type="text/html; charset=x-\x1b[31m-klingon")


@at("/links.html")
def odd_links(site: Site, talk: Talk) -> None:
    """Link in every bad way."""
    host = talk.origin.removeprefix("http://")
    own = (f"http://user:secret@{host}/userinfo.html", f"HTTP:\\\\{host}\\backslash.html")
    ports = (f"http://127.0.0.1:{site.closed}/", f"http://localhost:{site.port}/")
    length = (f"/too-long/{'y' * 20_000}", f"{talk.origin}/a/../../../up.html", "/%zz%00%0a")
    found = (*_CONTROL, *_FOREIGN, *own, *ports, *length, "  /blanks.html\n", "/umläut.html")
    anchors = "".join(f'<a href="{html.escape(link)}">no</a>' for link in _NO_LINKS)
    title = "<title>\x1b]0;owned\x07\x1b[2J</title><base href='/'>"
    talk.page(*found, more=title + anchors)


@at("/embeds.html")
def embeds(site: Site, talk: Talk) -> None:
    """Embed in every way, endlessly nested style sheets among them."""
    more = (
        '<img src="/i/1.gif" srcset="/i/2.gif 1x, /i/3.gif 2x,,, /i/4.gif 1e999x, ,">'
        '<picture><source srcset="/i/5.gif 100w"></picture><body background=/i/6.gif>'
        '<link rel=stylesheet href="/import/1.css"><style>@import "/import/1.css";'
        "p{background:url( '/i/7.gif' )} q{background:url(</style>"
    )
    talk.page(*(f"/i/{n}.gif" for n in range(1, 8)), "/import/1.css", more=more)


@at("/addresses.html")
def addresses(site: Site, talk: Talk) -> None:
    """Embed from addresses that no page may lead a crawler to."""
    hosts = ("169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.0.1", "100.100.100.200")
    sixes = ("[fe80::1]", "[fc00::1]", "[::ffff:10.0.0.1]", "[fd00:ec2::254]", "[::]")
    links = [f"http://{host}/" for host in (*hosts, *sixes, "0.0.0.0", "255.255.255.255")]
    site.links += [(talk.origin + talk.path, link) for link in links]
    talk.answer("<!DOCTYPE html>" + "".join(f"<img src={link}>" for link in links))


@at("/import/")
def style(site: Site, talk: Talk) -> None:
    """Be a style sheet that imports the next of thirty, and the first again."""
    number = int(re.findall(r"\d+", talk.path)[0])
    following = f'@import url("{min(number + 1, 30)}.css");' + "@import '1.css';" * 3
    talk.answer(following + "/*" * 10_000, media_type="text/css")


@at("/i/")
def image(site: Site, talk: Talk) -> None:
    """Be an image that is a page."""
    talk.answer(b"GIF89a<a href=/never.html>", media_type="image/gif")


@at("/frames.html")
def frames(site: Site, talk: Talk) -> None:
    """Be a page in frames, one of which is the page."""
    names = ("/frames.html", "/frame/1.html", "/frame/2.html")
    more = "<FRAMESET>" + "".join(f"<FRAME SRC={name}>" for name in names)
    talk.page(*names, more=more + "<NOFRAMES>")


@at("/frame/")
def frame(site: Site, talk: Talk) -> None:
    """Frame each other."""
    more = "<iframe src=/frames.html></iframe><iframe srcdoc='<iframe src=/frame/1.html>'></iframe>"
    talk.page("/frame/1.html", "/frame/2.html", more=more)


# redirects and cookies


@at("/loop/")
def loop(site: Site, talk: Talk) -> None:
    """Redirect in circles, and to nowhere."""
    talk.redirect(_REDIRECTS[talk.path])


@at("/chain/")
def chain(site: Site, talk: Talk) -> None:
    """Redirect on and on."""
    number = int(talk.path.rpartition("/")[2])
    talk.redirect(f"/chain/{number + 1}") if number < ENDLESS else talk.answer("the end")


@at("/cookie/")
def cookie(site: Site, talk: Talk) -> None:
    """Redirect in circles whoever does not send the cookie."""
    if talk.path == "/cookie/set":
        talk.redirect("/cookie/", ("Set-Cookie", "seen=1; Path=/"), ("Set-Cookie", "\x1b[2J=x;;=;"))
    elif "seen=1" in talk.head:
        talk.page("/cookie/set")
    else:
        talk.redirect("/cookie/set")


# traps: each page is there, and leads to others without end


@at("/calendar/")
def calendar(site: Site, talk: Talk) -> None:
    """Give each month, from the beginning of time to its end."""
    year, month = map(int, re.findall(r"\d+", talk.path)[:2])
    months = year * 12 + month - 1
    near = ((months - 1) % 120_000, (months + 1) % 120_000, (months + 12) % 120_000)
    talk.page(*(f"/calendar/{m // 12:04}/{m % 12 + 1:02}/" for m in near))


@at("/calendar.php")
def calendar_by_query(site: Site, talk: Talk) -> None:
    """Give each month, asked for in the query."""
    year, month = map(int, re.findall(r"\d+", talk.path)[:2])
    later = year * 12 + month
    talk.page(f"/calendar.php?year={later // 12}&month={later % 12 + 1}")


@at("/path/")
def path(site: Site, talk: Talk) -> None:
    """Link to what lies below in a way that is always found again."""
    talk.page("a/b/", "b/a/", "a/")


@at("/session/")
def session(site: Site, talk: Talk) -> None:
    """Put another session id into each link."""
    new = f"{random.getrandbits(128):032x}"
    upper = new[:16].upper()
    talk.page(
        f"/session/?sid={new}",
        f"/session/?PHPSESSID={new}",
        f"/session/list;jsessionid={upper}",
        f"/session/list?page=1&sid={new}",
        f"/session/(S({new[:24]}))/a.aspx",
    )


@at("/same/")
def same(site: Site, talk: Talk) -> None:
    """Give one page under all names, with links to as many below."""
    talk.answer(
        "<!DOCTYPE html><p>the same everywhere"
        + "".join(f'<a href="{letter}/">{letter}</a>' for letter in "bcdfghjklm")
    )


@at("/query/")
def query(site: Site, talk: Talk) -> None:
    """Add one more value of a parameter to each link."""
    count = talk.path.count("=")
    talk.page(*(f"{talk.path}&q={n}" for n in (count, 1)))


@at("/names/")
def names(site: Site, talk: Talk) -> None:
    """Add one more parameter to each link."""
    count = talk.path.count("=") + 1
    talk.page(f"{talk.path}&p{count}={count}")


@at("/long/")
def long(site: Site, talk: Talk) -> None:
    """Make each link twice as long as the one before."""
    talk.page("/long/" + "x" * (2 * len(talk.path)))


# connections


@at("/slow/drip.html")
def drip(site: Site, talk: Talk) -> None:
    """Send one byte now and then."""
    talk.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<!DOCTYPE html>")
    drop_by_drop(talk, b" ")


@at("/slow/head.html")
def drip_head(site: Site, talk: Talk) -> None:
    """Never come to the end of the head."""
    talk.send(b"HTTP/1.1 200 OK\r\n")
    drop_by_drop(talk, b"X-Slow: yes\r\n")


@at("/slow/silent.html")
def silent(site: Site, talk: Talk) -> None:
    """Say nothing."""
    drop_by_drop(talk, b"")


def drop_by_drop(talk: Talk, drop: bytes) -> None:
    """Send until the other side hangs up."""
    talk.client.settimeout(PACE_S)
    for _ in range(ENDLESS):
        talk.send(drop)
        try:
            if not talk.client.recv(1):
                return
        except TimeoutError:
            continue


def sends(path: str, *pieces: bytes) -> None:
    """Let a path answer with these bytes and the end of the connection."""

    @at(path)
    def part(site: Site, talk: Talk) -> None:
        talk.send(b"".join(pieces))
        talk.hang_up()


_OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n"
_LINK = b"<a href=/good.html>good</a>"

sends("/cut/head", _OK + b"Content-Le")
sends("/cut/body", _OK + b"Content-Length: 1000\r\n\r\n" + _LINK)
sends("/short", _OK + b"Content-Length: 5\r\n\r\n" + _LINK)
sends("/long-length", _OK + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n" + _LINK)
sends("/length/negative", _OK + b"Content-Length: -5\r\n\r\n" + _LINK)
sends("/length/two", _OK + b"Content-Length: 5\r\nContent-Length: 7\r\n\r\n" + _LINK)
sends("/chunks/bad", _OK + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n" + _LINK)
sends("/empty")
sends("/http09", b"<!DOCTYPE html>" + _LINK)
sends("/not-http", b"SSH-2.0-OpenSSH_9.2\x1b[2J\r\n")
sends("/status/999", b"HTTP/1.1 999 What\r\nContent-Length: 0\r\n\r\n")
sends("/status/no", b"HTTP/1.1 abc\r\n\r\n")
sends("/status/reason", b"HTTP/1.1 500 \x1b[2J\x07\xff\r\nContent-Length: 0\r\n\r\n")
sends("/status/204", b"HTTP/1.1 204 No Content\r\nContent-Length: 50\r\n\r\n")
sends("/continue", b"HTTP/1.1 100 Continue\r\n\r\n" * 200 + _OK + b"Content-Length: 0\r\n\r\n")
sends("/upgrade", b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n\0\0\0")


@at("/chunks/endless")
def endless_chunks(site: Site, talk: Talk) -> None:
    """Send one chunk after another, and never the last."""
    talk.send(_OK + b"Transfer-Encoding: chunked\r\n\r\n")
    for _ in range(ENDLESS):
        talk.send(b"1000\r\n" + b"c" * 4096 + b"\r\n")


@at("/reset")
@at("/reset/")
def reset(site: Site, talk: Talk) -> None:
    """Reset the connection."""
    talk.reset()


@at("/busy/")
def busy(site: Site, talk: Talk) -> None:
    """Be busy at first, and say in several ways for how long."""
    name = talk.path.rpartition("/")[2]
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
    after = {"seconds": "1", "date": date, "429": "1", "odd": "soon\x1b[2J"}[name]
    if talk.times_asked:
        talk.answer(f"<p>{name}")
    else:
        status = "429 Too Many Requests" if name == "429" else "503 Service Unavailable"
        talk.answer("later", status, fields=[("Retry-After", after)])


@at("/broken/")
def broken(site: Site, talk: Talk) -> None:
    """Fail for ever."""
    talk.answer("<p>broken", "500 Internal Server Error")


def raise_loopback() -> None:
    """Bring the loopback interface of a new network namespace up (Linux)."""
    up, set_flags = 1, 0x8914
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, set_flags, struct.pack("16sh14x", b"lo", up))


def main() -> None:
    """Serve until standard input ends, then tell what happened."""
    if "--apart" in sys.argv:
        raise_loopback()
    site = Site()
    ports = {"port": site.port, "closed": site.closed, "ipv6": site.has_ipv6}
    print(json.dumps(ports), flush=True)  # noqa: T201
    sys.stdin.read()
    told = {"asked": site.asked, "links": site.links}
    print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
