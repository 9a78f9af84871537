"""Keys and signatures as OpenSSH writes them, read far enough to know whose they are.

For signing and verification. Whether a signature holds is for `ssh-keygen` to say; here is only
what must be known before it is asked. Pure. Sources: RFC 4251 §5 (strings), RFC 4253 §6.6 (keys),
OpenSSH's PROTOCOL.sshsig and PROTOCOL.key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from typing import Final

from msgspec import Struct

MAX_BYTES: Final = 64 * 1024
"""No key or signature that is read is longer."""

_SIGNATURE = "SSH SIGNATURE"
_PRIVATE_KEY = "OPENSSH PRIVATE KEY"
_PRIVATE_MAGIC = b"openssh-key-v1\0"
_LINE = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]{1,16384}={0,2})(?: [^\n]*)?\n?")


class PublicKey(Struct, frozen=True):
    """The public half of a key: its type, such as `ssh-ed25519`, and its bytes."""

    type: str
    blob: bytes

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it in one line, without a comment."""
        return f"{self.type} {base64.b64encode(self.blob).decode()}"

    @property
    def fingerprint(self) -> str:
        """The fingerprint that `ssh-keygen -l` prints."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode()
        return "SHA256:" + digest.rstrip("=")

    @classmethod
    def parse(cls, text: object) -> PublicKey | None:
        """Read one line of a `.pub` file; None where it is no plain key (or a certificate)."""
        match = _LINE.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            return None
        try:
            key = cls.of(base64.b64decode(match[2], validate=True))
        except binascii.Error:
            return None
        # one key has one spelling
        return key if key and key.line == f"{match[1]} {match[2]}" else None

    @classmethod
    def of(cls, blob: bytes) -> PublicKey | None:
        """Take the bytes of a key, which begin with its type; None where they do not."""
        try:
            name = _Strings(blob).take().decode("ascii")
        except (ValueError, UnicodeDecodeError):
            return None
        if not re.fullmatch(r"[a-z0-9@.-]{1,64}", name) or "-cert-" in name:
            return None
        return cls(name, blob)


class Signature(Struct, frozen=True):
    """Who claims to have signed, and for what purpose (PROTOCOL.sshsig, "Blob format")."""

    key: PublicKey
    namespace: str

    @classmethod
    def parse(cls, armored: bytes) -> Signature | None:
        """Read an armored signature; None where it is none."""
        blob = _unarmored(armored, _SIGNATURE)
        if blob is None or not blob.startswith(b"SSHSIG\0\0\0\1"):
            return None
        strings = _Strings(blob[10:])
        try:
            key, namespace = PublicKey.of(strings.take()), strings.take().decode("ascii")
        except (ValueError, UnicodeDecodeError):
            return None
        return cls(key, namespace) if key else None


def public_half(private: bytes) -> PublicKey | None:
    """Read the public half out of a private key file, which need not be decrypted for it.

    None where the file is none, or of the older kind that hides it.
    """
    blob = _unarmored(private, _PRIVATE_KEY)
    if blob is None or not blob.startswith(_PRIVATE_MAGIC):
        return None
    strings = _Strings(blob[len(_PRIVATE_MAGIC) :])
    try:
        for _ in ("cipher", "key derivation", "its options"):
            strings.take()
        return PublicKey.of(strings.take()) if strings.number() == 1 else None
    except ValueError:
        return None


def is_private(data: bytes) -> bool:
    """Tell whether a file holds the private half of a key, in whatever form."""
    return b"PRIVATE KEY-----" in data


class _Strings:
    """Length-prefixed strings, one after the other (RFC 4251 §5)."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def number(self) -> int:
        end = self._at + 4
        if end > len(self._data):
            raise ValueError("ends inside a number")
        number = int.from_bytes(self._data[self._at : end])
        self._at = end
        return number

    def take(self) -> bytes:
        length = self.number()
        end = self._at + length
        if end > len(self._data):
            raise ValueError("ends inside a string")
        data = self._data[self._at : end]
        self._at = end
        return data


def _unarmored(data: bytes, label: str) -> bytes | None:
    begin, end = f"-----BEGIN {label}-----\n".encode(), f"-----END {label}-----".encode()
    if len(data) > MAX_BYTES or not data.startswith(begin) or not data.rstrip().endswith(end):
        return None
    inner = data.rstrip()[len(begin) : -len(end)]
    try:
        return base64.b64decode(inner.replace(b"\n", b""), validate=True)
    except binascii.Error:
        return None
