"""The longest image of a non-negative unit vector, max ||E g|| over g >= 0, ||g|| = 1, from below and from above.

It is the square root of max g'Mg with M = E'E, a copositive program. From below: projected power steps, which never
lower g'Mg. From above: g'Ng >= 0 for every N >= 0, so lambda_max(M + N) bounds it; the least such bound is the dual of
the doubly non-negative relaxation max tr(M P) over P positive semidefinite and P >= 0, tr P = 1, exact up to four
columns. Any N >= 0 will do, so nothing rests on how well the relaxation was solved. With five columns and more the
relaxation may be loose; few rows or columns are searched exactly.
"""

import itertools
from collections.abc import Iterator

import numpy as np

_STEPS = 300
_ENUMERATED = 12  # columns up to which all supports are tried: 4096 small eigenvalue problems
_NOISE = 1e-9  # of an eigenvector's entries
_WORK = 3e7  # columns^3 times splitting steps
_PENALTY = 2.0


def longest(E: np.ndarray, above: float = 0.0) -> tuple[float, np.ndarray]:
    """The largest ||E g|| found, and its g: exact for few rows or columns, else by projected power steps.

    above: a length that is of no interest; the exact search, which is dearer, is for what exceeds it.
    """
    length, g = _by_power(E)
    if length > above:
        return length, g
    exact = _exact(E, above)
    return exact if exact is not None and exact[0] > length else (length, g)


def longest_bound(E: np.ndarray, atoms: np.ndarray | None = None, enough: float = 0.0) -> float:
    """An upper bound on ||E g||, as small as it comes; atoms (columns x j): vectors that are expected to attain it.

    enough: stop as soon as the bound is no larger.
    """
    M = E.T @ E
    size = float(np.trace(M))
    if size == 0:
        return 0.0
    M, goal = M / size, enough**2 / size
    lifted = np.maximum(-M, 0)
    np.fill_diagonal(lifted, 0)
    start, least = min(((N, _top(M + N)) for N in (np.zeros_like(M), lifted)), key=lambda pair: pair[1])
    if least <= goal:
        return float(np.sqrt(least * size))
    exact = _exact(E, enough)
    if exact is not None:
        return max(exact[0], enough)
    for N in (start, *_splitting(M)):
        candidates = [N]
        if atoms is not None and atoms.size:
            candidates.append(_complementary(N, M, atoms))
        least = min(least, *(_top(M + N) for N in candidates))
        if least <= goal:
            break
    return float(np.sqrt(least * size))


def _by_power(E: np.ndarray) -> tuple[float, np.ndarray]:
    """g <- (M g)_+ normalised, from every coordinate and a few random starts."""
    columns = E.shape[1]
    rng = np.random.default_rng(0)
    g = np.hstack([np.eye(columns), np.abs(rng.standard_normal((columns, 8)))])
    g /= np.linalg.norm(g, axis=0)
    M = E.T @ E
    for _ in range(_STEPS):
        step = np.maximum(M @ g, 0)
        size = np.linalg.norm(step, axis=0)
        step = np.where(size > 0, step / np.where(size > 0, size, 1), g)
        moved = float(np.max(np.abs(step - g)))
        g = step
        if moved <= 1e-12:
            break
    lengths = np.linalg.norm(E @ g, axis=0)
    best = int(np.argmax(lengths))
    return float(lengths[best]), g[:, best]


def _exact(E: np.ndarray, above: float) -> tuple[float, np.ndarray] | None:
    """The maximum and where it is, for at most two rows or few columns (0 where none exceeds `above`); else None."""
    if E.shape[0] <= 2:
        return _by_arcs(E)
    return _by_supports(E, above) if E.shape[1] <= _ENUMERATED else None


