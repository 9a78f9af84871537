"""Which addresses a crawl may reach, in every spelling an address can come in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.crawl.rules.addresses import Admission, is_public_host, kind_of

KINDS = {
    None: """
        1.1.1.1 8.8.8.8 172.15.255.255 172.32.0.1 100.63.9.9 100.128.0.1 169.253.1.1 192.0.1.1
        198.17.0.1 198.20.0.1 223.255.255.255 2606:4700::1111 2a00::1 2002:101:101::1
        ::ffff:8.8.8.8 64:ff9b::8.8.8.8
        """,
    "loopback": """
        127.0.0.1 127.255.255.254 ::1 ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::7f00:1
        2002:7f00:1::
        """,
    "private": """
        10.0.0.1 172.16.0.1 172.31.255.255 192.168.1.1 100.64.0.1 100.100.100.200 fc00::1
        fd00:ec2::254 fec0::1 ::ffff:10.1.2.3 64:ff9b:1::1 64:ff9b::c0a8:101
        """,
    "link-local": """
        169.254.169.254 169.254.0.1 168.63.129.16 fe80::1 fe80::1%eth0 ::ffff:169.254.169.254
        2002:a9fe:a9fe::1
        """,
    "special": """
        0.0.0.0 0.1.2.3 255.255.255.255 224.0.0.1 240.0.0.1 192.0.2.1 198.51.100.7 203.0.113.1
        198.18.0.1 192.0.0.192 192.88.99.1 :: ff02::1 100::1 2001:db8::1 2001:2::1 3fff::1 4000::1
        ::ffff:0.0.0.0 no-ip 127.1
        """,
}


@pytest.mark.parametrize(
    ("kind", "ip"), [(kind, ip) for kind in KINDS for ip in KINDS[kind].split()]
)
def test_kinds_of_addresses(kind, ip):
    assert kind_of(ip) == kind


@settings(max_examples=200)
@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_an_ipv6_address_is_what_it_is_by_itself(ip):
    carried, kind = int(ip), kind_of(str(ip))
    hidden = [
        IPv6Address((0xFFFF << 32) | carried),
        IPv6Address((0x2002 << 112) | (carried << 80) | 1),
        IPv6Address((0x64FF9B << 96) | carried),
        IPv6Address((0x20010000 << 96) | (int(IPv4Address("8.8.8.8")) << 64) | (~carried % 2**32)),
        IPv6Address((0x20010000 << 96) | (carried << 64) | (~0x08080808 % 2**32)),
    ]
    if carried != 1:  # ::1 itself is loopback, not 0.0.0.1
        hidden.append(IPv6Address(carried))
    assert [kind_of(str(each)) for each in hidden] == [kind] * len(hidden)


@settings(max_examples=200)
@given(st.ip_addresses())
def test_what_the_standard_library_finds_private_is_never_public(ip):
    carries = any(getattr(ip, name, None) for name in ("ipv4_mapped", "sixtofour", "teredo"))
    carries |= ip.version == 6 and (int(ip) >> 32 in (0, 0x64FF9B << 64))
    if not carries and (ip.is_private or ip.is_reserved or ip.is_multicast):
        assert kind_of(str(ip)) is not None


@pytest.mark.parametrize(
    ("seeds", "allow", "ips", "refused"),
    [
        ([], (), ["8.8.8.8"], ["127.0.0.1", "10.0.0.1", "169.254.169.254", "0.0.0.0"]),
        (["http://example.org/"], (), ["8.8.8.8"], ["127.0.0.1", "10.0.0.1"]),
        (["http://intranet/"], (), [], ["127.0.0.1", "10.0.0.1"]),
        (["http://127.0.0.9:81/"], (), ["127.0.0.1", "::1"], ["10.0.0.1", "169.254.169.254"]),
        (["http://localhost/"], (), ["127.0.0.1", "::1"], ["10.0.0.1"]),
        (["http://a.localhost./"], (), ["127.0.0.1"], ["10.0.0.1"]),
        (["http://[::1]/x"], (), ["127.0.0.1"], ["10.0.0.1"]),
        (["http://[::ffff:a00:1]/"], (), ["192.168.0.1"], ["127.0.0.1"]),
        (["http://8.8.8.8/"], (), ["1.1.1.1"], ["127.0.0.1"]),
        ([], ("private",), ["10.0.0.1", "fd00::1"], ["127.0.0.1", "169.254.169.254"]),
        (["http://10.0.0.1/"], ("link-local",), ["10.0.0.9", "169.254.1.1"], ["127.0.0.1"]),
    ],
)
def test_a_seed_lets_in_its_own_kind_and_the_operator_what_he_lists(seeds, allow, ips, refused):
    admission = Admission.of(seeds, allow)
    assert [ip for ip in [*ips, *refused] if admission.refusal(ip)] == refused


def test_a_refusal_says_what_to_write_where():
    assert Admission.of([], ()).refusal("10.0.0.5") == (
        "10.0.0.5 is a private address; to reach such addresses, set"
        ' [crawl] allow_addresses = ["private"] in the seed file'
    )


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.", "a.localhost", "127.0.0.1", "127.1", "0x7f.1", "::1"]
)
def test_hosts_that_lead_here_without_a_name_server_are_refused_by_name(host):
    assert Admission.of([], ()).refusal_of_host(host.lower())
    everything = Admission.of([], ("loopback", "special"))
    assert everything.refusal_of_host(host.lower()) is None


@pytest.mark.parametrize(
    "host", ["example.org", "localhost.example.org", "8.8.8.8", "a", "2a00::1"]
)
def test_other_names_are_not_refused_before_they_are_looked_up(host):
    assert Admission.of([], ()).refusal_of_host(host) is None


PUBLIC = ["example.org", "www.example.org.", "8.8.8.8", "[2a00::1]", "local.example", "xn--4ca.de"]
LOCAL = ["localhost", "a.localhost", "127.0.0.1", "[::1]", "10.0.0.1", "intranet", "nas.local"]
LOCAL += ["a.test", "b.invalid", "db.internal", "router.home.arpa", "nas.local.", "[fe80::1]"]


@pytest.mark.parametrize("host", PUBLIC + LOCAL)
def test_public_hosts_are_those_of_somebody_else(host):
    assert is_public_host(f"http://{host}:8080/path?q=http://example.org/") == (host in PUBLIC)
