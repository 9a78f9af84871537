"""TLS: strict unless the collection says `record`, and then every weakness is written down."""

from __future__ import annotations

import ssl
import subprocess
import warnings

import pytest

from pipeline.crawl.wire.ciphers import iana_name
from pipeline.crawl.wire.fetch import fetch
from pipeline.model.exchange import Failed

HEADERS = (("User-Agent", "test/1"),)


def answer(talk):
    talk.hear()
    talk.say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")


def answer_twice(talk):
    answer(talk)
    answer(talk)


def never(talk):
    """Stand for a connection whose handshake fails."""


FAULTS = {
    "expired": "certificate has expired",
    "other": "IP address mismatch, certificate is not valid for '127.0.0.1'",
    "alone": "self-signed certificate",
}


@pytest.mark.parametrize(("fault", "words"), FAULTS.items())
def test_a_certificate_that_does_not_hold_is_captured_and_marked(
    fault, words, serve, certificates, make_adapter
):
    server = serve(never, answer, tls=certificates.server_context(fault))
    exchange = fetch(make_adapter(tls=True, tls_policy="record"), server.url, HEADERS).exchange
    assert exchange.tls.untrusted.replace("self signed", "self-signed") == words
    assert exchange.response.prefix(12) == b"HTTP/1.1 200"
    assert exchange.request == server.finish().received


@pytest.mark.parametrize("fault", FAULTS)
def test_a_certificate_that_does_not_hold_fails_a_strict_crawl(
    fault, serve, certificates, make_adapter
):
    server = serve(never, never, tls=certificates.server_context(fault))
    outcome = fetch(make_adapter(tls=True), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "tls"
    assert server.talks == []


def test_a_certificate_of_an_unknown_root_is_captured_and_marked(serve, make_adapter):
    server = serve(never, answer, tls=True)
    exchange = fetch(make_adapter(tls_policy="record"), server.url, HEADERS).exchange
    assert "local issuer certificate" in exchange.tls.untrusted


def test_a_certificate_that_holds_is_not_marked(serve, make_adapter):
    server = serve(answer, tls=True)
    exchange = fetch(make_adapter(tls=True, tls_policy="record"), server.url, HEADERS).exchange
    assert exchange.tls.untrusted == ""


def old_context(certificates, fault: str = "") -> ssl.SSLContext:
    context = certificates.server_context(fault)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1
    return context


@pytest.mark.parametrize(
    ("fault", "connections", "untrusted"),
    [("", 2, "TLS 1.0"), ("expired", 3, "TLS 1.0, certificate has expired")],
)
def test_an_old_server_is_captured_and_marked(
    fault, connections, untrusted, serve, certificates, make_adapter
):
    scripts = [never] * (connections - 1) + [answer]
    server = serve(*scripts, tls=old_context(certificates, fault))
    exchange = fetch(make_adapter(tls=True, tls_policy="record"), server.url, HEADERS).exchange
    assert (exchange.tls.version, exchange.tls.untrusted) == ("TLSv1", untrusted)


def test_an_old_server_fails_a_strict_crawl(serve, certificates, make_adapter):
    server = serve(never, never, tls=old_context(certificates))
    outcome = fetch(make_adapter(tls=True), server.url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "tls"


def test_a_server_without_tls_is_given_up_after_the_second_try(serve, make_adapter):
    plain = [lambda talk: talk.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")] * 2
    server = serve(*plain)
    url = server.url.replace("http:", "https:")
    outcome = fetch(make_adapter(tls_policy="record"), url, HEADERS)
    assert isinstance(outcome, Failed)
    assert outcome.reason == "tls"
    server.finish()
    assert len(server.talks) == 2


def test_a_marked_connection_that_is_kept_stays_marked(serve, certificates, make_adapter):
    server = serve(never, answer_twice, tls=certificates.server_context("alone"))
    adapter = make_adapter(tls_policy="record")
    marks = [fetch(adapter, server.url, HEADERS).exchange.tls.untrusted for _ in range(2)]
    assert marks[0] == marks[1] != ""


def test_ciphers_have_the_names_of_the_registry(serve, certificates, make_adapter):
    context = certificates.server_context()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    server = serve(answer, tls=context)
    exchange = fetch(make_adapter(tls=True), server.url, HEADERS).exchange
    assert exchange.tls.version == "TLSv1.2"
    assert exchange.tls.cipher == "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256"


def test_openssl_and_we_agree_on_the_names_of_ciphers(certificates):
    suites = "ALL:COMPLEMENTOFALL:!aNULL:!eNULL:!PSK:!SRP:!GOST:@SECLEVEL=0"
    command = ["openssl", "ciphers", "-stdname", suites]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    pairs = [line.split()[:3] for line in listed.splitlines()]
    assert len(pairs) > 50
    assert {openssl: iana_name(openssl) for _, _, openssl in pairs} == {
        openssl: iana for iana, _, openssl in pairs
    }


@pytest.mark.parametrize(
    ("name", "iana"),
    [
        ("DES-CBC3-SHA", "TLS_RSA_WITH_3DES_EDE_CBC_SHA"),
        ("EDH-RSA-DES-CBC3-SHA", "TLS_DHE_RSA_WITH_3DES_EDE_CBC_SHA"),
        ("RC4-MD5", "TLS_RSA_WITH_RC4_128_MD5"),
        ("PSK-AES128-CBC-SHA", "PSK-AES128-CBC-SHA"),
        ("something new", "something new"),
    ],
)
def test_names_of_ciphers_that_are_gone_or_unknown(name, iana):
    assert iana_name(name) == iana


SECRETS = (("Cookie", "session=hush"), ("Authorization", "Basic hush"))


@pytest.mark.parametrize("weakness", ["certificate", "protocol"])
def test_nothing_secret_goes_to_a_server_that_may_be_another(
    weakness, serve, certificates, make_adapter
):
    """Also on a connection that is used again; and the record is what was sent."""
    is_old = weakness == "protocol"
    context = old_context(certificates) if is_old else certificates.server_context("alone")
    server = serve(never, answer_twice, tls=context)
    adapter = make_adapter(tls=True, tls_policy="record")
    exchanges = [fetch(adapter, server.url, (*HEADERS, *SECRETS)).exchange for _ in range(2)]
    received = server.finish().received
    assert received and b"hush" not in received
    assert b"".join(each.request for each in exchanges) == received
    assert [each.withheld for each in exchanges] == [(), ()]


def test_a_login_goes_to_a_server_whose_certificate_holds(serve, make_adapter):
    server = serve(answer, tls=True)
    adapter = make_adapter(tls=True, tls_policy="record")
    exchange = fetch(adapter, server.url, (*HEADERS, *SECRETS)).exchange
    assert server.finish().received.count(b"hush") == 2
    assert exchange.withheld == ("Cookie", "Authorization")
