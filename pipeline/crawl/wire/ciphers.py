"""Names of TLS cipher suites: what OpenSSL calls them, made into what IANA's registry calls them.

For the record of an exchange. Pure. Suites that no web server uses (pre-shared keys and the like)
keep OpenSSL's name.
"""

from __future__ import annotations

import re
from functools import lru_cache

_SUITE = re.compile(
    r"(?:(?P<exchange>ECDHE|DHE|EDH)-(?:(?P<signature>ECDSA|RSA|DSS)-)?)?"
    r"(?:(?P<block>AES|ARIA|CAMELLIA)(?P<bits>128|256)(?:-(?P<mode>GCM|CCM8|CCM))?"
    r"|(?P<other>CHACHA20-POLY1305|DES-CBC3|RC4|SEED))"
    r"(?:-(?P<digest>SHA(?:256|384)?|MD5))?"
)
_OTHER = {
    "CHACHA20-POLY1305": "CHACHA20_POLY1305_SHA256",
    "DES-CBC3": "3DES_EDE_CBC",
    "RC4": "RC4_128",
    "SEED": "SEED_CBC",
}


@lru_cache(maxsize=256)
def iana_name(name: str) -> str:
    """Give the registered name of a cipher suite; a name that follows no known rule stays."""
    suite = _SUITE.fullmatch(name)
    if suite is None:
        return name
    exchange, signature, block, bits, mode, other, digest = suite.groups()
    parts = ["TLS"]
    if exchange:
        parts.append("ECDHE" if exchange == "ECDHE" else "DHE")
    parts += [signature or "RSA", "WITH"]
    if other:
        parts.append(_OTHER[other])
    else:
        parts += [block, bits, {None: "CBC", "CCM8": "CCM_8"}.get(mode, mode)]
    if digest:
        parts.append(digest)
    return "_".join(parts)
