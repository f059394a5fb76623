"""The flags that state a problem, shared by the verbs that take one."""

from pathlib import Path
from typing import Annotated, Any

import typer

from ufm.cli import completion
from ufm.errors import ProblemError

_STATED = "ufm.cli.problem_flags"


def _alone(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
    """A file states the whole problem: a flag beside it would be overruled without a word, so it is refused."""
    source = ctx.get_parameter_source(str(param.name))
    if source is not None and source.name == "COMMANDLINE":
        given = ctx.meta.setdefault(_STATED, {})
        given[param.opts[0]] = value
        flags = sorted(given.keys() - {"--problem"})
        if "--problem" in given and flags:
            fix = f"{given['--problem']} states the whole problem; change it there, or leave --problem out."
            raise ProblemError(flags[0], given[flags[0]], fix)
    return value


def _flag(name: str, words: str, **more: Any) -> Any:
    return typer.Option(name, help=words, callback=_alone, **more)


ProblemFile = Annotated[Path | None, _flag("--problem", "A TOML file that states the problem.")]
Classes = Annotated[int | None, _flag("--classes", "Number of classes K.")]
Encoding = Annotated[
    str,
    _flag("--encoding", "Class encoding: one_hot, simplex, binary, ...", autocompletion=completion.encodings),
]
With = Annotated[
    list[str] | None,
    _flag("--with", "Parameter of the encoding: --with m=4, --with groups=2,3, --with eps=0.1; may be repeated."),
]
Counts = Annotated[str, _flag("--counts", "Samples per class: one integer, or K of them: 200,100,50.")]
LamW = Annotated[str, _flag("--lam-W", "Weight of 1/2 ||W||^2; one per layer, last first: 0.1,0.1.")]
LamH = Annotated[float | None, _flag("--lam-H", "Weight of 1/2 ||H||^2.")]
LamB = Annotated[float, _flag("--lam-b", "Weight of 1/2 ||b||^2: inf is no bias, 0 a free one.")]
TRel = Annotated[float | None, _flag("--t-rel", "Set lam_W = t/K, lam_H = t/N instead (one layer).")]
Loss = Annotated[str, _flag("--loss", "mse, cross_entropy, or rescaled_mse:k=5,M=3.", autocompletion=completion.losses)]
Constraint = Annotated[
    str | None,
    _flag(
        "--constraint",
        "non_negative, hard_margin, norm_budget:E_W=1,E_H=5, fixed_classifier:W=frame.npy (or W=1 0;0 1), "
        "near:H0=features.npy,beta=0.5.",
    ),
]
Width = Annotated[int | None, _flag("--width", "Feature width d; as wide as needed if left out.")]

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
            **_encoding(encoding.replace("-", "_"), classes, dict(_parameter(text) for text in parameters or [])),
            "counts": sizes[0] if len(sizes) == 1 else sizes,
        },
    }
    stated = Problem.from_dict(spec | ({"width": width} if width is not None else {}))
    if classes != stated.K:
        raise ProblemError("--classes", classes, f"these codes have {stated.K} columns; give --classes {stated.K}.")
    return stated if limits is None else stated.replace(constraint=limits)


def _encoding(name: str, classes: int, parameters: dict[str, Any]) -> dict[str, Any]:
    """An encoding as files say it; the number of classes goes where it is asked for, in what is smoothed as well."""
    from inspect import signature

    from ufm.encodings import available

    wanted = signature(available()[name]).parameters if name in available() else {}
    inner = parameters.get("encoding", "one_hot")
    given: dict[str, Any] = {"K": classes} if "K" in wanted or not wanted else {}
    if "encoding" in wanted:
        given = {"encoding": _encoding(str(inner), classes, {})}
        parameters = {key: value for key, value in parameters.items() if key != "encoding"}
    unknown = sorted(parameters.keys() - wanted.keys()) if wanted else []
    if unknown:
        fix = f"{name} takes {', '.join(wanted)}."
        raise ProblemError("--with", f"{unknown[0]}={parameters[unknown[0]]}", fix)
    given |= parameters
    needed = [key for key, one in wanted.items() if one.default is one.empty and key not in given]
    if needed:
        raise ProblemError("--with", "", f"{name} needs {needed[0]}; give it as --with {needed[0]}=...")
    return {"encoding": name, "parameters": given}


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ProblemError("--with", text, "write it as name=value.")
    if name == "encoding":
        return name, value.replace("-", "_")
    found = [int(number) if number.is_integer() else number for number in numbers("--with", value)]
    return name, found if len(found) > 1 or name == "groups" else found[0]


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
