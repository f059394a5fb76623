"""The letters of the notation page as SymPy symbols: statements and proofs mean the same by them."""

import sympy as sp

from ufm.problem import ClassTargets, Problem

K = sp.Symbol("K", integer=True, positive=True)  # classes; statements about pairs of classes need K >= 2
n = sp.Symbol("n", integer=True, positive=True)  # samples per class, balanced
m = sp.Symbol("m", integer=True, positive=True)  # target dimension
d = sp.Symbol("d", integer=True, positive=True)  # feature width
N = sp.Symbol("N", integer=True, positive=True)  # samples
lam_W = sp.Symbol("lambda_W", positive=True)
lam_H = sp.Symbol("lambda_H", positive=True)
lam_b = sp.Symbol("lambda_b", positive=True)
tau = sp.Symbol("tau", positive=True)
rho = sp.Symbol("rho", positive=True)

c = sp.sqrt(lam_W * lam_H)


def values_of(problem: Problem) -> dict[str, float]:
    """The numbers that a problem gives to the symbols, by name; n only where the classes are balanced."""
    known = {"m": problem.m, "N": problem.N, "lambda_H": problem.lam_H, "lambda_b": problem.lam_b}
    known |= {"lambda_W": problem.lam_W[0]} if problem.p == 2 else {}
    if isinstance(problem.targets, ClassTargets):
        known["K"] = problem.K
        if problem.targets.balanced:
            known["n"] = int(problem.targets.counts[0])
    return {name: float(value) for name, value in known.items()}
