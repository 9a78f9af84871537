"""crawl/rules/seeds.py and sources.py: seed files, and what is said about wrong ones."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import config
from pipeline.crawl.rules.scope import ScopeTable
from pipeline.crawl.rules.seeds import Collection, Seed, load_collections, other_files, parse
from pipeline.errors import ConfigError
from pipeline.extract.policy import ExtractPolicy
from pipeline.model.digest import sha256
from pipeline.model.policy import CrawlOverrides, CrawlPolicy, LinkPolicy, RunLimits

ROOT = Path(__file__).resolve().parents[2]


def toml(text: str, name: str = "c.toml") -> Collection:
    return parse(Path("seeds") / name, text.encode())


def mistakes(text: str | bytes, name: str = "c.toml") -> list[str]:
    raw = text.encode() if isinstance(text, str) else text
    with pytest.raises(ConfigError) as raised:
        parse(Path("seeds") / name, raw)
    return str(raised.value).splitlines()


def test_a_seed_file_describes_a_collection() -> None:
    text = """\
title = "Ann's page"
notice = "This is a mirror."
note = "From 1998."
seeds = ["http://Example.org/~ann/index.html#top", "http://example.org/~ann/index.html"]
[scope]
type = "host"
[crawl]
delay_s = 3
accept_encoding = "gzip"
max_body_bytes = 1000
"""
    collection = toml(text, "ann-1998.toml")
    assert collection.name == "ann-1998"
    assert (collection.title, collection.notice) == ("Ann's page", "This is a mirror.")
    assert collection.note == "From 1998."
    assert collection.seeds == (Seed("http://example.org/~ann/index.html"),)
    assert collection.scope.type == "host"
    assert collection.raw == text.encode()
    assert collection.digest == sha256(text.encode())
    policy = collection.overrides.over(CrawlPolicy(retries=7))
    assert (policy.delay_s, policy.accept_encoding, policy.max_body_bytes) == (3.0, "gzip", 1000)
    assert policy.retries == 7


def test_what_is_left_out_has_a_plain_meaning() -> None:
    collection = toml('seeds = ["http://example.org/a/b"]')
    assert (collection.title, collection.notice) == ("c", "")
    assert collection.scope.rules == ("scope: prefix http://example.org/a/",)
    assert collection.overrides == CrawlOverrides()
    assert collection.overrides.over(CrawlPolicy(delay_s=9)) == CrawlPolicy(delay_s=9)


def test_a_plain_list_has_its_hosts_as_scope() -> None:
    text = (
        "\ufeff# my list\r\n\r\nhttp://example.org:8080/a#frag   # the first\r\n"
        "  http://example.net/b/?c#d\t# again\r\nhttp://example.net/b/?c\r\n"
    )
    collection = toml(text, "list.txt")
    assert [seed.url for seed in collection.seeds] == [
        "http://example.org:8080/a",
        "http://example.net/b/?c",
    ]
    assert collection.scope.rules == (
        "scope: host http://example.org:8080/",
        "scope: host http://example.net/",
    )
    assert collection.title == "list"


WRONG = {
    'title = "x"': [
        "seeds/c.toml: seeds: missing; expected a list of one or more URLs, such as"
        ' ["https://example.org/"], or seeds_from'
    ],
    "seeds = []": [
        "seeds/c.toml: line 1: seeds: expected a list of one or more URLs, such as"
        ' ["https://example.org/"], got []'
    ],
    'seeds = ["http://example.org/"]\ntitel = "x"': [
        "seeds/c.toml: line 2: titel: unknown key; did you mean title?"
    ],
    'seeds = ["http://example.org/"]\n[scope]\n\ntype = "everything"': [
        'seeds/c.toml: line 4: scope.type: expected "page", "prefix", "host", "domain" or'
        ' "list", got "everything"'
    ],
    'seeds = ["http://example.org/"]\nscope = "host"': [
        'seeds/c.toml: line 2: scope: expected a table [scope], got "host"'
    ],
    'seeds = ["http://example.org/"]\ncrawl.delay_s = -1\ncrawl.workers = 3': [
        "seeds/c.toml: line 2: crawl.delay_s: expected a number of seconds, 0 or more (at most a"
        " day), got -1",
        "seeds/c.toml: line 3: crawl.workers: unknown key; known here: delay_s, delay_factor,"
        " max_delay_s, in_flight, deadline_s, accept_encoding, max_body_bytes, tls,"
        " allow_addresses, cookies, revisits",
    ],
    'seeds = [\n  "http://example.org/",\n  "ftp://example.org/",\n  "example.org",\n]': [
        'seeds/c.toml: line 3: seeds: expected an http or https URL, got "ftp://example.org/": its'
        " scheme is not http or https",
        'seeds/c.toml: line 4: seeds: expected an http or https URL, got "example.org": it does not'
        " begin with http:// or https://",
    ],
    'seeds = ["http://h/"]\nseeds_from = [\n "feed.rss"]': [
        'seeds/c.toml: line 3: seeds_from: expected an http or https URL, got "feed.rss": it does'
        " not begin with http:// or https://",
    ],
    'seeds = ["http://h/"]\n[scope]\nexclude = [\n"x",\n"re:(",]\nmax_hops = -1': [
        "seeds/c.toml: line 6: scope.max_hops: expected a whole number from 0 to 1000, got -1"
    ],
    'seeds = ["http://h/"]\n[scope]\nexclude = [\n"x",\n"re:(",]\ninclude = ["http://a b/"]': [
        "seeds/c.toml: line 6: scope.include: expected a URL in which * stands for any characters"
        ' (its host is no host name and no IP address), got "http://a b/"',
        "seeds/c.toml: line 4: scope.exclude: expected a URL, also one that begins with *, or a"
        ' regular expression after re:, got "x"',
        "seeds/c.toml: line 5: scope.exclude: expected a regular expression after re: (missing ),"
        ' unterminated subpattern at position 0), got "re:("',
    ],
    'seeds = ["http://h/"]\n[links]\npdf = 1\n[limits]\nmax_captures = 0': [
        "seeds/c.toml: line 3: links.pdf: expected true or false, got 1",
        "seeds/c.toml: line 5: limits.max_captures: expected a whole number, 1 or more, got 0",
    ],
    'seeds = ["http://h/"]\n[scope]\nignore_parameters = "sid"': [
        "seeds/c.toml: line 3: scope.ignore_parameters: expected a list of names of query"
        ' parameters, such as ["sid"], got "sid"'
    ],
    'seeds = ["http://h/"]\n[scope]\nexclude = ["*\\n"]': [
        "seeds/c.toml: line 3: scope.exclude: expected a list of URLs with *, such as"
        ' ["https://example.org/shop/*"], or of regular expressions after "re:", got ["*\\n"]'
    ],
    'seeds = ["http://h/"]\naccess.secrets = "Seeds/x.toml"': [
        "seeds/c.toml: line 2: access.secrets: expected a file that does not become part of the"
        ' archive, such as "secrets/c.toml", got "Seeds/x.toml"'
    ],
}


@pytest.mark.parametrize(("text", "expected"), WRONG.items(), ids=WRONG)
def test_every_mistake_is_told_with_line_key_and_what_was_expected(
    text: str, expected: list[str]
) -> None:
    assert mistakes(text) == expected


def test_a_toml_syntax_error_is_told_with_its_line() -> None:
    (message,) = mistakes('seeds = ["http://example.org/"]\ntitle == "x"')
    assert message.startswith("seeds/c.toml: line 2: not valid TOML: ")


def test_mistakes_in_a_plain_list_are_told_with_their_lines() -> None:
    assert mistakes("# x\nexample.org\n\nhttp://a..b/\n", "c.txt") == [
        'seeds/c.txt: line 2: expected an http or https URL, got "example.org": it does not begin'
        " with http:// or https://",
        'seeds/c.txt: line 4: expected an http or https URL, got "http://a..b/": its host is no'
        " host name and no IP address",
    ]
    assert mistakes("# nothing\n", "c.txt") == ["seeds/c.txt: expected one or more URLs, got none"]
    assert mistakes(b"http://h/\nhttp://h/\xe9\n", "c.txt") == [
        "seeds/c.txt: line 2: expected UTF-8 text, got the byte 0xe9; save it as UTF-8"
    ]


def test_passwords_are_kept_out_of_the_archive() -> None:
    (message,) = mistakes("http://ann:secret@example.org/", "c.txt")
    assert message.endswith("it holds a user name, and a seed file becomes part of the archive")
    assert "secret" not in message
    (message,) = mistakes("seeds = ['http://ann:secret@example.org/']")
    assert "secret" not in message


@pytest.mark.parametrize("name", ["Upper.toml", "a b.txt", "-a.toml", "ä.txt", "a" * 65 + ".txt"])
def test_a_file_that_cannot_name_a_collection_is_refused(name: str) -> None:
    (message,) = mistakes("http://example.org/", name)
    assert message.startswith(
        f"seeds/{name}: the name of a collection is the file's name; expected"
    )


def write(folder: Path, **files: str) -> Path:
    folder.mkdir()
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, "utf-8")
    return folder


def test_all_collections_are_read_in_the_order_of_their_names(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "seeds", b_txt="http://b/", a_toml='seeds=["http://a/"]', README_md=""
    )
    (folder / ".hidden.txt").write_text("")
    assert [collection.name for collection in load_collections(folder)] == ["a", "b"]
    assert [collection.name for collection in load_collections(folder, ["b"])] == ["b"]
    assert other_files(folder) == ["README.md"]
    assert load_collections(tmp_path / "none") == []


def test_the_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "seeds",
        a_txt="x",
        b_toml="seeds=1",
        c_txt="http://c/",
        c_toml="seeds=['http://c/']",
    )
    with pytest.raises(ConfigError) as raised:
        load_collections(folder)
    lines = str(raised.value).splitlines()
    assert [line.split(":")[0] for line in lines] == ["seeds/c.txt", "seeds/a.txt", "seeds/b.toml"]
    assert lines[0] == (
        "seeds/c.txt: the collection c is described in seeds/c.toml too; keep one of the two files"
    )


def test_a_collection_can_be_read_beside_a_broken_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "seeds", a_txt="broken", b_txt="http://b/")
    assert [collection.name for collection in load_collections(folder, ["b"])] == ["b"]


def test_a_name_without_a_file_is_told_with_the_nearest_one(tmp_path: Path) -> None:
    folder = write(tmp_path / "seeds", lantern_txt="http://b/")
    with pytest.raises(
        ConfigError, match="lanterns: no collection of this name in seeds/; did you"
    ):
        load_collections(folder, ["lanterns"])
    with pytest.raises(
        ConfigError, match="x: no collection of this name in seeds/; there are: lan"
    ):
        load_collections(folder, ["x"])


def urls(collection: Collection) -> list[tuple[str, bool]]:
    return [(seed.url, seed.is_source) for seed in collection.seeds]


def test_every_table_of_a_seed_file_is_read() -> None:
    collection = toml("""\
