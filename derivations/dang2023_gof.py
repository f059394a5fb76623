"""Why unequal one-hot classes have a general orthogonal frame: the shrinkage of any targets, class by class."""

from collections.abc import Callable

from ufm import encodings
from ufm.derivation import Derivation
from ufm.derivation.engine import derive
from ufm.problem import Problem, classes
from ufm.symbols import K, lam_H, lam_W, n_k


def thm4_1() -> Derivation:
    """Each class has its own length, set by its own size; a class of at most tau^2 samples has none."""
    return derive(Problem(classes(encodings.one_hot(K), n_k), lam_W=lam_W, lam_H=lam_H))


PROOFS: dict[str, Callable[[], Derivation]] = {"thm4_1": thm4_1}
