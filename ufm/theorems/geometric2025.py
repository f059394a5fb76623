"""Geometric properties of neural multivariate regression (arXiv 2510.01105): the claims of its abstract.

A network counts as collapsed where NRC1 of its training features [andriopoulos2024] is at most 0.1 in the mean over
networks of other seeds of its setting. Intrinsic dimensions are by TwoNN, of the training samples.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from ufm.catalogue import Citation, Domain, Observed, Run, Theorem

_COLLAPSED = 0.1  # NRC1
_FIELDS = ("nrc1", "intrinsic_dimension", "target_intrinsic_dimension", "test_error")
_READ = (
    r" (Read as: in every setting of data and weight decay; collapsed are those with $\mathrm{NRC1}\le0.1$ in networks "
    "of other seeds. Asked of perceptrons on moments of digits and on spectra of meat.)"
)


def is_collapsed(runs: Sequence[Run]) -> bool:
    """Whether NRC1 of these networks is small in the mean."""
    return bool(np.mean([run["nrc1"][-1] for run in runs]) <= _COLLAPSED)


def _targets(run: Run) -> tuple[str, int]:
    """What its setting shares with others: data and rank of the targets."""
    return str(run.told.get("data", "")), int(run["target_rank"])


def _alike(run: Run, others: Sequence[Run]) -> list[Run]:
    return [other for other in others if other.setting == run.setting]


def _excess(run: Run) -> float:
    """ID_H - ID_Y in the end."""
    return float(run["intrinsic_dimension"][-1] - run["target_intrinsic_dimension"])


def _excess_collapsed(run: Run, others: Sequence[Run]) -> float:
    alike = _alike(run, others)
    return _excess(run) if alike and is_collapsed(alike) else math.nan


def _excess_not_collapsed(run: Run, others: Sequence[Run]) -> float:
    alike = _alike(run, others)
    return _excess(run) if alike and not is_collapsed(alike) else math.nan


def _by_setting(run: Run, others: Sequence[Run]) -> dict[str, list[Run]]:
    """The networks on the same targets, setting by setting."""
    found: dict[str, list[Run]] = {}
    for other in others:
        if _targets(other) == _targets(run):
            found.setdefault(other.setting, []).append(other)
    return found


def _error(runs: Sequence[Run]) -> float:
    """The mean error on the samples held out."""
    return float(np.mean([run["test_error"][-1] for run in runs]))


def _error_ratio(run: Run, others: Sequence[Run]) -> float:
    """The error held out over the mean of networks on the same targets whose settings do not collapse."""
    alike = _alike(run, others)
    if not alike or not is_collapsed(alike):
        return math.nan
    rivals = [r for found in _by_setting(run, others).values() if not is_collapsed(found) for r in found]
    return _error([run]) / _error(rivals) if rivals else math.nan


def _over_no_decay(name: str) -> Callable[[Run, Sequence[Run]], float]:
    """A field in the end over its mean without weight decay, where others say that this decay is the best."""

    def effect(run: Run, others: Sequence[Run]) -> float:
        known = _by_setting(run, others)
        none = [r for found in known.values() for r in found if r.regimen["weight_decay"] == 0]
        if not none or run.setting != min(known, key=lambda setting: _error(known[setting])):
            return math.nan
        return float(run[name][-1]) / float(np.mean([r[name][-1] for r in none]))

    return effect


def _statistical(
    name: str,
    title: str,
    statement: str,
    *claims: Observed,
    basis: Literal["abstract", "own"] = "abstract",
    instead: tuple[str, ...] = (),
    no_proof: str = "It is a claim about trained networks.",
) -> Theorem:
    """A claim about trained networks."""
    return Theorem(
        name=name,
        title=title,
        statement=statement + _READ,
        citation=Citation("geometric2025", f"abstract{', corrected here' * (basis == 'own')}", basis),
        kind="statistical",
        claims=(),
        observed=claims,
        trained="dimensions",
        domain=Domain(),
        problem=lambda point: None,
        instead=instead,
        no_proof=no_proof,
    )


def _seen(name: str, effect: Callable[[Run, Sequence[Run]], float], **bounds: Any) -> Observed:
    """A claim in every setting on its own, with all networks of other seeds at hand."""
    fields = (*_FIELDS, "target_rank")
    return Observed(
        name, effect, fields=fields, fit=list, fitted_on=lambda run: True, apart=lambda run: run.setting, **bounds
    )


THEOREMS = (
    _statistical(
        "over_compressed",
        "Collapsed regression models have features of lower dimension than the targets, and generalise worse",
        r"With intrinsic dimensions by TwoNN, collapsed models have $\mathrm{ID}_H<\mathrm{ID}_Y$ and "
        "generalise worse than those that did not collapse.",
        _seen("dimension_excess", _excess_collapsed, most=0.0),
        _seen("test_error_over_not_collapsed", _error_ratio, least=1.0),
        instead=("geometric2025:best_decay",),
        no_proof="It is refuted: networks that are collapsed at a moderate weight decay err less on samples held out "
        "than those that did not collapse.",
    ),
    _statistical(
        "best_decay",
        "The weight decay that is best on samples held out brings regression models nearer to collapse",
        "At the weight decay of the least error on samples held out (as networks of other seeds have it) both this "
        r"error and $\mathrm{NRC1}$ are lower than without weight decay. (Our correction.)",
        _seen("test_error_over_no_decay", _over_no_decay("test_error"), most=1.0),
        _seen("nrc1_over_no_decay", _over_no_decay("nrc1"), most=1.0),
        basis="own",
    ),
    _statistical(
        "under_compressed",
        "Regression models without collapse have features of higher dimension than the targets",
        r"With intrinsic dimensions by TwoNN, models without collapse have $\mathrm{ID}_H>\mathrm{ID}_Y$.",
        _seen("dimension_excess", _excess_not_collapsed, least=0.0),
    ),
)
