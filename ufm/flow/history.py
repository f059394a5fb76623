"""Times and gradient norms of a stack of flows: `ufm.flow.steady.Decay`, one column a flow."""

from typing import Any

from ufm.arrays import Array

LONGEST = 4096  # steps tried that are kept at most; beyond, every other one of them is forgotten


class History:
    """Rows: steps tried, a rejected one repeating the one before; columns: flows."""

    def __init__(self, xp: Any, t: Array, gradient: Array) -> None:
        self.xp, self.t, self.gradient = xp, [t], [gradient]

    def add(self, t: Array, gradient: Array) -> None:
        """One more step of every flow."""
        self.t.append(t)
        self.gradient.append(gradient)
        if len(self.t) > LONGEST:  # the first and the last stay
            self.t, self.gradient = ([*x[:-1:2], x[-1]] for x in (self.t, self.gradient))

    def take(self, rows: Array) -> None:
        """Keep these flows only."""
        xp = self.xp
        self.t = list(_rows(xp, xp.take(xp.stack(self.t), rows, axis=1)))
        self.gradient = list(_rows(xp, xp.take(xp.stack(self.gradient), rows, axis=1)))

    def rate(self) -> Array:
        """Mean rate of the decay over its last decade, or since its maximum if that is smaller; NaN before one decade.

        As `Decay.rate`.
        """
        xp, t, g = self.xp, self.xp.stack(self.t), self.xp.stack(self.gradient)
        now, end = g[-1, :], t[-1, :]
        infinite = 0 * t + float("inf")
        above = g >= 10 * now
        decade = xp.max(xp.where(above, t, -infinite), axis=0)
        at_decade = xp.max(xp.where(above & (t == decade), g, 0 * g), axis=0)
        top = xp.max(g, axis=0)
        at_top = xp.min(xp.where(g == top, t, infinite), axis=0)
        known = xp.any(above, axis=0) & (now > 0) & xp.isfinite(now)
        one = xp.where(known, now, 1.0 + 0 * now)
        rates = [
            xp.log(xp.where(known, value / one, 1.0 + 0 * one)) / (end - since)
            for value, since in ((at_decade, decade), (top, at_top))
        ]
        return xp.where(known, xp.minimum(*rates), float("nan") + 0 * now)

    def looks_algebraic(self) -> Array:
        """As `Decay.looks_algebraic`: whether the decay has been a power of t over the last factor of four."""
        xp, t, g = self.xp, self.xp.stack(self.t[1:]), self.xp.stack(self.gradient[1:])
        log_t, log_g = xp.log2(t), xp.log2(g)
        now = t[-1, :]
        values = [_interpolated(xp, log_t, log_g, xp.log2(now * part)) for part in (0.25, 0.5, 1.0)]
        earlier, later = values[0] - values[1], values[1] - values[2]
        return (later > 0.3) & (later < 1.1 * earlier)


def _rows(xp: Any, table: Array) -> list[Array]:
    return [table[i, :] for i in range(table.shape[0])]


def _interpolated(xp: Any, x: Array, y: Array, at: Array) -> Array:
    """Per column, the piecewise linear function through (x, y), x increasing, at one point; constant outside."""
    infinite = 0 * x + float("inf")
    low = xp.max(xp.where(x <= at, x, -infinite), axis=0)
    low = xp.where(xp.isfinite(low), low, x[0, :])
    high = xp.min(xp.where(x >= at, x, infinite), axis=0)
    high = xp.where(xp.isfinite(high), high, x[-1, :])
    at_low, at_high = (xp.max(xp.where(x == end, y, -infinite), axis=0) for end in (low, high))
    width = high - low
    share = xp.where(width > 0, (at - low) / xp.where(width > 0, width, 1.0 + 0 * width), 0 * width)
    return at_low + share * (at_high - at_low)
