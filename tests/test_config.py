"""config.py and model/toml.py: the operator's settings, and what is said about wrong ones."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline import __version__, config
from pipeline.config import Config, ConfigFile
from pipeline.crawl.rules.scope import ScopeTable
from pipeline.errors import ConfigError, NoArchive
from pipeline.model import toml
from pipeline.model.digest import sha256
from pipeline.model.policy import (
    ArchivePolicy,
    CrawlOverrides,
    CrawlPolicy,
    LinkPolicy,
    RunLimits,
    WarcPolicy,
)
from pipeline.stages.init import CONFIG_TOML

ROOT = Path(__file__).resolve().parents[1]


def parse(text: str | bytes, root: Path = ROOT, **environ: str) -> Config:
    return config.parse(text.encode() if isinstance(text, str) else text, root, environ)


def mistakes(text: str | bytes, root: Path = ROOT, **environ: str) -> list[str]:
    with pytest.raises(ConfigError) as raised:
        parse(text, root, **environ)
    assert raised.value.exit_code == 2
    return str(raised.value).splitlines()


def test_an_empty_file_gives_the_defaults() -> None:
    settled = parse("")
    assert settled.archive == ArchivePolicy()
    assert settled.warc == WarcPolicy()
    assert settled.crawl == CrawlPolicy(user_agent=f"Holdfast/{__version__}")
    assert settled.crawl.delay_s == 1.0
    assert settled.digest == sha256(b"")


def test_what_the_file_says_holds_and_its_bytes_are_kept() -> None:
    text = '[archive]\ntitle = "T"\n[crawl]\ndelay_s = 3\nworkers = 2\n[warc]\ncodec = "zlib"\n'
    settled = parse(text)
    assert settled.archive.title == "T"
    assert (settled.crawl.delay_s, settled.crawl.workers) == (3.0, 2)
    assert settled.warc.codec == "zlib"
    assert settled.raw == text.encode()
    assert settled.digest == sha256(text.encode())


def test_requests_name_us_and_whom_to_write_to() -> None:
    contact = '[archive]\ncontact = "https://library.example.org/crawler"\n'
    agent = f"Holdfast/{__version__} (+https://library.example.org/crawler)"
    assert parse(contact).crawl.user_agent == agent
    assert parse(contact + '[crawl]\nuser_agent = "Own/1"').crawl.user_agent == "Own/1"


SECONDS = "expected a number of seconds, 0 or more (at most a day), got"
WRONG = {
    '[crawl]\n\ndelay_s = "fast"': [f'config.toml: line 3: crawl.delay_s: {SECONDS} "fast"'],
    "[crawl]\ndelay_s = nan": [f"config.toml: line 2: crawl.delay_s: {SECONDS} NaN"],
    "[crawl]\ndelay_s = inf": [f"config.toml: line 2: crawl.delay_s: {SECONDS} Infinity"],
    "[crawl]\ndelay_s = true": [f"config.toml: line 2: crawl.delay_s: {SECONDS} true"],
    "crawl.delay_s = -1": [f"config.toml: line 1: crawl.delay_s: {SECONDS} -1"],
    "crawl = {delay_s = -1}": [f"config.toml: line 1: crawl.delay_s: {SECONDS} -1"],
    "[crawl]\nconnect_timeout_s = 0": [
        "config.toml: line 2: crawl.connect_timeout_s: expected a number of seconds above 0 (at"
        " most a day), got 0"
    ],
    "[crawl]\nwrokers = 3\n\n[crawler]\n[warc]\nlevel = 10\ncodec = 'gz'": [
        "config.toml: line 2: crawl.wrokers: unknown key; did you mean workers?",
        "config.toml: line 4: crawler: unknown key; did you mean crawl?",
        "config.toml: line 6: warc.level: expected a whole number from 1 (fast) to 9 (small), got"
        " 10",
        'config.toml: line 7: warc.codec: expected "auto", "zlib-ng" or "zlib", got "gz"',
    ],
    "[warc]\nxyz = 1": [
        "config.toml: line 2: warc.xyz: unknown key; known here: max_file_bytes, codec, level"
    ],
    "[warc]\nmax_file_bytes = 1.5": [
        "config.toml: line 2: warc.max_file_bytes: expected a whole number of bytes, 1 or more (at"
        " most 1 TiB), got 1.5"
    ],
    '[crawl]\ntls = "lax"\ncookies = 1\nin_flight = 17\nallow_addresses = ["lan"]': [
        'config.toml: line 2: crawl.tls: expected "strict" or "record", got "lax"',
        "config.toml: line 3: crawl.cookies: expected true or false, got 1",
        "config.toml: line 4: crawl.in_flight: expected a whole number from 1 to 16, got 17",
        'config.toml: line 5: crawl.allow_addresses: expected a list of "loopback", "private",'
        ' "link-local" and "special", got ["lan"]',
    ],
    '[extract]\nundeclared_encodings = ["klingon"]': [
        "config.toml: line 2: extract.undeclared_encodings: expected a list, each value one of"
        ' "iso-8859-2", "iso-8859-15", "koi8-r", "macintosh", "windows-1250", "windows-1251",'
        ' "windows-1252", "windows-1253", "windows-1254", "windows-1257", "x-mac-cyrillic", got'
        ' ["klingon"]'
    ],
    "crawl = 3": ["config.toml: line 1: crawl: expected a table [crawl], got 3"],
    '[archive]\ncontact = "a\\r\\nX-Evil: b"': [
        "config.toml: line 2: archive.contact: expected one line of plain ASCII text, at most 500"
        ' characters, got "a\\r\\nX-Evil: b"'
    ],
    '[archive]\ncontact = "a\\n"': [
        "config.toml: line 2: archive.contact: expected one line of plain ASCII text, at most 500"
        ' characters, got "a\\n"'
    ],
    "[archive]\noperator = 1979-05-27": [
        "config.toml: line 2: archive.operator: expected one line of text, at most 500 characters,"
        ' got "1979-05-27"'
    ],
    '[crawl]\nca_bundle = "nowhere.pem"': [
        "config.toml: line 2: crawl.ca_bundle: expected a file of root certificates (PEM), got"
        ' "nowhere.pem": no such file'
    ],
    "x = " + "[" * 5000: ["config.toml: not valid TOML: nested too deeply, or a number too long"],
    "x = " + "9" * 5000: ["config.toml: not valid TOML: nested too deeply, or a number too long"],
}


@pytest.mark.parametrize(
    ("text", "expected"), WRONG.items(), ids=[re.sub(r"\s+", " ", text[:40]) for text in WRONG]
)
def test_every_mistake_is_told_with_line_key_and_what_was_expected(
    text: str, expected: list[str]
) -> None:
    assert mistakes(text) == expected


def test_syntax_errors_are_told_with_their_line() -> None:
    (message,) = mistakes("[archive]\n\ntitle = = 3")
    assert re.fullmatch(r"config.toml: line 3: not valid TOML: .*, column \d+", message)
    (message,) = mistakes('[archive]\ntitle = "x"\ntitle = "y"')
    assert message.startswith("config.toml: ")


def test_a_file_in_another_encoding_is_told_with_its_line() -> None:
    assert mistakes("[archive]\ntitle = 'Müller'".encode("latin-1")) == [
        "config.toml: line 2: expected UTF-8 text, got the byte 0xfc; save it as UTF-8"
    ]


def test_a_byte_order_mark_and_crlf_are_no_mistakes() -> None:
    assert parse(b"\xef\xbb\xbf[archive]\r\ntitle = 'x'\r\n").archive.title == "x"


def test_long_and_unprintable_values_are_shown_short_and_harmless() -> None:
    (message,) = mistakes("[warc]\ncodec = '" + "z" * 500 + "'")
    assert len(message) < 160
    (message,) = mistakes('[warc]\ncodec = "\\u001b[31m\\u202e"')
    assert message.isprintable()


def test_a_folder_without_config_toml_is_no_archive(tmp_path: Path) -> None:
    with pytest.raises(NoArchive) as raised:
        config.load(tmp_path, {})
    assert str(raised.value) == (
        f"{tmp_path}: no archive here (there is no config.toml); run `holdfast init {tmp_path}` to"
        " make one, or name the archive with -C"
    )
    assert raised.value.exit_code == 10


def test_a_config_that_cannot_be_read_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "config.toml").mkdir()
    with pytest.raises(ConfigError, match=r"config\.toml: could not be read"):
        config.load(tmp_path, {})


def test_the_ca_bundle_lies_beside_the_config_and_the_environment_wins(tmp_path: Path) -> None:
    own, other = tmp_path / "own.pem", tmp_path / "other.pem"
    own.touch()
    other.touch()
    text = '[crawl]\nca_bundle = "own.pem"'
    assert parse(text, tmp_path).crawl.ca_bundle == str(own)
    assert parse(text, tmp_path, HOLDFAST_CA_BUNDLE=str(other)).crawl.ca_bundle == str(other)
    assert parse("", tmp_path, HOLDFAST_CA_BUNDLE=str(other)).crawl.ca_bundle == str(other)
    assert parse("", tmp_path, HOLDFAST_CA_BUNDLE="").crawl.ca_bundle == ""
    (message,) = mistakes(text, tmp_path, HOLDFAST_CA_BUNDLE="/nowhere.pem")
    assert message.startswith("HOLDFAST_CA_BUNDLE: expected a file of root certificates (PEM)")


def test_the_template_explains_every_key_and_sets_each_to_its_default() -> None:
    written = tomllib.loads(CONFIG_TOML)
    defaults = json.loads(msgspec.json.encode(ConfigFile()))
    assert written == defaults
    for table, keys in written.items():
        assert f"\n[{table}]\n" in CONFIG_TOML
        assert keys
    unexplained = [
        line
        for before, line in zip(
            CONFIG_TOML.splitlines(), CONFIG_TOML.splitlines()[1:], strict=False
        )
        if " = " in line and not line.startswith("#") and not before.startswith("#")
    ]
    assert unexplained == []


def test_every_setting_says_what_it_expects() -> None:
    for table in msgspec.structs.fields(ConfigFile):
        for field in msgspec.structs.fields(table.type):
            assert toml._expected(field.type), f"{table.name}.{field.name}"


def test_every_setting_of_a_seed_file_says_what_it_expects() -> None:
    for shape in (ScopeTable, LinkPolicy, RunLimits, CrawlOverrides):
        for field in msgspec.structs.fields(shape):
            assert toml._expected(field.type), f"{shape.__name__}.{field.name}"


def test_the_settings_of_this_repository_are_the_template() -> None:
    assert (ROOT / "config.toml").read_text("utf-8") == CONFIG_TOML


def test_the_settings_of_this_repository_are_sound() -> None:
    settled = config.load(ROOT, {})
    assert settled.crawl.delay_s >= 1


def test_the_line_of_a_key_is_found_however_it_is_written() -> None:
    text = 'a = 1\n[t] # table\n"b" = 2\n  c.d = 3\n[[ t.u ]]\ne=1\n# f = 1\n'
    assert toml.line_of(text, "a") == 1
    assert toml.line_of(text, "t") == 2
    assert toml.line_of(text, "t.b") == 3
    assert toml.line_of(text, "t.c.d") == 4
    assert toml.line_of(text, "t.u.e") == 6
    assert toml.line_of(text, "t.z") == 2
    assert toml.line_of(text, "f") is None


KEYS = st.sampled_from(["crawl", "archive", "warc", "delay_s", "title", "level", "x", "extract"])
VALUES = st.recursive(
    st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=10)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=8,
)


@settings(max_examples=200)
@given(st.one_of(st.binary(max_size=80), st.text(max_size=80).map(str.encode)))
def test_whatever_is_in_the_file_the_operator_gets_a_message(raw: bytes) -> None:
    try:
        parse(raw)
    except ConfigError as error:
        assert str(error).startswith("config.toml: ")


@settings(max_examples=200)
@given(st.dictionaries(KEYS, VALUES, max_size=4))
def test_the_messages_miss_nothing_that_the_types_refuse(document: dict[str, object]) -> None:
    """The walk that makes the messages and the conversion agree about every document."""
    try:
        msgspec.convert(document, ConfigFile)
        refused = False
    except msgspec.ValidationError:
        refused = True
    assert bool(list(toml._problems(document, ConfigFile, ""))) is refused
