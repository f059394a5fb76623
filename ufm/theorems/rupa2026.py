"""Neural collapse dynamics and a feature norm threshold (arXiv 2604.00230): statistical claims about trained networks.

fn is the mean over training samples of ||h||; T_NC the first epoch of the squared-loss phase at which
NC1 = tr(Sigma_W)/tr(Sigma_B) is below 0.01 (0.05 in some cells); fn* the value of fn at T_NC.
"""

import sympy as sp

from ufm import encodings
from ufm.catalogue import AtLeast, AtMost, Citation, Claim, Domain, Equals, Theorem
from ufm.catalogue.domain import Point
from ufm.problem import Problem, classes

_PROTOCOL = (
    r"(Protocol: cross-entropy for 200 epochs, then the squared loss; Adam $10^{-3}$, weight decay $10^{-4}$, cosine "
    r"schedule; MLP-5 is five layers of 512 ReLU.)"
)
_NEEDS = "recorded networks of this protocol, seeds out of sample (campaign rupa2026)"


def _ten_classes(point: Point) -> Problem:
    """The problem that the networks of the squared-loss phase are compared with; no number of it enters the claims."""
    return Problem(targets=classes(encodings.one_hot(10), 500), lam_W=1e-4, lam_H=1e-4)


def _observed(name: str, title: str, words: str, *claims: Claim) -> Theorem:
    return Theorem(
        name=name,
        title=title,
        statement=f"{words} {_PROTOCOL}",
        citation=Citation("rupa2026", "abstract and main claims"),
        kind="statistical",
        claims=claims,
        domain=Domain(),
        problem=_ten_classes,
        no_proof="It is a claim about trained networks, which no proof decides.",
        needs=_NEEDS,
    )


THEOREMS = (
    _observed(
        "concentration",
        "The feature norm at the onset of collapse is concentrated",
        r"The coefficient of variation of $fn^*$ is below 8% within each pair of a model and a data set.",
        AtMost("fn_star_cv", sp.Rational(8, 100)),
    ),
    _observed(
        "lead",
        "The feature norm falls below its threshold before collapse",
        r"$fn$ falls below $fn^*$ before the onset of collapse, by 62 epochs in the mean, with a mean absolute error "
        r"of 24 epochs.",
        Equals("fn_lead_epochs", sp.Integer(62)),
        Equals("fn_lead_error_epochs", sp.Integer(24)),
    ),
    _observed(
        "rescaling",
        "The threshold is found again after the features are rescaled",
        r"Rescaling the features by 0.3 or by 3 returns to the same $fn^*$.",
        Equals("fn_star_after_rescaling_over_before", sp.Integer(1)),
    ),
    _observed(
        "resnet20_mnist",
        "ResNet-20 on MNIST against MLP-5",
        r"$fn^*=5.867$ for ResNet-20 on MNIST, 458% above the 1.052 of MLP-5.",
        Equals("fn_star_resnet20_mnist", sp.Rational(5867, 1000)),
        Equals("fn_star_mlp5_mnist", sp.Rational(1052, 1000)),
    ),
    _observed(
        "rate_not_value",
        "Depth, activation, weight decay and width move the rate, not the value",
        r"Depth, activation, weight decay and width change when the threshold is reached, not $fn^*$.",
        AtMost("fn_star_spread_over_settings", sp.Rational(8, 100)),
        AtLeast("onset_spread_over_settings", sp.Rational(8, 100)),
    ),
)
