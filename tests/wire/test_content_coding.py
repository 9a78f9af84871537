"""Content codings undone: bounded, and what can be read of broken ones is read."""

from __future__ import annotations

import gzip
import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.model.content import decode_content
from pipeline.model.http import find_head

TEXT = b"The quick brown fox jumps over the lazy dog. " * 400
NOISE = random.Random(1).randbytes(200_000)
BIG = 1 << 30
ZEROS = bytes(20_000_000)
BOMBS = {
    b"gzip": gzip.compress(ZEROS),
    b"deflate": zlib.compress(ZEROS),
    b"gzip, gzip": gzip.compress(gzip.compress(ZEROS)),
    b"identity": ZEROS[:60_000],
    b"br": ZEROS[:60_000],
}


def head(coding: bytes):
    return find_head(b"HTTP/1.1 200 OK\r\nContent-Encoding: " + coding + b"\r\n\r\n")


def deflate_raw(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


@pytest.mark.parametrize(
    ("coding", "payload"),
    [
        (b"gzip", gzip.compress(TEXT)),
        (b"X-GZIP", gzip.compress(TEXT)),
        (b"gzip", gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:])),
        (b"gzip", gzip.compress(TEXT) + bytes(512)),
        (b"deflate", zlib.compress(TEXT)),
        (b"deflate", deflate_raw(TEXT)),
        (b"deflate, gzip", gzip.compress(zlib.compress(TEXT))),
        (b"identity, gzip, identity", gzip.compress(TEXT)),
        (b"identity", TEXT),
        (b"", TEXT),
    ],
)
def test_codings_are_undone(coding, payload):
    decoded = decode_content(payload, head(coding), BIG)
    assert (decoded.data, decoded.problem) == (TEXT, None)


def test_a_response_without_a_head_has_no_coding():
    assert decode_content(TEXT, None, BIG).data == TEXT


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_an_empty_body_is_not_broken(coding):
    assert decode_content(b"", head(coding), BIG).problem is None


@pytest.mark.parametrize("coding", [b"br", b"zstd", b"compress", b"br, gzip", b"\xff"])
def test_unknown_codings_leave_the_data_as_they_then_are(coding):
    payload = gzip.compress(b"\x0b\x02") if b"gzip" in coding else b"\x0b\x02"
    decoded = decode_content(payload, head(coding), BIG)
    assert (decoded.data, decoded.problem) == (b"\x0b\x02", "content-encoding-unsupported")


def test_long_chains_of_codings_are_not_followed():
    decoded = decode_content(TEXT, head(b"gzip, " * 500 + b"gzip"), BIG)
    assert (decoded.data, decoded.problem) == (TEXT, "content-encoding-unsupported")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
def test_what_is_not_coded_at_all_is_taken_as_it_is(coding):
    decoded = decode_content(b"<html>plain", head(coding), BIG)
    assert (decoded.data, decoded.problem) == (b"<html>plain", "content-encoding-broken")


@pytest.mark.parametrize("kept", [5_000, 40_000, 150_000])
@pytest.mark.parametrize("damage", [b"", b"\xff" * 400])
def test_broken_gzip_gives_what_was_before_the_break(kept, damage):
    whole = gzip.compress(NOISE + TEXT)
    decoded = decode_content(whole[:kept] + damage, head(b"gzip"), BIG)
    assert decoded.problem == "content-encoding-broken"
    assert decoded.data[: kept - 1_000] == NOISE[: kept - 1_000]


def test_gzip_cut_in_its_beginning_gives_nothing():
    decoded = decode_content(gzip.compress(NOISE)[:12], head(b"gzip"), BIG)
    assert (decoded.data, decoded.problem) == (b"", "content-encoding-broken")


def test_a_wrong_checksum_is_broken_and_nothing_is_lost():
    whole = gzip.compress(TEXT)
    wrong = whole[:-8] + bytes(8)
    decoded = decode_content(wrong, head(b"gzip"), BIG)
    assert decoded.problem == "content-encoding-broken"
    assert decoded.data == TEXT


@pytest.mark.parametrize("coding", BOMBS)
@pytest.mark.parametrize("limit", [1, 1_000, 50_000])
def test_output_is_bounded(coding, limit):
    decoded = decode_content(BOMBS[coding], head(coding), limit)
    assert len(decoded.data) == limit
    assert decoded.problem in ("content-too-large", "content-encoding-unsupported")


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.sampled_from([b"gzip", b"deflate", b"deflate, gzip"]))
def test_no_payload_makes_the_decoder_raise(soup, coding):
    for payload in (soup, gzip.compress(TEXT)[:40] + soup, zlib.compress(TEXT)[:20] + soup):
        decoded = decode_content(payload, head(coding), 10_000)
        assert len(decoded.data) <= 10_000
