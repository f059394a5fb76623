"""The largest root of a direction of a deep linear model: radicals where there are some, else named and computable.

A direction of the singular value sigma keeps the share kappa = s/sigma, a root of (1 - kappa) kappa^(1 - 2/p) = t with
t = tau/sigma^(2 - 2/p). With kappa = y^p for odd p and y^(p/2) for even p that is a polynomial in y, of degree 1, 4, 3
for p = 2, 3, 4; from p = 5 on its degree is at least 5, and its root has no radicals worth the name.
"""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import sympy as sp
from sympy.core.function import ArgumentIndexError


def pull(share: Any, p: Any) -> Any:
    """(1 - kappa) kappa^(1 - 2/p): the relative shrinkage t at which a share is stationary."""
    return (1 - share) * share ** (1 - 2 / sp.sympify(p))


def turning_share(p: Any) -> Any:
    """Where the pull is largest: the share at the spinodal, (p - 2)/(2p - 2)."""
    return (p - 2) / (2 * p - 2)


def coexisting_share(p: Any) -> Any:
    """The share whose value is that of zero, (p - 2)/(p - 1)."""
    return (p - 2) / (p - 1)


def spinodal(p: Any) -> Any:
    """The largest t with a nonzero stationary point."""
    p = sp.sympify(p)
    return p / (2 * p - 2) * turning_share(p) ** (1 - 2 / p)


def coexistence(p: Any) -> Any:
    """The t below which the nonzero stationary point is the global minimum."""
    p = sp.sympify(p)
    return coexisting_share(p) ** (1 - 2 / p) / (p - 1)


class LargestRoot(sp.Function):
    """kappa_p(t): the largest root of (1 - kappa) kappa^(1 - 2/p) = t, for 0 <= t <= the spinodal, p >= 2.

    `evalf` and `lambdify` give its number, NaN where there is no root; `expand_func` its radicals for p = 3 and p = 4;
    `diff` its derivative in t.
    """

    nargs = 2

    @classmethod
    def eval(cls, *args: Any) -> Any:
        """What needs no root: t = 0, and p = 2."""
        t, p = args
        if t.is_zero:
            return sp.S.One
        if t.is_finite is False or t is sp.nan:
            return sp.nan
        if p == 2:
            return 1 - t
        if t.is_number and p.is_Integer and (t > spinodal(p)) is sp.true:
            return sp.nan
        return None

    def _eval_is_extended_positive(self) -> bool | None:
        return True

    def _eval_is_finite(self) -> bool | None:
        return True

    @property
    def _relative(self) -> Any:
        return self.args[0]

    @property
    def _order(self) -> Any:
        return self.args[1]

    def fdiff(self, argindex: int = 1) -> Any:
        """1/g'(kappa), from g(kappa) = t."""
        if argindex != 1:
            raise ArgumentIndexError(self, argindex)
        p = self._order
        return p * self ** (2 / p) / (p - 2 - (2 * p - 2) * self)

    def _eval_expand_func(self, **hints: Any) -> Any:
        t, p = self._relative, self._order
        return {3: _quartic, 4: _cubic}.get(int(p), lambda _: self)(t) if p.is_Integer else self

    def _eval_evalf(self, prec: int) -> Any:
        t, p = (arg._eval_evalf(prec + 20) for arg in (self._relative, self._order))
        if not (t.is_Float or t.is_Integer) or not p.is_number:
            return None
        with mpmath.workprec(prec + 20):
            return sp.Float._new(_share(mpmath.mpf(t), int(p))._mpf_, prec)

    @staticmethod
    def _imp_(t: Any, p: Any) -> Any:
        relative, order = np.broadcast_arrays(t, p)
        pairs = zip(relative.flat, order.flat, strict=True)
        return np.array([float(_share(mpmath.mpf(float(a)), int(b))) for a, b in pairs]).reshape(relative.shape)

    def _latex(self, printer: Any, exp: Any = None) -> str:
        shown = rf"\kappa_{{{printer._print(self.args[1])}}}\left({printer._print(self.args[0])}\right)"
        return shown if exp is None else rf"{{{shown}}}^{{{exp}}}"

    def _pretty(self, printer: Any) -> Any:
        from sympy.printing.pretty.stringpict import prettyForm

        order = self._order
        name = "κ" + (str(order).translate(_LOWERED) if order.is_Integer else f"_{order}")
        inner = printer._print(self._relative)
        return prettyForm(*prettyForm(*inner.parens()).left(name), binding=prettyForm.ATOM)


_LOWERED = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def resolvent(t: Any) -> Any:
    """The positive root of u^3 = 4tu + 1, by Cardano."""
    root = sp.sqrt(1 - 256 * t**3 / 27)
    return ((1 + root) / 2) ** sp.Rational(1, 3) + ((1 - root) / 2) ** sp.Rational(1, 3)


def quartic_root(u: Any) -> Any:
    """The largest root y of y - y^4 = t, from the resolvent u (Ferrari)."""
    return (sp.sqrt(u) + sp.sqrt(2 / sp.sqrt(u) - u)) / 2


def _quartic(t: Any) -> Any:
    return quartic_root(resolvent(t)) ** 3


def cubic_angle(t: Any) -> Any:
    """phi with cos 3 phi = -3 sqrt(3) t/2."""
    return sp.acos(-3 * sp.sqrt(3) * t / 2) / 3


def _cubic(t: Any) -> Any:
    """y - y^3 = t has the largest root y = 2 cos(phi)/sqrt 3 (Viète); kappa = y^2."""
    return sp.Rational(4, 3) * sp.cos(cubic_angle(t)) ** 2


def _share(t: Any, p: int) -> Any:
    """Newton's method on delta (1 - delta)^a = t, a = 1 - 2/p, concave and rising: from the left it never passes.

    At the spinodal the root is double and each step halves the error, so that a bit costs a step there.
    """
    a = 1 - mpmath.mpf(2) / p
    top = 1 / (1 + a)
    largest = top * (1 - top) ** a
    if t < 0 or t > largest * (1 + 4 * mpmath.eps):
        return mpmath.nan
    if t >= largest:
        return 1 - top
    delta = t
    for _ in range(4 * mpmath.mp.prec):
        slope = (1 - delta) ** (a - 1) * (1 - (1 + a) * delta)
        step = (t - delta * (1 - delta) ** a) / slope if slope > 0 else mpmath.mpf(0)
        following = min(delta + step, top)
        if following - delta <= mpmath.eps * following:
            return 1 - following
        delta = following
    return 1 - delta
