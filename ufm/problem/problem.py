"""The problem: targets, loss, depth, width, and the weights of the regularisers."""

import hashlib
import json
import math
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ufm import constraints, losses
from ufm.constraints import Constraint, Facts
from ufm.display import card
from ufm.errors import ProblemError
from ufm.losses import RescaledMSE
from ufm.losses import loss as find_loss
from ufm.problem.symbolic import SymbolicTargets, in_letters
from ufm.problem.targets import ClassTargets, SampleTargets, Targets, is_number, targets_from_dict

Weight = Any  # a real number, or a SymPy number or expression


@dataclass(frozen=True, eq=False)
class Problem:
    """An unconstrained-features model: minimise over W_{p-1}..W_1, H and b

        1/N sum_i loss(W_{p-1}..W_1 h_i + b, y_i) + sum_l lam_W[l]/2 ||W_l||^2 + lam_H/2 ||H||^2 + lam_b/2 ||b||^2.

    targets: `ufm.classes(...)` or `ufm.samples(...)`; loss: a name of `ufm.losses` ("mse" is 1/2 ||z - y||^2),
    or one with parameters, `ufm.losses.rescaled_mse(k, M)`.
    width: d, or None for as wide as needed. lam_W: one number, or one per linear layer, last layer first; p is one more
    than their count. lam_b: in [0, inf]; inf is no bias, 0 a free one. SymPy numbers may stand for any weight.
    constraint: one of `ufm.constraints`, or None.
    Raises ProblemError, which names the field, the value and the fix.
    """

    targets: Targets
    _: KW_ONLY
    lam_W: Weight | tuple[Weight, ...]
    lam_H: Weight
    lam_b: Weight = math.inf
    loss: str | RescaledMSE = "mse"
    width: int | None = None
    constraint: Constraint | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.targets, ClassTargets | SampleTargets | SymbolicTargets):
            raise ProblemError("targets", self.targets, "make them with ufm.classes(codes, counts) or ufm.samples(Y).")
        weights = tuple(self.lam_W) if isinstance(self.lam_W, tuple | list) else (self.lam_W,)
        if not weights:
            raise ProblemError("lam_W", self.lam_W, "give one number per linear layer, last layer first.")
        object.__setattr__(self, "lam_W", weights)
        for l, weight in enumerate(weights):
            _check_weight(weight, "lam_W" if len(weights) == 1 else f"lam_W[{l}]", finite=True)
        _check_weight(self.lam_H, "lam_H", finite=True)
        _check_weight(self.lam_b, "lam_b", finite=False)
        find_loss(self.loss)
        if isinstance(self.loss, RescaledMSE):
            self.loss.check(self.targets.columns)
        if self.width is not None and (not is_number(self.width) or self.width != int(self.width) or self.width < 1):
            raise ProblemError("width", self.width, "give a positive integer, or None for as wide as needed.")
        if self.constraint is not None:
            if type(self.constraint) not in constraints.available().values():
                known = ", ".join(kind.__name__ for kind in constraints.available().values())
                raise ProblemError("constraint", self.constraint, f"give None or one of ufm.constraints: {known}.")
            self.constraint.check(self._facts())

    def _facts(self) -> Facts:
        columns = self.targets.K if isinstance(self.targets, ClassTargets) else self.N
        return Facts(self.m, self.N, columns, self.p, self.width, self.loss, self.lam_b)

    @property
    def m(self) -> int:
        """Target dimension."""
        return self.targets.m

    @property
    def K(self) -> int:
        """Number of classes; ProblemError for regression targets."""
        return self.classes.K

    @property
    def N(self) -> int:
        """Number of samples."""
        return self.targets.N

    @property
    def classes(self) -> ClassTargets:
        """The targets of a classification problem; ProblemError for regression targets."""
        if isinstance(self.targets, ClassTargets):
            return self.targets
        raise ProblemError("targets", self.targets, "this needs classes; make the targets with ufm.classes.")

    @property
    def p(self) -> int:
        """Number of factors: linear layers + 1 for H."""
        return len(self.lam_W) + 1

    @property
    def has_bias(self) -> bool:
        """False where lam_b is infinite."""
        return not (is_number(self.lam_b) and math.isinf(self.lam_b))

    @property
    def Lam(self) -> float:
        """(lam_H prod lam_W)^(1/p): the weight of (p/2) sum_i s_i^(2/p) once the factors are minimised out."""
        logs = [math.log(w) if w > 0 else -math.inf for w in (*map(float, self.lam_W), float(self.lam_H))]
        return math.exp(sum(logs) / self.p)

    @property
    def tau(self) -> float:
        """N Lam (N c for p = 2): the shrinkage in the units of the singular values of Y."""
        return self.N * self.Lam

    @property
    def rho(self) -> float:
        """lam_b/(1 + lam_b): the weight the mean direction keeps once a squared loss's bias is minimised out."""
        lam_b = float(self.lam_b)
        return 1.0 if math.isinf(lam_b) else lam_b / (1 + lam_b)

    @property
    def is_symbolic(self) -> bool:
        """Whether the targets or some weight hold SymPy letters."""
        return isinstance(self.targets, SymbolicTargets) or any(map(in_letters, (*self.lam_W, self.lam_H, self.lam_b)))

    @property
    def letters(self) -> frozenset[Any]:
        """The SymPy letters of sizes, weights and the encoding's parameters."""
        encoding = getattr(self.targets, "encoding", None)
        values = (self.targets.m, self.targets.N, *self.lam_W, self.lam_H, self.lam_b)
        found = frozenset(letter for value in values for letter in getattr(value, "free_symbols", ()))
        return found if encoding is None else found.union(encoding.letters)

    def replace(self, **changes: Any) -> "Problem":
        """The same problem with some fields changed."""
        return Problem(**{**{name: getattr(self, name) for name in self.__dataclass_fields__}, **changes})

    def to_dict(self) -> dict[str, Any]:
        """A JSON- and TOML-ready statement of the problem (numbers in double precision)."""
        if self.is_symbolic:
            raise ProblemError("lam_W, lam_H, lam_b", (self.lam_W, self.lam_H, self.lam_b), "substitute numbers first.")
        weights = [float(w) for w in self.lam_W]
        loss = self.loss.to_dict() if isinstance(self.loss, RescaledMSE) else self.loss
        spec: dict[str, Any] = {"loss": loss, "lam_W": weights[0] if len(weights) == 1 else weights}
        spec |= {"lam_H": float(self.lam_H), "lam_b": float(self.lam_b)}
        if self.width is not None:
            spec["width"] = int(self.width)
        if self.constraint is not None:
            spec["constraint"] = constraints.to_dict(self.constraint)
        return spec | {"targets": self.targets.to_dict()}

    @staticmethod
    def from_dict(spec: dict[str, Any]) -> "Problem":
        """The inverse of `to_dict`; an unknown field is named."""
        known = {"loss", "lam_W", "lam_H", "lam_b", "width", "constraint", "targets"}
        for field in spec.keys() - known:
            raise ProblemError(field, spec[field], f"no such field; a problem has {', '.join(sorted(known))}.")
        for field in {"lam_W", "lam_H", "targets"} - spec.keys():
            raise ProblemError(field, None, "this field is required.")
        lam_W = spec["lam_W"]
        fields = {**spec, "lam_W": tuple(lam_W) if isinstance(lam_W, list) else lam_W}
        if "loss" in spec:
            fields["loss"] = losses.from_dict(spec["loss"])
        if "constraint" in spec:
            fields["constraint"] = constraints.from_dict(spec["constraint"])
        return Problem(**{**fields, "targets": targets_from_dict(spec["targets"])})

    def to_toml(self, path: str | Path) -> None:
        """Write the problem to a TOML file that `from_toml` reads."""
        import tomli_w

        Path(path).write_text(tomli_w.dumps(self.to_dict()))

    @staticmethod
    def from_toml(path: str | Path) -> "Problem":
        """Read a problem from a TOML file; ProblemError names the file where it is not TOML."""
        import tomllib

        try:
            spec = tomllib.loads(Path(path).read_text())
        except FileNotFoundError:
            raise ProblemError("problem", str(path), "no such file.") from None
        except tomllib.TOMLDecodeError as error:
            raise ProblemError("problem", str(path), f"this is not TOML: {error}.") from None
        return Problem.from_dict(spec)

    @property
    def fingerprint(self) -> str:
        """Twelve hex digits that name this problem."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()[:12]

    def __repr__(self) -> str:
        lam_W = self.lam_W[0] if len(self.lam_W) == 1 else self.lam_W
        text = f"Problem({self.targets!r}, loss={self.loss!r}, lam_W={lam_W}, lam_H={self.lam_H}, lam_b={self.lam_b}"
        text += f", width={self.width}" if self.width is not None else ""
        return text + (f", constraint={type(self.constraint).__name__})" if self.constraint is not None else ")")

    def _repr_html_(self) -> str:
        rows = {"targets": self.targets, "loss": self.loss, "λ_W": ", ".join(str(w) for w in self.lam_W)}
        bias = "none (λ_b = ∞)" if not self.has_bias else f"λ_b = {self.lam_b}" + (" (free)" if self.lam_b == 0 else "")
        rows |= {"λ_H": self.lam_H, "bias": bias, "width": "as wide as needed" if self.width is None else self.width}
        rows |= {"constraint": self.constraint} if self.constraint is not None else {}
        return card("Unconstrained-features model: minimise", rows, formula=self.latex())

    def latex(self) -> str:
        """The objective in LaTeX, with letters for its weights."""
        layers = range(self.p - 1, 0, -1)
        product = "W" if self.p == 2 else " ".join(f"W_{{{l}}}" for l in layers)
        bias = r" + b\,\mathbf{1}_N'" if self.has_bias else ""
        text = rf"\frac{{1}}{{2N}} \lVert {product} H{bias} - Y \rVert^2"
        if self.loss != "mse":
            name = r"\mathrm{CE}" if self.loss == "cross_entropy" else r"\ell"
            text = rf"\frac{{1}}{{N}} \sum_{{i=1}}^{{N}} {name}({product} h_i{' + b' if bias else ''}, y_i)"
        if self.p == 2:
            text += r" + \frac{\lambda_W}{2} \lVert W \rVert^2"
        else:
            text += "".join(rf" + \frac{{\lambda_{{W_{l}}}}}{{2}} \lVert W_{{{l}}} \rVert^2" for l in layers)
        text += r" + \frac{\lambda_H}{2} \lVert H \rVert^2"
        free = self.lam_b == 0
        return text + (r" + \frac{\lambda_b}{2} \lVert b \rVert^2" if self.has_bias and not free else "")


def _check_weight(value: Weight, field: str, *, finite: bool) -> None:
    wanted = "give a finite number >= 0." if finite else "give a number in [0, inf] (inf: no bias, 0: a free bias)."
    if hasattr(value, "free_symbols"):  # a SymPy expression: its assumptions decide, if they can
        if value.is_extended_negative or value.is_extended_real is False or (finite and value.is_infinite):
            raise ProblemError(field, value, wanted)
        return
    if not is_number(value) or np.isnan(value) or value < 0 or (finite and np.isinf(value)):
        raise ProblemError(field, value, wanted)