seeds = ["http://example.org/a/"]
seeds_from = ["http://example.net/feed"]
[scope]
type = "host"
include = ["http://other.example/*"]
exclude = ["*.zip"]
max_hops = 4
embed_hops = 1
redirects = "stay"
ignore_parameters = ["ref"]
traps = false
[links]
forms = true
[limits]
max_bytes = 10
[crawl]
tls = "record"
allow_addresses = ["loopback"]
[access]
secrets = "secrets/members.toml"
""")
    assert urls(collection) == [("http://example.org/a/", False), ("http://example.net/feed", True)]
    scope = collection.scope
    assert (scope.max_hops, scope.embed_hops, scope.redirects) == (4, 1, "stay")
    assert scope.has_sources
    assert not scope.traps
    assert scope.rules == (
        "scope: host http://example.org/",
        "scope: include http://other.example/*",
    )
    assert scope.decide("http://example.org/x.zip", "L").reason == "exclude"
    assert scope.canonical("http://example.org/?ref=1") == "http://example.org/"
    assert collection.links == LinkPolicy(forms=True)
    assert collection.limits == RunLimits(max_bytes=10)
    assert collection.overrides == CrawlOverrides(tls="record", allow_addresses=("loopback",))
    assert collection.secrets == "secrets/members.toml"


def test_a_source_spans_the_scope_only_if_there_is_nothing_else() -> None:
    collection = toml('seeds_from = ["http://example.org/blog/feed.xml"]')
    assert collection.seeds == (Seed("http://example.org/blog/feed.xml", is_source=True),)
    assert collection.scope.rules == ("scope: prefix http://example.org/blog/",)


def test_the_year_of_the_run_reaches_the_scope(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("http://h/\n")
    (collection,) = load_collections(tmp_path, year=2001)
    assert collection.scope.decide("http://h/2004/01/", "L").reason == "trap-calendar"


@pytest.mark.parametrize(
    ("secrets", "is_sound"),
    {
        "/elsewhere/x.toml": True,
        "../x.toml": True,
        "secrets/x.toml": True,
        "seedsx/x.toml": True,
        "seeds/x.toml": False,
        "./warc/a/x": False,
        "secrets/../fixity/x": False,
        "extracted": False,
        "config.toml": False,
        str(Path("fixity/x").absolute()): False,
    }.items(),
)
def test_secrets_are_not_read_from_where_they_would_be_archived(
    secrets: str, is_sound: bool
) -> None:
    text = f"seeds = ['http://h/']\n[access]\nsecrets = '{secrets}'"
    if is_sound:
        assert toml(text).secrets == secrets
    else:
        (message,) = mistakes(text)
        assert message.startswith("seeds/c.toml: line 3: access.secrets: expected a file that does")


TABLES = {
    "title,URL\nA,http://a/\nB,http://b/\n": ["http://a/", "http://b/"],
    "url;title\nhttp://a/;A\n;\nhttp://b/;B\n": ["http://a/", "http://b/"],
    "Title\tUrl\nA\thttp://a/;x\n": ["http://a/;x"],
    "http://a/,http://x/\nhttp://b/,http://y/": ["http://a/", "http://b/"],
    "1,http://a/\n2,http://b/": ["http://a/", "http://b/"],
    '"The, title",link\r\n"A ""a""\n1","http://a/?x,y"\r\n': ["http://a/?x,y"],
    "Name;Adresse\nA;http://a/\n": ["http://a/"],
    "\ufeffurl\nhttp://a/\n\nhttp://a/#x": ["http://a/"],
    "http://a/;b": ["http://a/;b"],
}


@pytest.mark.parametrize(("text", "expected"), TABLES.items(), ids=[ascii(t) for t in TABLES])
def test_a_table_gives_its_column_of_urls(text: str, expected: list[str]) -> None:
    collection = toml(text, "c.csv")
    assert urls(collection) == [(url, False) for url in expected]
    assert collection.scope.type == "host"


def test_mistakes_in_a_table_are_told_with_their_lines() -> None:
    assert mistakes("title,url\nA,http://a/\nB,b.example\n", "c.csv") == [
        'seeds/c.csv: line 3: expected an http or https URL, got "b.example": it does not begin'
        " with http:// or https://"
    ]
    none = ["seeds/c.csv: expected a column named url, or one that holds URLs"]
    assert mistakes("a,b\n1,2\n", "c.csv") == none
    assert mistakes("", "c.csv") == none
    (message,) = mistakes("url\n" + "x" * 200_000, "c.csv")
    assert message.startswith("seeds/c.csv: line 2: not a sound table: field larger than")


def test_a_list_of_nothing_but_mistakes_is_told_in_part() -> None:
    told = mistakes("nonsense\n" * 1000, "c.txt")
    assert len(told) == 51
    assert told[-1] == "seeds/c.txt: 950 more URLs like these"


OPML = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<opml version="2.0"><head><title>B\u00fccher</title></head><body>
<outline text="News"><outline text="In">
<outline type="rss" xmlUrl="http://a.example/feed" htmlUrl="http://a.example/" text="\u00e4"/>
</outline></outline>
<outline type="link" url="http://b.example/x?y=1&amp;z=2"/>
<outline XMLURL="http://c.example/feed"/>
</body></opml>
"""


