"""fixity/checkpoint: a whole ledger in three lines (FORMAT.md §9; C2SP tlog-checkpoint, the body).

For sealing, verification and proofs. Pure.
"""

from __future__ import annotations

import base64
import re
from typing import Final

from msgspec import Struct

NAME: Final = "fixity/checkpoint"
SIGNATURE: Final = "fixity/checkpoint.sig"

MAX_BYTES: Final = 4096
"""No checkpoint is longer, and no more of one is read."""

_BODY = re.compile(rb"([!-~]{1,200})\n(0|[1-9][0-9]{0,17})\n([A-Za-z0-9+/]{43}=)\n")


class Checkpoint(Struct, frozen=True, kw_only=True):
    """The state of a ledger: which one, how many lines, and their Merkle root (RFC 6962 §2.1)."""

    origin: str
    size: int
    root: bytes

    def encode(self) -> bytes:
        """Give the bytes of the file, which are also what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n".encode()

    @classmethod
    def parse(cls, data: bytes) -> Checkpoint | None:
        """Read a checkpoint; None where the bytes are none, or are one in another spelling."""
        match = _BODY.fullmatch(data)
        if match is None:
            return None
        found = cls(origin=match[1].decode(), size=int(match[2]), root=base64.b64decode(match[3]))
        return found if found.encode() == data else None
