"""Cross-entropy of classes in groups: the convex program of what one class of each group sees, whatever K is.

Averaging over the classes of a group raises neither cross-entropy nor the nuclear norm, so some optimum is symmetric:
X is a matrix on the group means and x_g on the K_g - 1 directions inside group g, and a class of group g has G + 1
different logits, its own and one for every group (of K_h classes, K_g - 1 in its own group). Coordinates are isometric:
y_g = sqrt(K_g - 1) x_g, and b in the basis of the normalised indicators. Mean-square units, as in `entropy.program`.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ufm.optimum.symmetry import Groups


@dataclass(frozen=True, eq=False)
class GroupProgram:
    """min over X (G x G), y (G), b (G) of the fit + threshold (||X||_* + sum sqrt(K_g - 1) |y_g|) + lam_b/2 ||b||^2.

    Tables are (G + 1) x G: a column for a class of each group, rows for the outputs of each group, last its own.
    """

    groups: Groups
    threshold: float
    lam_b: float

    @property
    def mass(self) -> float:
        """Sum of the target of any class."""
        return self.groups.alpha + self.groups.member.size * self.groups.beta

    @property
    def has_bias(self) -> bool:
        """False where lam_b is infinite."""
        return not math.isinf(self.lam_b)

    @cached_property
    def r(self) -> np.ndarray:
        """sqrt(n_g/N) of one class (G)."""
        return np.sqrt(self.groups.size / self.groups.N)

    @cached_property
    def share(self) -> np.ndarray:
        """Samples in each group over N (G)."""
        return self.groups.number * self.r**2

    @cached_property
    def count(self) -> np.ndarray:
        """Outputs behind each row of a column (table): those of its own group without its own."""
        number = self.groups.number
        return np.vstack([number[:, None] - np.eye(number.size), np.ones(number.size)])

    @cached_property
    def target(self) -> np.ndarray:
        """Target of one output of each row (table)."""
        T = np.full(self.count.shape, self.groups.beta)
        T[-1] += self.groups.alpha
        return T

    @cached_property
    def radius(self) -> np.ndarray:
        """Threshold of each y_g (G)."""
        return self.threshold * np.sqrt(self.groups.number - 1)

    @cached_property
    def to_logits(self) -> np.ndarray:
        """The linear map from (X, y, b), flat, to the table of logits, flat."""
        G, number, r = self.groups.G, self.groups.number, self.r
        J = np.zeros((G + 1, G, G * G + 2 * G))
        for g in range(G):
            for h in range(G):
                J[h, g, h * G + g] = 1 / (math.sqrt(number[h] * number[g]) * r[g])
                J[h, g, G * G + G + h] = 1 / math.sqrt(number[h])
            if number[g] > 1:
                x = 1 / (math.sqrt(number[g] - 1) * r[g])  # of one direction, over r
                J[g, g, G * G + g] = -x / number[g]
                J[-1, g] = J[g, g]
                J[-1, g, G * G + g] += x
            else:
                J[-1, g] = J[g, g]
        if not self.has_bias:
            J[:, :, G * G + G :] = 0.0
        return J.reshape((G + 1) * G, -1)

    def split(self, v: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """X, y and b of a flat vector."""
        G = self.groups.G
        return v[: G * G].reshape(G, G), v[G * G : G * G + G], v[G * G + G :]

    def parts(self, table: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The matrix T' diag(r) of such a table, on the group means (G x G) and inside each group (G)."""
        number = self.groups.number
        rows, own = table[:-1] * self.r, table[-1] * self.r
        within = np.where(number > 1, np.diag(rows), 0.0)
        means = np.sqrt(np.outer(number, number)) * rows
        means[np.diag_indices_from(means)] = own + (number - 1) * within
        return means, np.where(number > 1, own - within, 0.0)

    def join(self, X: np.ndarray, inside: np.ndarray, b: np.ndarray) -> np.ndarray:
        """The flat vector of X (G x G), of its factor inside each group (G), and of b (G)."""
        return np.concatenate([X.ravel(), inside * np.sqrt(self.groups.number - 1), b])

    def penalty(self, b: np.ndarray) -> float:
        """lam_b/2 ||b||^2, zero without a bias."""
        return self.lam_b * float(b @ b) / 2 if self.has_bias else 0.0


@dataclass(frozen=True, eq=False)
class GroupLogits:
    """One flat (X, y, b) of a program: softmax P and residual E = T - mass P of one output (tables), the mean CE."""

    program: GroupProgram
    v: np.ndarray
    P: np.ndarray
    E: np.ndarray
    fit: float

    @staticmethod
    def at(program: GroupProgram, v: np.ndarray) -> "GroupLogits":
        """Evaluate at v, without cancellation where a class's own probability is close to one."""
        count, T, mass = program.count, program.target, program.mass
        Z = (program.to_logits @ v).reshape(count.shape)
        Z = Z - np.max(np.where(count > 0, Z, -np.inf), axis=0)
        Z = np.where(count > 0, Z, 0.0)
        odds = np.exp(Z)
        others = np.sum((count * odds)[:-1], axis=0)
        total = odds[-1] + others
        P = odds / total
        E = T - mass * P
        # Columns sum to zero; T - mass p of a sure output would lose the digits of 1 - p.
        E[-1] = np.where(P[-1] > 0.5, -np.sum((count * E)[:-1], axis=0), E[-1])
        top = odds[-1] == 1.0
        log_total = np.where(top, np.log1p(np.where(top, others, 0.0)), np.log(total))
        loss = mass * log_total - np.sum(count * T * Z, axis=0)
        return GroupLogits(program, v, P, E, float(program.share @ loss))

    @cached_property
    def gradient(self) -> np.ndarray:
        """Derivative of the fit by v."""
        weight = self.program.share * self.program.count
        return -self.program.to_logits.T @ (weight * self.E).ravel()

    def hessian(self) -> np.ndarray:
        """Second derivative of the fit by v: mass (diag p - p p') in every column, p counted."""
        program = self.program
        G, J = program.groups.G, program.to_logits
        p = program.count * self.P
        weight = program.mass * program.share
        tables = J.reshape(G + 1, G, -1)
        mean = np.einsum("hg,hgv->gv", p, tables)
        centred = tables - mean  # the covariance, not a difference of two squares
        scaled = np.sqrt(p * weight)[:, :, None] * centred
        flat = scaled.reshape((G + 1) * G, -1)
        return flat.T @ flat
