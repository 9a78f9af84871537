"""The operator's settings as typed slices, one for each part of the house that obeys them.

They lie below config.py so that crawl and archive may take their slice without knowing where it
came from. Each type says in one phrase what it accepts; `model/toml.py` puts that phrase into its
messages. Every field has a default, so an empty config.toml is a valid one. Reads no file.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pipeline import __version__

_LINE = r"^[^\x00-\x1f\x7f]*\Z"
_ASCII_LINE = r"^[\x20-\x7e]*\Z"

Line = Annotated[
    str,
    Meta(max_length=500, pattern=_LINE, description="one line of text, at most 500 characters"),
]
AsciiLine = Annotated[
    str,
    Meta(
        max_length=500,
        pattern=_ASCII_LINE,
        description="one line of plain ASCII text, at most 500 characters",
    ),
]
_DAY_S = 86_400
Delay = Annotated[
    float, Meta(ge=0, le=_DAY_S, description="a number of seconds, 0 or more (at most a day)")
]
Timeout = Annotated[
    float, Meta(gt=0, le=_DAY_S, description="a number of seconds above 0 (at most a day)")
]
Duration = Annotated[
    float, Meta(gt=0, le=10 * 366 * _DAY_S, description="a number of seconds above 0")
]
_TEBIBYTE = 1 << 40
Size = Annotated[
    int, Meta(ge=1, le=_TEBIBYTE, description="a whole number of bytes, 1 or more (at most 1 TiB)")
]
Workers = Annotated[
    int, Meta(ge=0, le=256, description="a whole number from 0 to 256 (0: one for each core)")
]
Retries = Annotated[int, Meta(ge=0, le=100, description="a whole number from 0 to 100")]
Level = Annotated[int, Meta(ge=1, le=9, description="a whole number from 1 (fast) to 9 (small)")]
Coding = Annotated[
    str,
    Meta(
        max_length=200,
        pattern=r"^[!-~]([ -~]*[!-~])?\Z",
        description='the value of an Accept-Encoding header, such as "identity" or "gzip"',
    ),
]
Trust = Annotated[Literal["strict", "record"], Meta(description='"strict" or "record"')]
Factor = Annotated[float, Meta(ge=0, le=100, description="a number from 0 to 100")]
InFlight = Annotated[int, Meta(ge=1, le=16, description="a whole number from 1 to 16")]
Count = Annotated[int, Meta(ge=1, description="a whole number, 1 or more")]
Switch = Annotated[bool, Meta(description="true or false")]
AddressKind = Literal["loopback", "private", "link-local", "special"]
Addresses = Annotated[
    tuple[AddressKind, ...],
    Meta(description='a list of "loopback", "private", "link-local" and "special"'),
]
Codec = Annotated[
    Literal["auto", "zlib-ng", "zlib"], Meta(description='"auto", "zlib-ng" or "zlib"')
]


class ArchivePolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[archive]: who keeps this archive.

    Attributes:
        operator: person or institution; written to every WARC file.
        contact: page or mail address for the owners of crawled sites; sent with every request.

    """

    title: Line = "Web archive"
    operator: Line = ""
    contact: AsciiLine = ""


class SigningPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[signing]: who vouches for the ledger.

    Attributes:
        key: file of an OpenSSH key outside the archive; empty is none.

    """

    key: Line = ""


class CrawlPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[crawl]: how sites are visited.

    Attributes:
        user_agent: as sent; where the operator gives none, `default_user_agent`.
        delay_s: pause between two requests to one host; 0 is none, whatever `delay_factor` says.
        delay_factor: the pause is at least so many times as long as the answer took.
        max_delay_s: the longest pause that robots.txt (Crawl-delay) or `delay_factor` may ask for.
        max_wait_s: the longest pause after 429 or 503, whatever Retry-After says.
        in_flight: requests under way at one host at the same time.
        connect_timeout_s: for the look-up of the name, TCP and TLS, each.
        idle_timeout_s: longest silence in the middle of an exchange.
        deadline_s: longest duration of one exchange; what came until then is kept, truncated.
        max_body_bytes: longest body; what came until then is kept, truncated.
        workers: processes; 0 is one for each core.
        retries: how often a failed target is tried again.
        retry_delay_s: wait before the first retry.
        host_failures: failures in a row after which a host is set aside until the next run.
        tls: `record` also captures where the certificate does not hold, and says so.
        allow_addresses: kinds of addresses that are not public and may be reached all the same.
        cookies: whether cookies that a host sets are sent back to it.
        revisits: whether to ask only for what changed, and to store what is known by reference.
        min_free_bytes: room on the disk below which a crawl pauses.
        ca_bundle: file of extra root certificates (PEM); empty is none.

    """

    user_agent: AsciiLine = ""
    delay_s: Delay = 1.0
    delay_factor: Factor = 1.0
    max_delay_s: Delay = 60.0
    max_wait_s: Delay = 3600.0
    in_flight: InFlight = 1
    connect_timeout_s: Timeout = 20.0
    idle_timeout_s: Timeout = 60.0
    deadline_s: Timeout = 900.0
    max_body_bytes: Size = 1 << 30
    accept_encoding: Coding = "identity"
    workers: Workers = 0
    retries: Retries = 2
    retry_delay_s: Delay = 30.0
    host_failures: Count = 10
    tls: Trust = "strict"
    allow_addresses: Addresses = ()
    cookies: Switch = True
    revisits: Switch = True
    min_free_bytes: Size = 256 << 20
    ca_bundle: Line = ""


class CrawlOverrides(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[crawl] of a seed file: what this collection does otherwise; None is as config.toml says."""

    delay_s: Delay | None = None
    delay_factor: Factor | None = None
    max_delay_s: Delay | None = None
    in_flight: InFlight | None = None
    deadline_s: Timeout | None = None
    accept_encoding: Coding | None = None
    max_body_bytes: Size | None = None
    tls: Trust | None = None
    allow_addresses: Addresses | None = None
    cookies: Switch | None = None
    revisits: Switch | None = None

    def over(self, policy: CrawlPolicy) -> CrawlPolicy:
        """Give `policy` with what is set here in its place."""
        changes = {
            name: value for name, value in msgspec.structs.asdict(self).items() if value is not None
        }
        return msgspec.structs.replace(policy, **changes)


class LinkPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[links] of a seed file: where links are sought besides HTML and CSS.

    Attributes:
        forms: in forms that are sent with GET, as they stand.
        scripts: in the strings of scripts (hop letter X, asked for last).
        text: in plain text.
        pdf: in PDF files.
        feeds: in RSS, Atom and JSON feeds.
        sitemaps: in sitemaps, those that robots.txt names and /sitemap.xml.

    """

    forms: Switch = False
    scripts: Switch = False
    text: Switch = False
    pdf: Switch = True
    feeds: Switch = True
    sitemaps: Switch = True


class RunLimits(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[limits] of a seed file: when a run ends although URLs are waiting; None is no limit.

    Attributes:
        max_captures: captures and revisits, robots.txt among them.
        max_bytes: bytes received on the wire.
        max_time_s: seconds of crawling, pauses between sessions left out.

    """

    max_captures: Count | None = None
    max_bytes: Size | None = None
    max_time_s: Duration | None = None


class WarcPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """[warc]: how WARC files are written.

    Attributes:
        max_file_bytes: a file is sealed when it has grown to this size.
        codec: the compressor; auto is zlib-ng where it can be imported, else zlib.

    """

    max_file_bytes: Size = 1_000_000_000
    codec: Codec = "auto"
    level: Level = 6


def default_user_agent(contact: str) -> str:
    """Name ourselves and, where there is one, the address to write to."""
    product = f"Holdfast/{__version__}"
    return f"{product} (+{contact})" if contact else product
