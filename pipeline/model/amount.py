"""Amounts as an operator writes them: how long, and how much."""

from __future__ import annotations

import re
from typing import Final

from msgspec import Struct

from pipeline.errors import ConfigError

DAY_S: Final = 86_400

_TIMES = {"s": 1, "m": 60, "h": 3_600, "d": DAY_S}
_SIZES = {
    **{unit: 1000**power for power, unit in enumerate(("B", "kB", "MB", "GB", "TB"))},
    **{unit: 1024**power for power, unit in enumerate(("KiB", "MiB", "GiB", "TiB"), 1)},
}
_AMOUNT = re.compile(r"([0-9]{1,9})([A-Za-z]+)", re.ASCII)


class Budget(Struct, frozen=True, kw_only=True):
    """What a run may use up: seconds or bytes; where both are None, there is no limit."""

    seconds: int | None = None
    bytes: int | None = None

    @classmethod
    def parse(cls, text: str) -> Budget:
        """Read `30m` or `20GiB`.

        Raises:
            ConfigError: it is neither, or nothing at all.

        """
        count, unit = _split(text)
        if not count or unit not in {**_TIMES, **_SIZES}:
            raise ConfigError(
                f"a budget of {text!r}: write a time, 90s, 30m, 8h or 2d,"
                " or an amount, 500MB, 20GiB or 1TB"
            )
        if unit in _TIMES:
            return cls(seconds=count * _TIMES[unit])
        return cls(bytes=count * _SIZES[unit])


def seconds(text: str) -> int:
    """Read `90d` or `12h`; `0d` is allowed.

    Raises:
        ConfigError: it is no length of time.

    """
    count, unit = _split(text)
    if unit not in _TIMES:
        raise ConfigError(f"an age of {text!r}: write a length of time, 12h or 90d")
    return count * _TIMES[unit]


def _split(text: str) -> tuple[int, str]:
    match = _AMOUNT.fullmatch(text)
    return (int(match[1]), match[2]) if match else (0, "")
