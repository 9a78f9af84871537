"""gzip in and out: libdeflate and zlib-ng where they can be imported, else the library's own zlib.

libdeflate takes a whole member at once and needs two thirds of zlib-ng's time for the same size
(`benchmarks/`); zlib-ng takes what is too large for memory, and inflates. Compressed bytes differ
between the three; nothing may ever compare them.
"""

from __future__ import annotations

import zlib
from typing import Any, Literal, Protocol

_fast: Any
_whole: Any
try:
    from zlib_ng import zlib_ng as _fast
except ImportError:  # no wheel for this platform
    _fast = None
try:
    import deflate
except ImportError:  # no wheel for this platform
    _whole = None
else:
    _whole = deflate

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
    started: Compressor = _module(codec).compressobj(level, 8, _GZIP)
    return started


def compress_member(data: bytes, codec: Codec, level: int) -> bytes:
    """Make one gzip member of `data`, with no name and no time in its header.

    `auto` uses libdeflate where it is installed; otherwise as `compressor`. Level 0 stores.
    """
    member: bytes
    if codec == "auto" and _whole is not None:
        member = _whole.gzip_compress(data, level)
    else:
        member = _module(codec).compress(data, level, _GZIP)
    return member


def decompressor() -> Any:
    """Start to inflate one gzip member: a zlib decompression object."""
    return (_fast or zlib).decompressobj(_GZIP)


def names(codec: Codec) -> tuple[str, ...]:
    """Name the libraries that `codec` means on this machine, each with its version."""
    if codec == "zlib" or _fast is None:
        stream = f"zlib {zlib.ZLIB_RUNTIME_VERSION}"
    else:
        stream = f"zlib-ng {_fast.ZLIBNG_VERSION}"
    return (f"deflate {_whole.__version__}", stream) if codec == "auto" and _whole else (stream,)


def name(codec: Codec) -> str:
    """Name the libraries that `codec` means, in one line."""
    return ", ".join(names(codec))


def fast_level(codec: Codec) -> int:
    """Give the fastest level that still looks for what can be won from dense data.

    It is 1 for libdeflate; zlib-ng has no Huffman tables of its own making at 1, and wins nothing.
    """
    return 1 if codec == "auto" and _whole is not None else 2


def _module(codec: Codec) -> Any:
    return zlib if codec == "zlib" or _fast is None else _fast
