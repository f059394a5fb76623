"""Neural collapse dynamics and a feature norm threshold (arXiv 2604.00230): statistical claims about trained networks.

fn is the mean over training samples of ||h||; T_NC the first epoch of the squared-loss phase at which
NC1 = tr(Sigma_W)/tr(Sigma_B) is below 0.01 (0.05 in some cells); fn* the value of fn at T_NC.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ufm import encodings
from ufm.catalogue import Citation, Domain, Observed, Run, Theorem
from ufm.catalogue.domain import Point
from ufm.metrics.onset import Course
from ufm.problem import Problem, classes

_PROTOCOL = (
    r"(Protocol: cross-entropy for 200 epochs, then the squared loss; Adam $10^{-3}$, weight decay $10^{-4}$, cosine "
    r"schedule; MLP-5 is five layers of 512 ReLU.)"
)
_SMALLER = r" (Asked of smaller networks than the paper's, each with $fn^*$ from networks of other seeds.)"
_FIELDS = ("history_fn", "history_nc1_ratio")
_THRESHOLD = 0.01  # of NC1, at T_NC
_SPREAD = 0.08  # the paper's bound on the coefficient of variation of fn*
_PAPER = {"depth": 5, "width": 512, "entropy_epochs": 200, "weight_decay": 1e-4, "lr": 1e-3, "optimiser": "adam"}


def course(run: Run) -> Course:
    """Feature norm and NC1 of a network, epoch by epoch."""
    return Course(run["history_fn"], run["history_nc1_ratio"], run.setting, run.seed)


def _onset(run: Run) -> float:
    return course(run).onset(_THRESHOLD)


def _fn_star(run: Run) -> float:
    return course(run).fn_star(_THRESHOLD)


def _mean_of(read: Callable[[Run], float]) -> Callable[[Sequence[Run]], float]:
    """The mean over networks that have the number; nan where none has."""

    def fit(runs: Sequence[Run]) -> float:
        values = np.array([read(run) for run in runs])
        kept = values[np.isfinite(values)]
        return float(kept.mean()) if kept.size else math.nan

    return fit


def _deviation(run: Run, level: float) -> float:
    """|fn* / level - 1|: over networks that differ by their seed its mean is near the coefficient of variation."""
    return abs(_fn_star(run) / level - 1)


def _onset_deviation(run: Run, onset: float) -> float:
    return abs(_onset(run) / onset - 1)


def _foretold(runs: Sequence[Run]) -> tuple[float, float]:
    """The level, and the mean lead at which others fell below it."""
    level = _mean_of(_fn_star)(runs)
    return level, _mean_of(lambda run: _lead(run, (level, 0.0)))(runs)


def _lead(run: Run, told: tuple[float, float]) -> float:
    """Epochs from where fn falls below the level to the onset."""
    return _onset(run) - course(run).crossing(told[0])


def _lead_error(run: Run, told: tuple[float, float]) -> float:
    """|onset - foretold onset|, in epochs."""
    return abs(_lead(run, told) - told[1])


def _is_plain(run: Run) -> bool:
    """Whether its features were left as they are, and decay is all that holds them."""
    return run.regimen.get("rescale", 1.0) == 1.0 and run.regimen.get("feature_penalty", 0.0) == 0.0


def _is_base(run: Run) -> bool:
    return run.setting == "base"


def _is_varied(run: Run) -> bool:
    """Whether one thing of the base setting was changed; the paper's protocol changes several, epochs among them."""
    return _is_plain(run) and not _is_base(run) and not _is_papers(run)


def _is_varied_relu(run: Run) -> bool:
    return _is_varied(run) and run.regimen.get("activation", "relu") == "relu"


def _is_rescaled(run: Run) -> bool:
    return run.regimen.get("rescale", 1.0) != 1.0


def _is_papers(run: Run) -> bool:
    """Whether it was trained as the paper's networks were."""
    return _is_plain(run) and all(run.regimen.get(name) == value for name, value in _PAPER.items())


def _is_papers_on_mnist(run: Run) -> bool:
    """The same on all 60,000 images: fn* is a number of a model and a data set."""
    return _is_papers(run) and run.told.get("images") == "mnist"


def _setting(run: Run) -> str:
    return run.setting


def _ten_classes(point: Point) -> Problem:
    """The problem that the networks of the squared-loss phase are compared with; no number of it enters the claims."""
    return Problem(targets=classes(encodings.one_hot(10), 500), lam_W=1e-4, lam_H=1e-4)


def _seen(name: str, effect: Callable[[Run, Any], float], fit: Callable[[Sequence[Run]], Any], **more: Any) -> Observed:
    """A claim about feature norms in time, in every setting on its own."""
    return Observed(name, effect, fit=fit, fields=_FIELDS, **{"apart": _setting, **more})


