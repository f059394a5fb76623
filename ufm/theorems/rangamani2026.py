"""Deep neural regression collapse (arXiv 2603.23805): Proposition 1, and the claims about trained networks."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import sympy as sp

from ufm.catalogue import Assumption, AtMost, Citation, Domain, Integers, Observed, Run, Theorem, Values
from ufm.catalogue.arrays import Arrays, centred, has_clear_rank
from ufm.catalogue.domain import Point
from ufm.metrics.regression import deep_nrc1, linear_cka

_PROPOSITION = (
    r"If $1-\mathrm{tr}(H_s'H_s)/\mathrm{tr}(H'H)\le\epsilon_1$, $H_s$ the part of the centred features in "
    "their top $t$ "
    r"principal directions, and $1-\mathrm{CKA}(H,Y)\le\epsilon_2$ for targets $Y$ of dimension $t$, then "
)
_RATIO = r"$\frac{\|H-P_YH\|_F}{\|H\|_F}\le$"

e1, e2 = sp.symbols("epsilon_1 epsilon_2", nonnegative=True)
t = sp.Symbol("t", integer=True, positive=True)


def _layer(point: Point) -> Arrays:
    """Features H (d x N) and targets Y (t x N): whole-number rows of a Hadamard matrix, random, or nearly aligned.

    "rows": H has the rows w a and b, Y the rows w a and c, of orthogonal and centred a, b, c.
    """
    rng = np.random.default_rng(point["seed"])
    size, d, N, kind = point["t"], point["t"] + point["more"], point["t"] + point["more"] + point["N"], point["kind"]
    if kind == "rows":
        a, b, c = np.array([[1, 1, -1, -1], [1, -1, 1, -1], [1, -1, -1, 1]], dtype=float)
        return Arrays({"H": np.stack([point["w"] * a, b]), "Y": np.stack([point["w"] * a, c])})
    if kind == "integers":
        return Arrays(
            {"H": rng.integers(-2, 3, (d, N)).astype(float), "Y": rng.integers(-2, 3, (size, N)).astype(float)}
        )
    Y = rng.standard_normal((size, N)) * 10.0 ** rng.uniform(-1, 1, (size, 1))
    H = rng.standard_normal((d, N))
    if kind == "aligned":
        H = rng.standard_normal((d, size)) @ Y + 10.0 ** rng.uniform(-3, 0) * H
    return Arrays({"H": H, "Y": Y})


def _outside(case: Arrays) -> float:
    """||Hc - Hc P_Y||/||Hc||, P_Y the projection on the rows of the centred targets."""
    H, Y = centred(case["H"]), centred(case["Y"])
    fit = np.linalg.lstsq(Y.T, H.T, rcond=1e-9)[0]
    return float(np.linalg.norm(H.T - Y.T @ fit) / np.linalg.norm(H))


def _exact_outside(case: Arrays) -> float:
    """The same from the projection Y'(YY')^+Y in rational numbers."""
    H, Y = (sp.Matrix([[sp.nsimplify(x) for x in row] for row in case[name].tolist()]) for name in "HY")
    centre = sp.eye(H.cols) - sp.ones(H.cols, H.cols) / H.cols
    H, Y = H * centre, Y * centre
    rest = H - H * Y.pinv() * Y
    return float(sp.sqrt((rest * rest.T).trace() / (H * H.T).trace()))


def _noise(case: Arrays) -> float:
    return deep_nrc1(case["H"], case["Y"].shape[0])


def _misalignment(case: Arrays) -> float:
    return max(0.0, 1 - linear_cka(case["H"], case["Y"]))


def _is_fair(case: Arrays) -> bool:
    return has_clear_rank(centred(case["Y"])) and float(np.linalg.norm(centred(case["H"]))) > 1e-6


_FAIR = Assumption("features and targets vary, and the rank of the targets is clear", _is_fair)
_SCALAR = Assumption("targets are scalar", lambda case: case["Y"].shape[0] == 1)
_LETTERS: dict[Any, Any] = {e1: _noise, e2: _misalignment, t: lambda case: case["Y"].shape[0]}
_DOMAIN = {
    "kind": Values(("rows", "integers", "gaussian", "aligned")),
    "t": Integers(1, 4, small=(2, 1)),
    "more": Integers(1, 6, small=(1,)),
    "N": Integers(1, 20, small=(1, 2)),
    "w": Integers(1, 9, small=(2, 3)),
    "seed": Integers(1, 10**6, small=(1, 2)),
}


def _proposition(name: str, title: str, words: str, bound: Any, *assumes: Assumption, **more: Any) -> Theorem:
    """A bound on the part of the features outside the targets' rows, with the smallest e1 and e2 that are allowed."""
    own = "" if name == "prop1" else ", corrected here"
    return Theorem(
        name=name,
        title=title,
        statement=_PROPOSITION + _RATIO + words,
        citation=Citation("rangamani2026", "Proposition 1" + own, "own" if own else "text"),
        kind="upper",
        claims=(AtMost("outside_targets", bound, _LETTERS),),
        domain=Domain(_DOMAIN),
        problem=_layer,
        assumes=(_FAIR, *assumes),
        measures={"outside_targets": _outside},
        **more,
    )


