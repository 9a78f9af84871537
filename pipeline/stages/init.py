"""The `init` verb: a new archive, with a config.toml that explains itself and an example.

Leaves alone whatever else is in the folder, and never touches a folder that is an archive already.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from pipeline import durable
from pipeline.errors import ConfigError
from pipeline.model.layout import Layout
from pipeline.stages import sealing

CONFIG_TOML: Final = """\
# Settings of this archive. Every line that sets something may be left out: what is written here
# is what holds without it. The state of this file is kept with each crawl, in its WARC files.
# `holdfast seeds check` reads this file and seeds/ and says what is wrong with them.

[archive]
# Name of the archive, for people.
title = "Web archive"
# Person or institution that keeps it. Written into every WARC file.
operator = ""
# A page or mail address where the owners of crawled sites can reach you, such as
# "https://library.example.org/crawler" or "archive@example.org". Sent with every request: please
# set it before you crawl sites that are not your own.
contact = ""

[crawl]
# How requests name themselves. Empty: "Holdfast/<version> (+<contact>)". The first word is the
# name that counts in a site's robots.txt.
user_agent = ""
# Seconds between two requests to one host; 0 is no pause at all. A seed file may ask for more or
# less, and so may a site's robots.txt (Crawl-delay).
delay_s = 1.0
# The pause is also so many times as long as the last answer took: a slow site is busy. 0: no.
delay_factor = 1.0
# Seconds of the longest pause that Crawl-delay or delay_factor may ask for.
max_delay_s = 60.0
# Seconds of the longest pause after "too many requests" (429) or "not now" (503), whatever the
# answer asks for (Retry-After).
max_wait_s = 3600.0
# Requests under way at one host at the same time. More than 1 only with the site's consent.
in_flight = 1
# Seconds for finding a host's address, for the connection, and for TLS, each.
connect_timeout_s = 20.0
# Seconds of silence after which an exchange is given up.
idle_timeout_s = 60.0
# Seconds that one exchange may take. What came until then is kept and marked as truncated.
deadline_s = 900.0
# Bytes of a body that are fetched (1 GiB). What follows is left, and the capture marked.
max_body_bytes = 1_073_741_824
# Accept-Encoding of requests. "identity" keeps digests comparable between crawls; "gzip" saves
# the sites' bandwidth. What comes is stored as it came.
accept_encoding = "identity"
# Processes that fetch. 0: one for each core.
workers = 0
# How often a URL is tried again after a failure that may pass.
retries = 2
# Seconds before it is tried again; twice as many before each further time.
retry_delay_s = 30.0
# Failures in a row after which a host is set aside until the next run.
host_failures = 10
# Where a site's certificate does not hold: "strict" fetches nothing, "record" fetches all the same
# and says in the WARC file that the certificate did not hold. Old sites often need it.
tls = "strict"
# Addresses that are not public are not asked, wherever a link or a redirect leads. List the kinds
# that may be: "loopback", "private", "link-local", "special". A seed whose host is written as
# such an address lets in its kind.
allow_addresses = []
# Whether cookies that a host sets are sent back to it.
cookies = true
# Whether a recrawl asks only for what has changed, and stores what is known already by reference.
revisits = true
# Bytes of room on the disk below which a crawl pauses (256 MiB).
min_free_bytes = 268_435_456
# File with extra root certificates (PEM), relative to this folder. The environment variable
# HOLDFAST_CA_BUNDLE wins over it.
ca_bundle = ""

[warc]
# Bytes after which a WARC file is sealed and the next one begun.
max_file_bytes = 1_000_000_000
# Compressor: "zlib-ng", "zlib", or "auto" for the faster one that is there.
codec = "auto"
# From 1 (fast) to 9 (small).
level = 6

[extract]
# Bytes of a page, decoded, that are read; what follows is left out and the document says so.
max_document_bytes = 8_000_000
# Characters of markup above which the main text is not looked for; all visible text is then given.
max_main_text_chars = 2_000_000
# Links kept for each document.
max_links = 10_000
# Seconds of CPU time that one document may cost.
max_cpu_s = 120
# Encodings considered for pages that declare none. Add "windows-1250" for Czech or Polish sites,
# "koi8-r" or "windows-1251" for Russian ones.
undeclared_encodings = ["windows-1252", "macintosh"]
# Processes that extract. 0: one for each core.
workers = 0

[signing]
# File of the OpenSSH key that signs the ledger's checkpoint; it must lie outside of the archive.
# A .pub file means that the agent holds the key. Make one: ssh-keygen -t ed25519 -f FILE. The
# environment variable HOLDFAST_SIGNING_KEY wins. Empty: nothing is signed.
key = ""
"""

EXAMPLE_TOML: Final = """\
# One collection: what to crawl and how far. The file's name is the collection's name. Change this
# file or replace it. Only seeds are needed; a plain list of URLs in seeds/NAME.txt works too.
# `holdfast seeds check` explains what the file means, `--url U` what it means for one URL.

