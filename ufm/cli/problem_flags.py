"""The flags that state a problem, shared by the verbs that take one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.errors import ProblemError

ProblemFile = Annotated[Path | None, typer.Option("--problem", help="A TOML file that states the problem.")]
Classes = Annotated[int | None, typer.Option("--classes", help="Number of classes K.")]
Encoding = Annotated[str, typer.Option("--encoding", help="Class encoding: one_hot, simplex, binary, ...")]
With = Annotated[list[str] | None, typer.Option("--with", help="Parameter of the encoding, as in --with m=4.")]
Counts = Annotated[str, typer.Option("--counts", help="Samples per class: one integer, or K of them: 200,100,50.")]
LamW = Annotated[str, typer.Option("--lam-W", help="Weight of 1/2 ||W||^2; one per layer, last first: 0.1,0.1.")]
LamH = Annotated[float | None, typer.Option("--lam-H", help="Weight of 1/2 ||H||^2.")]
LamB = Annotated[float, typer.Option("--lam-b", help="Weight of 1/2 ||b||^2: inf is no bias, 0 a free one.")]
TRel = Annotated[float | None, typer.Option("--t-rel", help="Set lam_W = t/K, lam_H = t/N instead (one layer).")]
Loss = Annotated[str, typer.Option("--loss", help="mse, cross_entropy, or rescaled_mse:k=5,M=3.")]
Constraint = Annotated[
    str | None,
    typer.Option(
        "--constraint",
        help="non_negative, hard_margin, norm_budget:E_W=1,E_H=5, fixed_classifier:W=frame.npy (or W=1 0;0 1), "
        "near:H0=features.npy,beta=0.5.",
    ),
]
Width = Annotated[int | None, typer.Option("--width", help="Feature width d; as wide as needed if left out.")]

Over = Annotated[
    list[str] | None,
    typer.Option("--over", help="Sweep a weight: lam_b=0.01:100:40 (log-spaced) or lam_b=0,0.1,inf; may be repeated."),
]


def build_axes(texts: list[str]) -> dict[str, Any]:
    """The axes of a sweep, {field: values}, from `field=low:high:count` or `field=a,b,c`."""
    import numpy as np

    axes: dict[str, Any] = {}
    for text in texts:
        field, equals, grid = text.partition("=")
        if not equals:
            raise ProblemError("--over", text, "write it as lam_b=0.01:100:40, or lam_b=0,0.1,inf.")
        if ":" not in grid:
            axes[field] = numbers("--over", grid)
            continue
        parts = numbers("--over", grid.replace(":", ","))
        if len(parts) != 3 or not 0 < parts[0] <= parts[1] < float("inf") or not 1 <= parts[2] == int(parts[2]):
            raise ProblemError("--over", text, "write the range as low:high:count with 0 < low <= high.")
        axes[field] = np.geomspace(parts[0], parts[1], int(parts[2])).tolist()
    return axes


def build_problem(
    problem: Path | None,
    classes: int | None,
    encoding: str,
    parameters: list[str] | None,
    counts: str,
    lam_W: str,
    lam_H: float | None,
    lam_b: float,
    t_rel: float | None,
    loss: str,
    width: int | None,
    constraint: str | None = None,
) -> Any:
    """The Problem that the flags state; ProblemError where they do not state one. Budgets need no weights."""
    from ufm import constraints
    from ufm.problem import Problem

    if problem is not None:
        return Problem.from_toml(problem)
    if classes is None:
        raise ProblemError("--classes", None, "give the number of classes, or a file with --problem.")
    options = {"K": classes, **dict(_parameter(text) for text in parameters or [])}
    sizes = _integers("--counts", counts)
    total = sum(sizes) if len(sizes) > 1 else sizes[0] * classes
    layers = numbers("--lam-W", lam_W) if lam_W else []
    if t_rel is not None:
        layers, lam_H = [t_rel / classes], t_rel / total
    limits = constraints.from_dict(constraint) if constraint is not None else None
    if isinstance(limits, constraints.NormBudget):
        layers, lam_H = layers or [0.0], lam_H or 0.0
    if not layers or lam_H is None:
        raise ProblemError("--lam-W, --lam-H", (lam_W, lam_H), "give both, or --t-rel for a scale-free choice.")
    spec = {
        "loss": loss,
        "lam_W": layers[0] if len(layers) == 1 else layers,
        "lam_H": lam_H,
        "lam_b": lam_b,
        "targets": {
            "encoding": encoding.replace("-", "_"),
            "parameters": options,
            "counts": sizes[0] if len(sizes) == 1 else sizes,
        },
    }
    stated = Problem.from_dict(spec | ({"width": width} if width is not None else {}))
    return stated if limits is None else stated.replace(constraint=limits)


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ProblemError("--with", text, "write it as name=value.")
    number = numbers("--with", value)[0]
    return name, int(number) if number.is_integer() else number


def numbers(flag: str, text: str) -> list[float]:
    """Numbers with commas between them; ProblemError names the flag."""
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise ProblemError(flag, text, "give a number, or several with commas between them.") from None


def _integers(flag: str, text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ProblemError(flag, text, "give an integer, or several with commas between them.") from None
