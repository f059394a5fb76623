"""What a shell offers for an argument: names that come along, found by their files."""

import pkgutil
from collections.abc import Iterable
from pathlib import Path

import ufm


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    return sorted(name for name in names if name.startswith(incomplete))


def statements(incomplete: str) -> list[str]:
    """Files of the catalogue, and past a colon the ids of one."""
    if ":" in incomplete:
        from ufm.catalogue import catalogue

        return _beginning(catalogue(), incomplete)
    folder = Path(ufm.__file__).parent / "theorems"  # not imported: that would take SymPy's time at every key
    return _beginning((module.name for module in pkgutil.iter_modules([str(folder)])), incomplete)


def encodings(incomplete: str) -> list[str]:
    """Class encodings."""
    from ufm.encodings import available

    return _beginning(available(), incomplete)


def losses(incomplete: str) -> list[str]:
    """Losses that need no parameter."""
    return _beginning(("mse", "cross_entropy", "rescaled_mse:k=5,M=3"), incomplete)


def integrators(incomplete: str) -> list[str]:
    """Integrators and descents, and the choice among them."""
    from ufm.flow.integrators import available

    return _beginning(("auto", *available()), incomplete)


def campaigns(incomplete: str) -> list[str]:
    """Campaigns that come along."""
    from ufm.share import locate

    return _beginning((path.stem for path in locate("numerics", "campaigns").glob("*.toml")), incomplete)


def figures(incomplete: str) -> list[str]:
    """Figures that have a specification."""
    from ufm.share import locate

    return _beginning((path.stem for path in locate("figures").glob("*.toml")), incomplete)


def metrics(incomplete: str) -> list[str]:
    """Observables of arrays, the last of a list with commas between them."""
    from ufm.metrics.samples import OF_CLASSES, OF_TARGETS

    *before, last = incomplete.split(",")
    names = {name for family in (*OF_CLASSES, *OF_TARGETS) for name in family.names} | {"all", "list"}
    return [",".join([*before, name]) for name in _beginning(names, last)]
