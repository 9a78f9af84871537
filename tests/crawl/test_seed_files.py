"""crawl/seeds.py: seed files, and what is said about wrong ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.seeds import Collection, Seed, load_collections, other_files, parse
from pipeline.errors import ConfigError
from pipeline.model.digest import sha256
from pipeline.model.policy import CrawlOverrides, CrawlPolicy

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
        ' ["https://example.org/"]'
    ],
    "seeds = []": [
        "seeds/c.toml: line 1: seeds: expected a list of one or more URLs, such as"
        ' ["https://example.org/"], got []'
    ],
    'seeds = ["http://example.org/"]\ntitel = "x"': [
        "seeds/c.toml: line 2: titel: unknown key; did you mean title?"
    ],
    'seeds = ["http://example.org/"]\n[scope]\n\ntype = "everything"': [
        'seeds/c.toml: line 4: scope.type: expected "prefix" or "host", got "everything"'
    ],
    'seeds = ["http://example.org/"]\nscope = "host"': [
        'seeds/c.toml: line 2: scope: expected a table [scope], got "host"'
    ],
    'seeds = ["http://example.org/"]\ncrawl.delay_s = -1\ncrawl.workers = 3': [
        "seeds/c.toml: line 2: crawl.delay_s: expected a number of seconds, 0 or more (at most a"
        " day), got -1",
        "seeds/c.toml: line 3: crawl.workers: unknown key; known here: delay_s, accept_encoding,"
        " max_body_bytes",
    ],
    'seeds = [\n  "http://example.org/",\n  "ftp://example.org/",\n  "example.org",\n]': [
        'seeds/c.toml: line 3: seeds: expected an http or https URL, got "ftp://example.org/": its'
        " scheme is not http or https",
        'seeds/c.toml: line 4: seeds: expected an http or https URL, got "example.org": it does not'
        " begin with http:// or https://",
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


@settings(max_examples=200)
@given(
    st.one_of(st.binary(max_size=100), st.text(max_size=100).map(str.encode)),
    st.sampled_from(["c.toml", "c.txt"]),
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
