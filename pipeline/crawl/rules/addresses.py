"""Which network addresses a crawl may reach: the public ones, and what the operator lets in.

For the wire, which asks before it connects and again once it is connected, and for the check that a
public crawl names a contact. Pure: nothing here looks up a name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from msgspec import Struct

from pipeline.model.policy import AddressKind
from pipeline.model.url import split

# Our own table: what `ipaddress` calls private differs from one version of Python to the next.
# The first network that holds an address decides.
_NETWORKS_4: Final[tuple[tuple[str, AddressKind], ...]] = (
    ("127.0.0.0/8", "loopback"),  # RFC 1122 §3.2.1.3
    ("10.0.0.0/8", "private"),  # RFC 1918
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.64.0.0/10", "private"),  # shared by the customers of one carrier (RFC 6598)
    ("169.254.0.0/16", "link-local"),  # RFC 3927; clouds answer for their metadata here
    ("168.63.129.16/32", "link-local"),  # so does one of them here
    ("0.0.0.0/8", "special"),  # "this network"; 0.0.0.0 often leads to loopback
    ("192.0.0.0/24", "special"),  # IETF protocol assignments (RFC 6890)
    ("192.0.2.0/24", "special"),  # documentation (RFC 5737)
    ("198.51.100.0/24", "special"),
    ("203.0.113.0/24", "special"),
    ("192.88.99.0/24", "special"),  # relays of 6to4, given up (RFC 7526)
    ("198.18.0.0/15", "special"),  # benchmarks (RFC 2544)
    ("224.0.0.0/3", "special"),  # multicast, reserved and broadcast
)
_NETWORKS_6: Final[tuple[tuple[str, AddressKind], ...]] = (
    ("::1/128", "loopback"),
    ("fc00::/7", "private"),  # RFC 4193
    ("fec0::/10", "private"),  # site-local, given up (RFC 3879)
    ("64:ff9b:1::/48", "private"),  # a network's own NAT64 (RFC 8215)
    ("fe80::/10", "link-local"),
    ("2001::/23", "special"),  # IETF protocol assignments (RFC 6890)
    ("2001:db8::/32", "special"),  # documentation
    ("3fff::/20", "special"),
)
_KINDS_4 = tuple((IPv4Network(network), kind) for network, kind in _NETWORKS_4)
_KINDS_6 = tuple((IPv6Network(network), kind) for network, kind in _NETWORKS_6)
_GLOBAL_UNICAST = IPv6Network("2000::/3")  # all that is given out so far (RFC 4291 §2.4)
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052
_COMPATIBLE = IPv6Network("::/96")  # IPv4-compatible, given up (RFC 4291 §2.5.5.1)
_LOW_32_BITS = (1 << 32) - 1

# IPv6 addresses, and names that system libraries take for IPv4 addresses
_NUMERIC = re.compile(r"[0-9a-f]*:.*|(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_LOCAL_NAME = re.compile(r"(?:.*\.)?(?:localhost|local|test|invalid|internal|home\.arpa)|[^.]*")


@lru_cache(maxsize=4096)
def kind_of(ip: str) -> AddressKind | None:
    """Say what kind of address `ip` is; None for a public one.

    An IPv6 address that carries an IPv4 address (mapped, compatible, 6to4, NAT64, Teredo) is of the
    kind of that. What is not an address at all is special.
    """
    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return "special"
    if isinstance(address, IPv4Address):
        return _kind_4(address)
    kind = next((kind for network, kind in _KINDS_6 if address in network), None)
    if kind == "loopback":
        return kind
    carried = _carried(address)
    if carried:
        return next((found for each in carried if (found := _kind_4(each))), None)
    if kind is None and address not in _GLOBAL_UNICAST:
        return "special"
    return kind


class Admission(Struct, frozen=True):
    """Which addresses a collection may reach.

    Attributes:
        kinds: those that are not public and may be reached all the same.

    """

    kinds: frozenset[AddressKind]

    @classmethod
    def of(cls, seed_urls: Iterable[str], allow: Iterable[AddressKind]) -> Admission:
        """Let in what the operator lists, and the kinds of addresses that seeds name themselves.

        A seed lets in the kind of its own address if its host is one, and loopback if its host is
        `localhost`. A seed with any other name lets in nothing, wherever the name leads.

        Raises:
            ValueError: a seed is no normal URL, which is a bug.

        """
        named = (_named_kind(split(url).host.strip("[]")) for url in seed_urls)
        return cls(frozenset(allow) | {kind for kind in named if kind})

    def refusal(self, ip: str) -> str | None:
        """Say in words why `ip` may not be reached; None if it may."""
        return self._refusal(ip, kind_of(ip))

    def refusal_of_host(self, host: str) -> str | None:
        """Say why a host may not be reached, as far as it shows without looking it up.

        Addresses (without brackets) and `localhost` can be refused, all other names cannot.
        """
        return self._refusal(host, _named_kind(host))

    def _refusal(self, host: str, kind: AddressKind | None) -> str | None:
        if kind is None or kind in self.kinds:
            return None
        return (
            f"{host} is a {kind} address; to reach such addresses, set"
            f' [crawl] allow_addresses = ["{kind}"] in the seed file'
        )


def is_public_host(url: str) -> bool:
    """Tell whether a normal URL leads, as far as its host shows, to somebody else's server.

    False for addresses that are not public, names without a dot, and names of local networks
    (RFC 6761, RFC 6762, RFC 8375, and `.internal`).
    """
    host = split(url).host.strip("[]").rstrip(".")
    if _NUMERIC.fullmatch(host):
        return kind_of(host) is None
    return not _LOCAL_NAME.fullmatch(host)


def _named_kind(host: str) -> AddressKind | None:
    """Give the kind of a host, without brackets, that is an address or `localhost`."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):
        return "loopback"
    return kind_of(name) if _NUMERIC.fullmatch(name) else None


def _kind_4(address: IPv4Address) -> AddressKind | None:
    return next((kind for network, kind in _KINDS_4 if address in network), None)


def _carried(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Give the IPv4 addresses that packets to `address` may end at."""
    if address in _NAT64 or address in _COMPATIBLE:
        return (IPv4Address(int(address) & _LOW_32_BITS),)
    if address.teredo:
        return address.teredo
    carried = address.ipv4_mapped or address.sixtofour
    return (carried,) if carried else ()