def _by_arcs(E: np.ndarray) -> tuple[float, np.ndarray]:
    """Two rows: max over unit u of ||(E'u)_+||, a sinusoid in twice the angle between the angles where a sign flips."""
    E = np.vstack([E, np.zeros((2 - E.shape[0], E.shape[1]))])
    flips = np.arctan2(E[1], E[0])[:, None] + np.array([-np.pi / 2, np.pi / 2])
    flips = np.unique(np.mod(flips, 2 * np.pi))
    middle = (flips + np.append(flips[1:], flips[0] + 2 * np.pi)) / 2
    seen = np.where(np.cos(middle) * E[0][:, None] + np.sin(middle) * E[1][:, None] > 0, 1.0, 0.0)
    peak = np.arctan2(2 * (E[0] * E[1]) @ seen, (E[0] ** 2 - E[1] ** 2) @ seen) / 2
    angles = np.concatenate([flips, peak, peak + np.pi])  # where a peak lies outside its arc it is one more point
    g = np.maximum(np.cos(angles) * E[0][:, None] + np.sin(angles) * E[1][:, None], 0)
    lengths = np.linalg.norm(g, axis=0)
    best = int(np.argmax(lengths))
    return float(lengths[best]), g[:, best] / max(float(lengths[best]), np.finfo(float).tiny)


def _by_supports(E: np.ndarray, above: float) -> tuple[float, np.ndarray]:
    """g'Mg is stationary on its support S: a positive eigenvector of M_SS. All supports are tried.

    An eigenspace of several dimensions reaches the boundary of its orthant: the same value on a smaller support.
    """
    M, columns = E.T @ E, E.shape[1]
    height, best = above**2, np.zeros(columns)
    for number in range(1, columns + 1):
        supports = np.array(list(itertools.combinations(range(columns), number)))
        values, vectors = np.linalg.eigh(M[supports[:, :, None], supports[:, None, :]])
        vectors = vectors * np.where(vectors.sum(axis=1, keepdims=True) < 0, -1, 1)
        values = np.where(np.min(vectors, axis=1) >= -_NOISE, values, -np.inf)
        at = np.unravel_index(int(np.argmax(values)), values.shape)
        if values[at] > height:
            height, best = float(values[at]), np.zeros(columns)
            best[supports[at[0]]] = np.maximum(vectors[at[0], :, at[1]], 0)
    return float(np.linalg.norm(E @ best)), best


def _top(M: np.ndarray) -> float:
    """lambda_max, with what round-off may have hidden of it."""
    top = float(np.linalg.eigvalsh(M)[-1])
    return top + 4 * np.finfo(float).eps * abs(top)


def _splitting(M: np.ndarray) -> Iterator[np.ndarray]:
    """Matrices N >= 0 whose lambda_max(M + N) falls towards the relaxation's value: P in two copies, by ADMM."""
    columns = M.shape[0]
    P = np.zeros_like(M)
    U = np.zeros_like(M)
    steps = int(np.clip(_WORK / columns**3, 20, 2000))
    for step in range(1, steps + 1):
        values, vectors = np.linalg.eigh(P - U + M / _PENALTY)
        X = (vectors * _on_the_simplex(values)) @ vectors.T
        P = np.maximum(X + U, 0)
        U = U + X - P
        if step % 20 == 0:
            yield -_PENALTY * U


def _on_the_simplex(values: np.ndarray) -> np.ndarray:
    """The nearest point with non-negative entries of sum 1."""
    falling = np.sort(values)[::-1]
    excess = (np.cumsum(falling) - 1) / np.arange(1, values.size + 1)
    return np.maximum(values - excess[np.flatnonzero(falling > excess)[-1]], 0)


def _complementary(N: np.ndarray, M: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    """The nearest N with N g = (g'Mg - M) g and g'N g = 0 for every atom g: both hold where the bound is attained."""
    columns = M.shape[0]
    atoms = atoms / np.linalg.norm(atoms, axis=0)
    height = float(np.max(np.sum(atoms * (M @ atoms), axis=0)))
    barred = (atoms > 0).astype(float) @ (atoms > 0).T > 0
    i, k = np.nonzero(np.triu(~barred, 1))
    if i.size == 0:
        return np.zeros_like(N)
    N = np.where(barred, 0, (N + N.T) / 2)
    missing = height * atoms - M @ atoms - N @ atoms
    system = np.zeros((columns, atoms.shape[1], i.size))
    entry = np.arange(i.size)
    system[i, :, entry] += atoms[k]
    system[k, :, entry] += atoms[i]
    change = np.linalg.lstsq(system.reshape(-1, i.size), missing.ravel(), rcond=1e-12)[0]
    N[i, k] += change
    N[k, i] = N[i, k]
    return np.maximum(N, 0)
