"""The squared loss with p >= 3 factors: not convex, one scalar problem a direction (theory: section 4)."""

from ufm.optimum.deep.branches import Branches, branches

__all__ = ["Branches", "branches"]
