"""Bytes become text by the strongest evidence, and doubts are said."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.extract.charset import decode
from pipeline.model.encodings import CODECS, canonical_name

ENGLISH = "The café’s “log” – eleven years’ worth – was naïve. " * 3


@given(st.binary(max_size=400), st.none() | st.text(max_size=30))
@settings(max_examples=150, deadline=None)
def test_decode_never_raises_and_always_gives_storable_text(
    data: bytes, header: str | None
) -> None:
    decoded = decode(data, header)

    decoded.text.encode("utf-8")
    assert "\0" not in decoded.text
    assert decoded.charset.used in CODECS


@given(st.text(alphabet=st.characters(exclude_categories=("Cs",)), max_size=200))
@settings(max_examples=60, deadline=None)
def test_utf_8_text_is_read_back_as_it_was(text: str) -> None:
    decoded = decode(("#" + text).encode(), None, markup=False)  # '#': no byte order mark

    assert decoded.text == ("#" + text).replace("\0", "\ufffd")


@pytest.mark.parametrize("codec", ["cp1252", "mac-roman"])
def test_english_punctuation_tells_windows_from_macintosh(codec: str) -> None:
    assert decode(ENGLISH.encode(codec), None).text == ENGLISH


@pytest.mark.parametrize(
    ("data", "header", "used", "method"),
    [
        (b"\xef\xbb\xbfcaf\xc3\xa9", "text/html; charset=koi8-r", "utf-8", "bom"),
        (b"plain", "text/html; charset=utf-16", "utf-8", "ascii"),
        ("café".encode(), "text/html; charset=iso-8859-1", "utf-8", "utf-8"),
        (b"caf\xe9", "text/html; charset=ISO-8859-1", "windows-1252", "http"),
        (b"caf\x8e", "text/html; charset=x-mac-roman", "macintosh", "http"),
        (b"<meta charset=koi8-r>\xd4\xc5\xcb\xd3\xd4", None, "koi8-r", "meta"),
        (b"<?xml version='1.0' encoding='iso-8859-2'?>\xb1", None, "iso-8859-2", "meta"),
        (b"a\xa0b and more\xa0text", None, "windows-1252", "no-break-space"),
        ("Fog.".encode("utf-16-le") * 9, None, "utf-16le", "nul-pattern"),
        (b"\x1b$B%m%0\x1b(B", "text/html; charset=iso-2022-jp", "iso-2022-jp", "http"),
        ("naïve café λ".encode() * 20 + b"\xff", None, "utf-8", "utf-8"),
        ("naïve café λ".encode() * 20 + b"\xce", "text/html;charset=utf8", "utf-8", "http"),
    ],
)
def test_the_order_of_evidence(data: bytes, header: str | None, used: str, method: str) -> None:
    charset = decode(data, header).charset

    assert (charset.used, charset.method) == (used, method)


def test_an_encoding_that_the_bytes_contradict_is_not_used() -> None:
    decoded = decode(ENGLISH.encode("cp1252"), "text/html; charset=utf-8")

    assert decoded.text == ENGLISH
    assert "charset-conflict" in decoded.flags


def test_chardet_does_not_get_to_see_the_declaration() -> None:
    page = b"<meta charset=euc-kr><p>" + ENGLISH.encode("mac-roman") + b"\xff"

    assert decode(page, None).charset.used == "macintosh"


def test_mac_bytes_under_a_latin_1_label_are_doubted() -> None:
    data = ENGLISH.encode("mac-roman")

    decoded = decode(data, "text/html; charset=windows-1252")

    assert (decoded.charset.used, decoded.charset.detected) == ("windows-1252", "macintosh")
    assert "charset-doubt" in decoded.flags
    assert decoded.charset.alternatives == ("macintosh",)


def test_damaged_utf_8_counts_what_was_lost() -> None:
    decoded = decode("naïve café λ".encode() * 20 + b"\xff", None)

    assert decoded.charset.replaced == 1
    assert "replaced-characters" in decoded.flags


def test_the_holes_of_windows_1252_become_flagged_controls() -> None:
    for header in ("text/html; charset=windows-1252", None):
        decoded = decode(ENGLISH.encode("cp1252") + b"\x81", header)

        assert decoded.text == ENGLISH + "\x81"
        assert "c1-controls" in decoded.flags


def test_dense_high_bytes_open_the_whole_list() -> None:
    text = "Журнал вёлся одиннадцать лет, каждую ночь, без единого пропуска. "

    assert decode((text * 2).encode("cp1251"), None).text == text * 2
    assert decode(b"<p>" + (text * 2).encode("koi8-r"), None).text == "<p>" + text * 2


def test_an_operator_can_widen_what_is_considered() -> None:
    czech = "Příliš žluťoučký kůň úpěl ďábelské ódy a pil čaj s mlékem v zahradě. " * 4

    widened = decode(czech.encode("cp1250"), None, undeclared=("windows-1250", "windows-1252"))

    assert widened.text == czech


@pytest.mark.parametrize("codec", sorted(set(CODECS.values())))
def test_every_codec_exists(codec: str) -> None:
    "".encode(codec)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        (" ISO-8859-1 ", "windows-1252"),
        ("us-ascii", "windows-1252"),
        ("x-mac-roman", "macintosh"),
        ("GB2312", "gb18030"),
        ("utf-7", None),
        ("zlib", None),
        ("", None),
    ],
)
def test_labels_mean_what_the_standard_says(label: str, name: str | None) -> None:
    assert canonical_name(label) == name