def _observed(
    name: str,
    title: str,
    words: str,
    *claims: Observed,
    needs: str = "",
    reading: str = _SMALLER,
    basis: Literal["text", "own"] = "text",
    instead: tuple[str, ...] = (),
    no_proof: str = "It is a claim about trained networks, which no proof decides.",
) -> Theorem:
    return Theorem(
        name=name,
        title=title,
        statement=f"{words} {_PROTOCOL}{reading}",
        citation=Citation("rupa2026", f"abstract and main claims{', corrected here' * (basis == 'own')}", basis),
        kind="statistical",
        claims=(),
        observed=claims,
        trained="feature_norms",
        domain=Domain(),
        problem=_ten_classes,
        no_proof=no_proof,
        needs=needs,
        instead=instead,
    )


THEOREMS = (
    _observed(
        "concentration",
        "The feature norm at the onset of collapse is concentrated",
        r"The coefficient of variation of $fn^*$ is below 8% within each pair of a model and a data set.",
        _seen("fn_star_deviation", _deviation, _mean_of(_fn_star), most=_SPREAD, chosen=_is_plain),
    ),
    _observed(
        "lead",
        "The feature norm falls below its threshold before collapse",
        r"$fn$ falls below $fn^*$ before the onset of collapse.",
        _seen("fn_lead_epochs", _lead, _foretold, least=0.0, chosen=_is_plain),
    ),
    _observed(
        "lead_epochs",
        "The feature norm falls below its threshold 62 epochs before collapse",
        r"$fn$ falls below $fn^*$ by 62 epochs before the onset of collapse in the mean, and foretells it with a mean "
        r"absolute error of 24 epochs. (Asked of networks by this protocol on 5,000 digits.)",
        _seen("fn_lead_epochs", _lead, _foretold, least=62, most=62, chosen=_is_papers),
        _seen("fn_lead_error_epochs", _lead_error, _foretold, most=24, chosen=_is_papers),
        reading="",
    ),
    _observed(
        "rescaling",
        "The threshold is found again after the features are rescaled",
        r"Rescaling the features by 0.3 or by 3 returns to the same $fn^*$. (Read as within the 8% of its spread.)",
        _seen(
            "fn_star_deviation",
            _deviation,
            _mean_of(_fn_star),
            most=_SPREAD,
            chosen=_is_rescaled,
            fitted_on=_is_base,
        ),
    ),
    _observed(
        "resnet20_mnist",
        "ResNet-20 on MNIST against MLP-5",
        r"$fn^*=5.867$ for ResNet-20 on MNIST, 458% above the 1.052 of MLP-5.",
        _seen(
            "fn_star",
            lambda run, _: _fn_star(run),
            _mean_of(_fn_star),
            least=5.867,
            most=5.867,
            chosen=lambda run: run.setting == "resnet20_mnist",
        ),
        _seen(
            "fn_star",
            lambda run, _: _fn_star(run),
            _mean_of(_fn_star),
            least=1.052,
            most=1.052,
            chosen=_is_papers_on_mnist,
        ),
        needs="ResNet-20 and of MLP-5 by the paper's own protocol on the 60,000 images of MNIST, which ufm does not "
        "train: they need a device. Records from elsewhere, feature_norms_resnet20_mnist.nc and the like, are judged",
        reading="",
    ),
    _observed(
        "rate_not_value",
        "Depth, activation, weight decay and width move the rate, not the value",
        r"Depth, activation, weight decay and width change when the threshold is reached, not $fn^*$. (Read as: in "
        r"every such setting $fn^*$ stays within 8% of that of the base setting, and the onset does not.)",
        _seen("fn_star_deviation", _deviation, _mean_of(_fn_star), most=_SPREAD, chosen=_is_varied, fitted_on=_is_base),
        _seen(
            "onset_deviation", _onset_deviation, _mean_of(_onset), least=_SPREAD, chosen=_is_varied, fitted_on=_is_base
        ),
        instead=("rupa2026:rate_not_value_relu",),
        no_proof="It is refuted: another activation moves the value as well, as networks of tanh begin to collapse at "
        "several times the norm of ReLU networks.",
    ),
    _observed(
        "rate_not_value_relu",
        "Depth, weight decay and width of ReLU networks move the rate, not the value",
        r"The same for ReLU networks of other depths, weight decays and widths. (Our correction: features of another "
        r"activation have norms of another size.)",
        _seen(
            "fn_star_deviation",
            _deviation,
            _mean_of(_fn_star),
            most=_SPREAD,
            chosen=_is_varied_relu,
            fitted_on=_is_base,
        ),
        _seen(
            "onset_deviation",
            _onset_deviation,
            _mean_of(_onset),
            least=_SPREAD,
            chosen=_is_varied_relu,
            fitted_on=_is_base,
        ),
        basis="own",
    ),
)