# For people; goes into the WARC files.
title = "Example"
# What others should know about the source.
note = "Stands here to be replaced."
# Text that the source itself puts on each of its pages, such as the banner of a mirror.
notice = ""
# Where the crawl begins.
seeds = [
    "https://example.org/",
]
# Sitemaps or feeds whose entries are seeds too: they are fetched when the crawl runs.
# seeds_from = ["https://example.org/sitemap.xml"]

[scope]
# "page": each seed and what it embeds. "prefix": what lies in the folder of a seed or below it.
# "host": everything on the seeds' hosts. "domain": their subdomains too. "list": the seeds only.
type = "prefix"
# More that belongs to it, and what does not. * stands for any characters, and http and https are
# one; regular expressions follow "re:". What is excluded is left out whatever else holds.
# include = ["https://files.example.org/*"]
# exclude = ["*/print/*", "re:[?&]sort="]
# Links between a seed and the farthest page.
# max_hops = 3
# What pages embed (images, styles, frames) is fetched from anywhere, over so many steps.
# embed_hops = 2
# "stay" does not follow redirects that lead out.
# redirects = "follow"
# Query parameters that do not tell pages apart. Session numbers are known already.
# ignore_parameters = ["ref"]
# Whether URLs that look endless are left out: repeating folders, calendars.
# traps = true

[links]
# Where links are sought besides HTML and CSS.
# forms = false
# scripts = false
# text = false
# pdf = true
# feeds = true
# sitemaps = true

[limits]
# When a run ends although URLs are waiting. There is no limit unless one is set.
# max_captures = 100_000
# max_bytes = 10_000_000_000
# max_time_s = 86_400

[crawl]
# What differs from config.toml: delay_s, delay_factor, max_delay_s, in_flight, deadline_s,
# accept_encoding, max_body_bytes, tls, allow_addresses, cookies, revisits.
delay_s = 2.0

[access]
# File with logins, cookies or a proxy. It never becomes part of the archive.
# secrets = "secrets/example.toml"
"""


class InitReport(Struct, frozen=True):
    """A new archive: its folder, and the files and folders that were made in it."""

    root: Path
    made: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """Give 0: an archive that could not be made is an error, not a report."""
        return 0

    def as_json(self) -> dict[str, Any]:
        """Give the object that `holdfast --json init` prints."""
        return {"archive": str(self.root), "made": list(self.made)}

    def as_text(self) -> str:
        """Tell a person what is there now and what to do next."""
        return "\n".join(
            [
                f"A new archive in {self.root}:",
                *(f"  {path}" for path in self.made),
                "",
                "Next:",
                "  1. Set operator and contact in config.toml.",
                "  2. Write what to collect into seeds/ (example.toml shows how).",
                f"  3. holdfast -C {self.root} seeds check",
                f"  4. holdfast -C {self.root} run",
            ]
        )


def init(root: Path) -> InitReport:
    """Make an archive in `root`, which may be new or hold other files.

    config.toml is written last: until it is there the folder is no archive, and `init` may be
    called again. A ledger or seed files that are there already stay as they are.

    Raises:
        ConfigError: `root` is an archive already, or cannot be a folder.
        StorageError: the disk refused.

    """
    layout = Layout(root)
    if layout.config.exists():
        raise ConfigError(f"{root}: is an archive already (it has a config.toml); nothing changed")
    made = [f"{layout.relative(folder)}/" for folder in _make_folders(layout)]
    if not any(layout.seeds.iterdir()):
        example = layout.seeds / "example.toml"
        durable.replace(example, EXAMPLE_TOML.encode())
        made.append(layout.relative(example))
    files = (layout.ledger, layout.manifest, layout.checkpoint)
    fixity = [path for path in files if not path.exists()]
    with sealing.writing(layout, datetime.now(UTC)):
        made += map(layout.relative, fixity)
    durable.replace(layout.config, CONFIG_TOML.encode())
    return InitReport(root, (layout.relative(layout.config), *made))


def _make_folders(layout: Layout) -> list[Path]:
    folders = (layout.root / "warc", layout.root / "extracted", layout.seeds)
    new = [folder for folder in folders if not folder.is_dir()]
    try:
        for folder in new:
            folder.mkdir(parents=True)
    except OSError as error:
        raise ConfigError(
            f"{error.filename}: could not be made a folder: {error.strerror}; name another folder"
            " for the archive"
        ) from None
    return new
