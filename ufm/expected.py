"""What theory says of recorded networks: the certified optimum of the very problem that each was trained on."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ufm.compare import Comparison, Row, compare
from ufm.constraints import NonNegative
from ufm.errors import UfmError
from ufm.networks.trials import OF_RECIPE, SWEPT
from ufm.optimum import Optimum, solve
from ufm.predict import comparable, excess_loss, metrics_of, nearest, observed_of_samples
from ufm.problem import ClassTargets, Problem
from ufm.record import Record, stack

# What is held against theory, and under which name it stands in the table of errors.
COLUMNS = {
    "cosines": "cosines",
    "singular_values": "singular values",
    "class_mean_norm": "norms of class means",
    "classifier_norm": "norm of W",
    "bias": "bias",
    "nc2_etf": "NC2",
    "nc3": "NC3",
    "excess_loss": "excess loss",
}


def swept(record: Record) -> str:
    """What a record of networks is swept along."""
    along = [name for name in SWEPT if name in record.values.dims]
    if record.witness == "measured" and "seed" in record.values.dims and along:
        return along[0]
    fix = f"this one ({record.witness}) has none along {', '.join(SWEPT)}. Give the record to hold it against."
    raise UfmError(f"only a record of trained networks says by itself what it is held against; {fix}")


def standing(record: Record) -> Record:
    """A record of feature norms as one swept along the weight of the bias, which has one value; others as they are.

    `lam_H_effective`: what the balance of W and H amounts to under plain decay, lam_W ||W||^2/||H||^2.
    """
    problem = record.problem
    if "history_energy_ratio" not in record or "lam_b" in record.values.dims or problem is None:
        return record
    inferred = float(problem.lam_W[0]) / record["history_energy_ratio"].isel(epoch=-1, drop=True)
    values = record.values.drop_dims([dim for dim in ("epoch", "entropy_epoch", "layer") if dim in record.values.dims])
    return replace(record, values=values.assign(lam_H_effective=inferred).expand_dims(lam_b=[float(problem.lam_b)]))


def problem_of(record: Record, value: float) -> Problem:
    """The problem of a record's networks at one value; t_rel scales all weights but the bias's.

    ReLU features are never negative, and neither are their problem's. A width that holds every direction is left out.
    """
    problem, along = record.problem, swept(record)
    if problem is None:
        raise UfmError("these networks came without their problem.")
    told = record.provenance
    if told.get("recipe", {}).get("features") == "relu" or told.get("regimen", {}).get("activation") == "relu":
        problem = problem.replace(constraint=NonNegative())
    if along == "d":
        return problem.replace(width=int(value) if value < min(problem.m, problem.targets.columns.shape[1]) else None)
    if along in OF_RECIPE:
        return problem
    if along == "decay":
        return problem.replace(lam_W=value)
    if along != "t_rel":
        return problem.replace(**{along: value})
    factor = value / float(record.values["t_rel"].values[0])
    lam_W = tuple(float(w) * factor for w in problem.lam_W)
    return problem.replace(lam_W=lam_W, lam_H=float(problem.lam_H) * factor)


def optimum_of(record: Record, value: float) -> list[Optimum]:
    """For every seed at one value the optimum its network is held against.

    With depth that is the nearer of the global and the metastable one; under plain weight decay, lam_H = 0, that of the
    lam_H that the balance of this network's own W and H amounts to.
    """
    problem = problem_of(record, value)
    here = record.values.sel({swept(record): value})
    if float(problem.lam_H) == 0:
        return [solve(problem.replace(lam_H=float(lam))) for lam in here["lam_H_effective"].values]
    optima = [solve(problem)] + ([solve(problem, method="metastable")] if problem.p > 2 else [])
    strongest = here["singular_values"].transpose("seed", "direction").values[:, 0]
    return [nearest(optima, s) for s in strongest]


def expected(record: Record) -> tuple[Record, Record]:
    """What theory says at every value and seed, and the record, both with the observables of `COLUMNS` that they share.

    excess_loss: the objective over the certified minimum (of a metastable optimum: its value), minus 1.
    """
    record = standing(record)
    along, seeds = swept(record), record.values["seed"].values.tolist()
    values = [float(v) for v in record.values[along].values]
    optima = [optimum_of(record, value) for value in values]
    observed = {id(o): _observed(o) for row in optima for o in row}
    theory = stack([stack([observed[id(o)] for o in row], seed=seeds) for row in optima], **{along: values})
    found = record.values
    if float(optima[0][0].problem.lam_H) == float(problem_of(record, values[0]).lam_H):
        reached = found["value"].transpose(along, "seed").values
        excess = [
            [excess_loss(float(L), o.lower_bound if o.problem.p == 2 else o.value) for L, o in zip(*row)]
            for row in zip(reached, optima)
        ]
        found = found.assign(excess_loss=((along, "seed"), np.array(excess)))
    theory, networks = comparable(theory, replace(record, values=found))
    shared = [name for name in COLUMNS if name in theory and name in networks]
    if not any(o.problem.has_bias for row in optima for o in row):
        shared = [name for name in shared if name != "bias"]
    return replace(theory, values=theory.values[shared]), replace(networks, values=networks.values[shared])


def held(record: Record) -> Comparison:
    """A record of networks against theory; of one seed alone the notes say that there is no spread to measure in."""
    found = compare(*expected(record))
    if record.values.sizes["seed"] > 1:
        return found
    return replace(found, notes=(*found.notes, "one seed: there is no seed-to-seed spread to measure differences in."))


def errors(record: Record) -> dict[str, Row]:
    """{observable: its row at the largest difference}, of a record of networks against theory."""
    return {row.observable: row for row in compare(*expected(record), by_size=True).rows}


def table(records: Sequence[tuple[str, Record]]) -> str:
    """A Markdown table: one row a record, one column an observable: relative error, and seed-to-seed spreads."""
    lines = [f"| run | networks | {' | '.join(COLUMNS.values())} |", "|---|---|" + "---|" * len(COLUMNS)]
    for name, record in records:
        found = errors(record)
        cells = [_cell(found.get(column)) for column in COLUMNS]
        lines.append(f"| {name} | {record['value'].size} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(row: Row | None) -> str:
    if row is None:
        return ""
    if not np.isfinite(row.relative):
        return "undefined"
    spreads = "" if row.in_spreads is None else f" ({abs(row.in_spreads):.1f})"
    return f"{abs(row.relative):.0e}{spreads}"


def _observed(optimum: Optimum) -> Record:
    """Observables of an optimum; with the metrics of its own state where its features are class means, not all zero."""
    found: dict[str, Any] = {"excess_loss": 0.0}
    by_class = isinstance(optimum.problem.targets, ClassTargets)
    record = optimum.record() if by_class else observed_of_samples(optimum)
    if by_class and np.any(optimum.H):
        metrics = metrics_of(optimum)
        found |= {name: metrics[name] for name in ("nc2_etf", "nc3") if name in metrics}
    return replace(record, values=record.values.assign(found))
