"""gzip in and out: zlib-ng where it can be imported, else the standard library's zlib.

zlib-ng level 6 costs a third of zlib level 9 and its output is within 1 % of it on HTML
(`benchmarks/`). Compressed bytes differ between the two; nothing may ever compare them.
"""

from __future__ import annotations

import zlib
from typing import Any, Literal, Protocol

_fast: Any
try:
    from zlib_ng import zlib_ng as _fast
except ImportError:  # no wheel for this platform
    _fast = None

inflate_error: Any = (zlib.error,) if _fast is None else (zlib.error, _fast.error)
"""What a decompressor raises on broken data, for `except`."""

Codec = Literal["auto", "zlib-ng", "zlib"]

_GZIP = 31  # window bits: 15, with a gzip header and trailer


class Compressor(Protocol):
    """One gzip member being written."""

    def compress(self, data: bytes, /) -> bytes:
        """Take more input."""

    def flush(self) -> bytes:
        """End the member."""


def compressor(codec: Codec, level: int) -> Compressor:
    """Start one gzip member with no name and no time in its header.

    `auto` and `zlib-ng` use zlib-ng where it is installed; `zlib` never does.
    """
    module: Any = zlib if codec == "zlib" or _fast is None else _fast
    started: Compressor = module.compressobj(level, 8, _GZIP)
    return started


def compress(data: bytes, level: int) -> bytes:
    """Deflate `data` in one go, to see how small it gets."""
    deflated: bytes = (_fast or zlib).compress(data, level)
    return deflated


def decompressor() -> Any:
    """Start to inflate one gzip member: a zlib decompression object."""
    return (_fast or zlib).decompressobj(_GZIP)


def name(codec: Codec) -> str:
    """Name the library that `codec` means on this machine, and its version."""
    if codec == "zlib" or _fast is None:
        return f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    return f"zlib-ng {_fast.ZLIBNG_VERSION}"