_FIELDS = ("deep_nrc1_rank", "deep_nrc2", "deep_nrc3_rank", "deep_nrc4", "train_error", "target_variance")
_NO_NOISE = 0.05  # NRC1 of other seeds, below which a layer counts as signal only
_NEAR = 0.1  # what "about 0" and "about 1" are read as


def _last(run: Run, name: str) -> np.ndarray:
    """A measure of every layer at the last look."""
    return run[name][-1]


def _shortfalls(run: Run) -> dict[str, np.ndarray]:
    """What each layer lacks of the four conditions: NRC1, 1 - NRC2, 1 - NRC3, |NRC4 - training error| over variance."""
    return {
        "nrc1": _last(run, "deep_nrc1_rank"),
        "nrc2": 1 - _last(run, "deep_nrc2"),
        "nrc3": 1 - _last(run, "deep_nrc3_rank"),
        "nrc4": np.abs(_last(run, "deep_nrc4") - run["train_error"][-1]) / run["target_variance"],
    }


def _collapsed_layers(runs: Sequence[Run]) -> np.ndarray:
    """Which layers meet all four conditions in the mean over these networks."""
    lacks = np.mean([list(_shortfalls(run).values()) for run in runs], axis=0)
    return np.all(lacks <= _NEAR, axis=0)


def _signal_layers(runs: Sequence[Run]) -> np.ndarray:
    """Which layers have an NRC1, as printed, below 5% in the mean over these networks."""
    return np.mean([_last(run, "deep_nrc1") for run in runs], axis=0) < _NO_NOISE


def _lacks(name: str) -> Callable[[Run, np.ndarray], float]:
    """The most that a layer lacks of a condition, among the layers that others say are collapsed; nan without any."""

    def effect(run: Run, layers: np.ndarray) -> float:
        return float(np.max(_shortfalls(run)[name][layers])) if layers.any() else math.nan

    return effect


def _stable_rank_share(run: Run, layers: np.ndarray) -> float:
    """The stable rank of the features over the rank of the targets, in the mean over collapsed layers."""
    return float(np.mean(_last(run, "stable_rank_features")[layers]) / run["target_rank"]) if layers.any() else math.nan


def _stable_rank_distance(run: Run, layers: np.ndarray) -> float:
    """How far the same stable rank is from the rank of the targets."""
    return abs(_stable_rank_share(run, layers) - 1) * float(run["target_rank"])


def _distance_from_collapse(run: Run, others: Sequence[Run]) -> float:
    """What the layers lack that collapse in networks of other seeds with weight decay on the same targets, at worst."""
    alike = [other for other in others if _targets(other) == _targets(run)]
    layers = _collapsed_layers(alike) if alike else np.zeros(0, dtype=bool)
    if not layers.any():
        return math.nan
    return max(float(np.mean(lack[layers])) for lack in _shortfalls(run).values())


def _targets(run: Run) -> str:
    return f"{run.told.get('data', '')}, rank {int(run['target_rank'])} of {int(run['target_dimension'])}"


def _decays(run: Run) -> bool:
    return run.regimen.get("weight_decay", 0.0) > 0


def _decays_on_few_ranks(run: Run) -> bool:
    return _decays(run) and bool(run["target_rank"] < run["target_dimension"])


def _seen(name: str, effect: Callable[[Run, Any], float], *fields: str, **more: Any) -> Observed:
    """A claim about the collapsed layers of networks with weight decay, in every setting on its own."""
    said: dict[str, Any] = {"fit": _collapsed_layers, "chosen": _decays, "apart": lambda run: run.setting}
    return Observed(name, effect, fields=(*_FIELDS, *fields), **{**said, **more})


