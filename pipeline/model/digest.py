"""SHA-256 digests as Holdfast writes them, and the spellings of other writers as it reads them."""

from __future__ import annotations

import base64
import binascii
import hashlib

from msgspec import Struct

_SIZES = {"md5": 16, "sha1": 20, "sha256": 32, "sha512": 64}


def sha256(data: bytes | bytearray | memoryview) -> str:
    """Give the labelled digest of `data`: `sha256:` and 64 lower-case hex digits."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Digest(Struct, frozen=True):
    """A labelled digest as found in a record header (WARC 1.1 §5.8)."""

    algorithm: str
    raw: bytes

    @classmethod
    def parse(cls, text: str) -> Digest | None:
        """Read `algorithm:value` with the value in hex or Base32; None where it is neither.

        Labels are compared in lower case and without a hyphen, as `SHA-256:` is seen in the wild.
        """
        label, colon, value = text.strip().partition(":")
        algorithm = label.lower().replace("-", "")
        size = _SIZES.get(algorithm)
        if not colon or size is None:
            return None
        try:
            if len(value) == 2 * size:
                return cls(algorithm, bytes.fromhex(value))
            raw = base64.b32decode(value.upper() + "=" * (-len(value) % 8))
        except (ValueError, binascii.Error):
            return None
        return cls(algorithm, raw) if len(raw) == size else None

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.raw.hex()}"
