"""What a record of measurements may hold: names that one function gives together, and what they need to be defined."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Literal

from ufm.errors import MissingExtraError, UfmError

Values = dict[str, Any]
Keys = Sequence[str] | Literal["all"] | None


@dataclass(frozen=True)
class Need:
    """What has to be there, in words that end "needs ...", and whether a state has it."""

    words: str
    met: Callable[[Any], bool]


@dataclass(frozen=True)
class Family:
    """names: in a record; of: their values in a state; needs: all of them; costs: why it waits until asked for."""

    names: tuple[str, ...]
    of: Callable[[Any], Values]
    needs: tuple[Need, ...] = ()
    costs: str = ""

    def lacks(self, state: Any) -> str:
        """What is missing, in words; empty where nothing is."""
        return next((need.words for need in self.needs if not need.met(state)), "")


def gather(
    families: Collection[Family], state: Any, keys: Keys = None, others: tuple[Collection[Family], str] = ((), "")
) -> Values:
    """The values of all families that the state defines, without the costly ones; or of `keys`; or of "all".

    Raises UfmError for a key that is unknown, or that the state does not define, with what it needs. Under "all" a
    costly one that has no answer is nan. others: families of data of another kind, and of which.
    """
    chosen = (
        None if keys is None or keys == "all" else _known(families, [keys] if isinstance(keys, str) else keys, others)
    )
    found: Values = {}
    for family in families:
        asked = chosen & set(family.names) if chosen is not None else keys == "all" or not family.costs
        if not asked:
            continue
        missing = family.lacks(state)
        if not missing:
            found |= _answer(family, state, strict=chosen is not None)
        elif chosen is not None:
            raise UfmError(f"keys: {', '.join(sorted(chosen & set(family.names)))} needs {missing}.")
    return found if chosen is None else {name: value for name, value in found.items() if name in chosen}


def _answer(family: Family, state: Any, strict: bool) -> Values:
    try:
        return family.of(state)
    except MissingExtraError:
        raise
    except UfmError:
        if strict or not family.costs:
            raise
        return dict.fromkeys(family.names, float("nan"))


def _known(families: Iterable[Family], keys: Iterable[str], others: tuple[Collection[Family], str]) -> set[str]:
    known = {name for family in families for name in family.names}
    for key in keys:
        if key not in known and any(key in family.names for family in others[0]):
            raise UfmError(f"keys = {key!r}: it is defined for {others[1]}; this is data of another kind.")
        if key not in known:
            near = get_close_matches(str(key), sorted(known), 3, 0.5)
            hint = f"near it are {', '.join(near)}" if near else f"choose among {', '.join(sorted(known))}"
            raise UfmError(f"keys = {key!r}: no metric of this kind of data has that name; {hint}.")
    return set(keys)
