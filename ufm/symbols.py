"""The letters of the notation page as SymPy symbols, shared by statements and proofs so that both mean the same thing."""

import sympy as sp

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