def test_a_feed_list_gives_feeds_as_sources_and_their_pages_as_seeds() -> None:
    collection = parse(Path("seeds/c.opml"), OPML.encode("latin-1"))
    assert urls(collection) == [
        ("http://a.example/", False),
        ("http://a.example/feed", True),
        ("http://b.example/x?y=1&z=2", False),
        ("http://c.example/feed", True),
    ]
    assert collection.scope.rules == (
        "scope: host http://a.example/",
        "scope: host http://b.example/",
    )


def test_mistakes_in_a_feed_list_are_told_with_their_lines() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "b">]>\n<opml><outline url="&a;"/></opml>'
    assert mistakes(bomb, "c.opml") == [
        "seeds/c.opml: line 1: expected OPML without <!DOCTYPE>; delete the declaration"
    ]
    assert mistakes('<opml>\n<outline type="include" url="http://a/"/></opml>', "c.opml") == [
        "seeds/c.opml: line 2: expected feeds, got an outline that includes another list; name it"
        " apart"
    ]
    assert mistakes('<opml>\n<outline xmlUrl="a"/></opml>', "c.opml") == [
        'seeds/c.opml: line 2: expected an http or https URL, got "a": it does not begin with'
        " http:// or https://"
    ]
    (message,) = mistakes("<opml>\n<outline>", "c.opml")
    assert message == "seeds/c.opml: line 2: not valid OPML: no element found"
    (message,) = mistakes("<?xml version='1.0' encoding='klingon'?><opml/>", "c.opml")
    assert message.startswith("seeds/c.opml: ")
    assert "not valid OPML: unknown encoding" in message