def _statistical(
    name: str, title: str, statement: str, *claims: Observed, basis: Literal["text", "own"] = "text", **more: Any
) -> Theorem:
    """A claim about trained networks."""
    return Theorem(
        name=name,
        title=title,
        statement=statement,
        citation=Citation("rangamani2026", f"abstract and experiments{', corrected here' * (basis == 'own')}", basis),
        kind="statistical",
        claims=(),
        observed=claims,
        trained="deep_regression",
        domain=Domain(),
        problem=lambda point: None,
        **{"no_proof": "It is a claim about trained networks.", **more},
    )


_READ = (
    r" (Read as: about 0 is at most 0.1 and about 1 at least 0.9; collapsed are the layers that meet all four in "
    r"networks of other seeds; the directions are as many as the targets' rank; settings without such a layer do not "
    r"count.)"
)
_RANKS = ("deep_nrc1", "stable_rank_features", "target_rank", "target_dimension")
_SIGNAL = r" (Asked of layers with $\mathrm{NRC1}<5\%$ in networks of other seeds.)"

THEOREMS = (
    _proposition(
        "prop1",
        "Signal and alignment bound the part of the features outside the targets' rows",
        r"$\sqrt{\epsilon_1}+\sqrt{\epsilon_2}$.",
        sp.sqrt(e1) + sp.sqrt(e2),
        instead=("rangamani2026:prop1_corrected", "rangamani2026:prop1_scalar"),
        confirms={"outside_targets": ("SymPy in rational numbers", _exact_outside)},
        no_proof="It is refuted: CKA weighs directions by the squares of their variances, so that a direction with a "
        "small share x of the variance costs it x^2 only.",
    ),
    _proposition(
        "prop1_corrected",
        "The bound with the fourth root of the misalignment",
        r"$\sqrt{\epsilon_1+\sqrt{t\,\epsilon_2(2-\epsilon_2)}}$. (Our correction.)",
        sp.sqrt(e1 + sp.sqrt(t * e2 * (2 - e2))),
    ),
    _proposition(
        "prop1_scalar",
        "For scalar targets the printed bound holds, and a smaller one too",
        r"$\sqrt{\epsilon_1+\epsilon_2-\epsilon_1\epsilon_2}$ if $t=1$, which is at most "
        r"$\sqrt{\epsilon_1}+\sqrt{\epsilon_2}$. (Our correction.)",
        sp.sqrt(e1 + e2 - e1 * e2),
        _SCALAR,
    ),
    _statistical(
        "collapse",
        "Collapsed layers hold signal only, aligned with the targets and with the weights",
        r"In collapsed layers $\mathrm{NRC1}\approx0$, $\mathrm{NRC2}\approx1$, $\mathrm{NRC3}\approx1$ and "
        "NRC4 is about the training error of the network." + _READ,
        *(_seen(f"{name}_shortfall", _lacks(name), most=_NEAR) for name in ("nrc1", "nrc2", "nrc3", "nrc4")),
    ),
    _statistical(
        "intrinsic_rank",
        "Collapsed layers learn the rank of rank-deficient targets",
        "For targets of rank $r<t$ the stable rank of collapsed layers goes to $r$. (Read as: to within 10%.)"
        + _SIGNAL,
        _seen(
            "stable_rank_over_rank",
            _stable_rank_share,
            *_RANKS,
            least=1 - _NEAR,
            most=1 + _NEAR,
            chosen=_decays_on_few_ranks,
            fit=_signal_layers,
        ),
        instead=("rangamani2026:intrinsic_rank_rounded",),
        no_proof="It is refuted: NRC1 as printed counts t directions, as many as the targets have entries, and not r, "
        "so that layers that are collapsed by it spread over more than r.",
    ),
    _statistical(
        "intrinsic_rank_rounded",
        "The stable rank of collapsed layers is nearer to the targets' rank than to any other integer",
        "For targets of rank $r<t$ the stable rank of collapsed layers is within 1/2 of $r$. (Our correction.)"
        + _SIGNAL,
        _seen(
            "stable_rank_distance",
            _stable_rank_distance,
            *_RANKS,
            most=0.5,
            chosen=_decays_on_few_ranks,
            fit=_signal_layers,
        ),
        basis="own",
    ),
    _statistical(
        "weight_decay",
        "Collapse of deep layers needs weight decay",
        "Without weight decay the deep layers of the same networks do not collapse." + _READ,
        _seen(
            "distance_from_collapse",
            _distance_from_collapse,
            "target_rank",
            "target_dimension",
            least=_NEAR,
            fit=list,
            chosen=lambda run: not _decays(run),
            fitted_on=_decays,
            apart=_targets,
        ),
    ),
)
