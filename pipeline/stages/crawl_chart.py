"""Charts of a crawl report as SVG text. Pure; every word from outside is escaped by the caller.

A pause between two sessions of a run is drawn as a narrow break: an axis true to the clock would
show two spikes and nothing between them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise

from msgspec import Struct

_WIDTH, _HEIGHT = 760, 150
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 8, 12, 34
_INNER = _WIDTH - _LEFT - _RIGHT
_BASE = _HEIGHT - _BOTTOM
_GAP_FROM = 4.0  # bars narrower than this touch, and look like an area
_WIDEST = 48.0
_LABEL_ROOM = 62
_SHORTEST_PAUSE = 15  # points; and a quarter of all
_TICKS_MIN = (1, 2, 5, 10, 15, 30, 60, 120, 180, 360, 720, 1440, 2880, 7200, 14_400, 43_200)
_MOST_TICKS = 8
_DAY_MIN = 1440


class TimeAxis(Struct, frozen=True):
    """Where each point of time stands on a chart.

    Attributes:
        minutes: Unix time // 60 at which each point begins.
        places: how many points' widths each stands from the left.
        width: how many points' widths there are in all.
        pauses: place, width and minutes of each break.
        step: minutes that a point stands for.

    """

    minutes: Sequence[int]
    places: Sequence[int]
    width: int
    pauses: Sequence[tuple[int, int, int]]
    step: int

    @classmethod
    def of(cls, minutes: Sequence[int], step: int) -> TimeAxis:
        """Lay out points, in order of time; there is at least one."""
        longest = max(_SHORTEST_PAUSE, len(minutes) // 4)
        room = max(2, len(minutes) // 30)
        places, pauses = [0], []
        for before, after in pairwise(minutes):
            distance = max(1, (after - before) // step)
            if distance > longest:
                pauses.append((places[-1] + 1, room, after - before - step))
                distance = 1 + room
            places.append(places[-1] + distance)
        return cls(minutes, places, places[-1] + 1, pauses, step)

    def x(self, place: float) -> float:
        """Give the coordinate of a place."""
        return _LEFT + _INNER * place / self.width

    def ticks(self) -> Iterator[tuple[float, int]]:
        """Give the coordinates of round moments, and the moments, with room for a label each."""
        drawn = self.width - sum(room for _, room, _ in self.pauses)
        every = next(
            (t for t in _TICKS_MIN if drawn * self.step / t <= _MOST_TICKS), _TICKS_MIN[-1]
        )
        last_x = float(-_LABEL_ROOM)
        for minute, place in zip(self.minutes, self.places, strict=True):
            round_ = -(-minute // every) * every
            # the round moment lies within this point, or in the quiet before the next
            if round_ >= minute + self.step:
                continue
            x = self.x(place + (round_ - minute) / self.step)
            if x - last_x >= _LABEL_ROOM:
                last_x = x
                yield x, round_


def time_chart(
    axis: TimeAxis,
    values: Sequence[int],
    *,
    name: str,
    title: str,
    description: str,
    written: Callable[[int], str],
) -> str:
    """Draw one bar for each point of time.

    Args:
        axis: where they stand.
        values: how high each is.
        name: identifier within the page, and class of the bars.
        title: what is shown, escaped.
        description: what it says, escaped; for who cannot see it.
        written: writes a value for the scale.

    """
    top = _round_up(max(values))
    parts = [
        f'<svg class="time" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img"'
        f' aria-labelledby="{name}-t {name}-d">',
        f'<title id="{name}-t">{title}</title><desc id="{name}-d">{description}</desc>',
        *_scale(top, written),
        *_breaks(axis),
        f'<path class="{name}" d="{_bars(axis, values, top)}"/>',
        *_clock(axis),
        "</svg>",
    ]
    return "\n".join(parts)


def bar(share: float, kind: str = "") -> str:
    """Draw the bar of a table's row; the table has its number. `share` is from 0 to 1."""
    drawn = max(0.6, 100 * min(share, 1.0)) if share > 0 else 0.0
    return (
        f'<svg class="bar {kind}" viewBox="0 0 100 10" preserveAspectRatio="none"'
        f' aria-hidden="true"><rect width="{drawn:.1f}" height="10" rx="1"/></svg>'
    )


def _bars(axis: TimeAxis, values: Sequence[int], top: int) -> str:
    width = _INNER / axis.width
    heights = [max(1.0, (_BASE - _TOP) * value / top) if value else 0.0 for value in values]
    if width < _GAP_FROM:
        return _outline(axis, heights)
    drawn = min(width * 0.82, _WIDEST)
    return "".join(
        f"M{axis.x(place):.1f} {_BASE}v-{height:.1f}h{drawn:.1f}v{height:.1f}z"
        for place, height in zip(axis.places, heights, strict=True)
        if height
    )


def _outline(axis: TimeAxis, heights: Sequence[float]) -> str:
    """Draw bars that touch as one shape: half the bytes, and no seams."""
    path, end = [f"M{_LEFT} {_BASE}"], 0
    for place, height in zip(axis.places, heights, strict=True):
        if place > end:
            path.append(f"V{_BASE}H{axis.x(place):.1f}")
        end = place + 1
        path.append(f"V{_BASE - height:.1f}H{axis.x(end):.1f}")
    return "".join(path) + f"V{_BASE}z"


def _scale(top: int, written: Callable[[int], str]) -> Iterator[str]:
    values = (0, top // 2, top) if top > 1 else (0, top)
    for value in values:
        y = _BASE - (_BASE - _TOP) * value / top
        kind = "axis" if value == 0 else "grid"
        yield f'<path class="{kind}" d="M{_LEFT} {y:.1f}H{_WIDTH - _RIGHT}"/>'
        yield f'<text class="y" x="{_LEFT - 8}" y="{y + 4:.1f}">{written(value)}</text>'


def _breaks(axis: TimeAxis) -> Iterator[str]:
    for place, room, minutes in axis.pauses:
        x, width = axis.x(place), _INNER * room / axis.width
        yield (
            f'<rect class="pause" x="{x:.1f}" y="{_TOP}" width="{width:.1f}"'
            f' height="{_BASE - _TOP}"><title>paused for {span(minutes * 60)}</title></rect>'
        )


def _clock(axis: TimeAxis) -> Iterator[str]:
    day = None
    for x, minute in axis.ticks():
        moment = datetime.fromtimestamp(minute * 60, UTC)
        yield f'<path class="axis" d="M{x:.1f} {_BASE}v4"/>'
        if axis.step < _DAY_MIN:
            yield f'<text class="x" x="{x:.1f}" y="{_BASE + 16}">{moment:%H:%M}</text>'
        if moment.date() != day:
            day = moment.date()
            yield f'<text class="x day" x="{x:.1f}" y="{_BASE + 29}">{moment:%Y-%m-%d}</text>'


def _round_up(value: int) -> int:
    """Give the next number that a scale may end in: 1, 2, 4, 6 or 8, and zeros."""
    if value <= 2:
        return max(value, 1)
    power = int(10 ** (len(str(value)) - 1))
    return next(n * power for n in (1, 2, 4, 6, 8, 10) if n * power >= value)


def span(seconds: int) -> str:
    """Write a length of time for people, in its two largest units."""
    units = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))
    for (unit, name), (smaller, its_name) in pairwise(units):
        if seconds >= unit:
            rest = seconds % unit // smaller
            return f"{seconds // unit:,} {name}" + (f" {rest} {its_name}" if rest else "")
    return f"{seconds} s"