def test_a_seed_file_of_many_megabytes_is_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.txt").open("wb") as file:
        file.truncate((64 << 20) + 1)
    with pytest.raises(ConfigError, match="it is larger than 64 MiB; split it"):
        load_collections(tmp_path)


def examples() -> list[str]:
    text = (ROOT / "docs" / "seeds.md").read_text("utf-8")
    return re.findall(r"^```toml\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_documentation_are_sound() -> None:
    seed_files = [text for text in examples() if not text.startswith("[archive]")]
    assert len(seed_files) >= 6
    for text in seed_files:
        assert toml(text).seeds
    for text in set(examples()) - set(seed_files):
        config.parse(text.encode(), ROOT, {})


def test_the_documentation_names_every_key() -> None:
    text = (ROOT / "docs" / "seeds.md").read_text("utf-8")
    tables = (ScopeTable, LinkPolicy, RunLimits, CrawlOverrides, CrawlPolicy, ExtractPolicy)
    keys = [field.name for shape in tables for field in msgspec.structs.fields(shape)]
    assert [key for key in keys if f"`{key}`" not in text] == []


@settings(max_examples=200)
@given(
    st.one_of(st.binary(max_size=100), st.text(max_size=100).map(str.encode)),
    st.sampled_from(["c.toml", "c.txt", "c.csv", "c.opml"]),
)
def test_whatever_is_in_the_file_the_operator_gets_a_message(raw: bytes, name: str) -> None:
    try:
        collection = parse(Path("seeds") / name, raw)
    except ConfigError as error:
        assert str(error).startswith(f"seeds/{name}: ")
    else:
        assert collection.seeds


def test_the_first_collection_is_sound_and_polite() -> None:
    (collection,) = load_collections(ROOT / "seeds", ["mim-etext"])
    assert [seed.url for seed in collection.seeds] == [
        "https://www.prisoncensorship.info/archive/etext/"
    ]
    assert collection.scope.type == "prefix"
    assert collection.overrides.delay_s == 5.0
    assert collection.note


def test_a_very_long_url_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "x.txt").write_text("http://a.example/" + "x" * 1_000_000)
    with pytest.raises(ConfigError, match="longer than 8192"):
        load_collections(tmp_path)


@pytest.mark.parametrize("kind", ["folder", "dangling link", "pipe"])
def test_a_seed_file_that_is_no_file_is_not_passed_over(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.toml"
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConfigError, match=r"seeds/x\.toml: could not be read"):
        load_collections(tmp_path)


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "seeds").write_text("hi")
    with pytest.raises(ConfigError, match="could not be read"):
        load_collections(tmp_path / "seeds")
