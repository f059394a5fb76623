"""Width below the rank of the convex optimum: a local search over the factors, whose best is no more than that."""

import numpy as np
from scipy.optimize import minimize

from ufm.optimum.entropy.newton import EntropySolution
from ufm.optimum.entropy.program import EntropyProgram, Point
from ufm.optimum.entropy.spectral import svd

_STARTS = 8


def solve_narrow(program: EntropyProgram, d: int, wide: EntropySolution) -> EntropySolution:
    """The best of several descents over W (m x d), G (d x K), b, from the truncated optimum and from random starts.

    With X = W G the penalty is threshold/2 (||W||^2 + ||G||^2), which equals threshold ||X||_* where the factors are
    balanced (srebro2004). Bound and dual are those of the convex problem.
    """
    m, K = program.T.shape
    root = np.sqrt(wide.s[:d])
    first = np.concatenate([(wide.U[:, :d] * root).ravel(), (wide.V[:, :d] * root).T.ravel(), wide.b])
    rng = np.random.default_rng(0)
    size = float(np.sqrt(wide.s[0] / max(m, K)))
    starts = [first]
    for _ in range(_STARTS - 1):
        start = size * rng.standard_normal(first.size)
        start[-m:] = wide.b
        starts.append(start)
    options = {"gtol": 1e-12 * program.threshold, "ftol": 0, "maxiter": 5000, "maxfun": 20000, "maxcor": 30}
    found = [minimize(_slope, x, args=(program, d), jac=True, method="L-BFGS-B", options=options) for x in starts]
    W, G, b = _split(min(found, key=lambda result: result.fun).x, program, d)
    U, s, Vt = svd(W @ G)
    U, s, V = U[:, :d], s[:d], Vt[:d].T
    kept = s > 1e-12 * np.max(s, initial=0.0)
    U, s, V = U[:, kept], s[kept], V[:, kept]
    b = b - b.mean() if program.has_bias else np.zeros(m)
    point = Point.at(program, (U * s) @ V.T, b)
    value = point.fit + program.threshold * float(np.sum(s)) + point.bias_penalty()
    return EntropySolution(U, s, V, b, value, wide.bound, wide.dual, wide.work + sum(int(r.nfev) for r in found))


def _split(x: np.ndarray, program: EntropyProgram, d: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    m, K = program.T.shape
    return x[: m * d].reshape(m, d), x[m * d : m * d + d * K].reshape(d, K), x[-m:]


def _slope(x: np.ndarray, program: EntropyProgram, d: int) -> tuple[float, np.ndarray]:
    W, G, b = _split(x, program, d)
    point = Point.at(program, W @ G, b if program.has_bias else np.zeros_like(b))
    value = point.fit + point.bias_penalty() + program.threshold * float(np.sum(W**2) + np.sum(G**2)) / 2
    by_b = program.lam_b * b - point.pull if program.has_bias else np.zeros_like(b)
    by_W = program.threshold * W - point.E @ G.T
    by_G = program.threshold * G - W.T @ point.E
    return value, np.concatenate([by_W.ravel(), by_G.ravel(), by_b])
