"""What every answer of `solve` says of itself: a value, a bound, and how sure it is."""

from abc import ABC, abstractmethod
from typing import Any

from ufm.display import card, number, pill
from ufm.optimum.certificate import Certificate
from ufm.optimum.status import OptimumStatus
from ufm.problem import Problem


class Answer(ABC):
    """A point of a problem with its certificate; a subclass is a dataclass with these fields and the point itself."""

    problem: Problem
    status: OptimumStatus
    method: str
    certificate: Certificate

    @property
    def value(self) -> float:
        """The objective at this point (the infimum where it is not attained)."""
        return self.certificate.value

    @property
    def lower_bound(self) -> float:
        """No point has a smaller objective than this."""
        return self.certificate.lower_bound

    @property
    def gap(self) -> float:
        """Value - lower_bound."""
        return self.certificate.gap

    def _certified(self) -> dict[str, Any]:
        """What a record holds of the certificate."""
        return {"value": self.value, "lower_bound": self.lower_bound, "gap": self.gap, "rank": self.certificate.rank}

    def _provenance(self) -> dict[str, Any]:
        return {"method": self.method, "status": self.status.name, "work": self.certificate.work}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(value={self.value:.12g}, gap={self.gap:.1e}, rank={self.certificate.rank}, "
            f"method={self.method!r}, {self.status.name}: {self.status.value})"
        )

    def _repr_html_(self) -> str:
        sure = self.status.name.startswith(("CERTIFIED", "PROVED"))
        rows = {
            "value": number(self.value),
            "lower bound": number(self.lower_bound),
            "gap": f"{self.gap:.1e}",
            "status": pill(self.status.name, "#cfe6f5" if sure else "#f6e3b5"),
            "rank": self.certificate.rank,
            **self._rows(),
            "method": self.method,
        }
        return card(type(self).__name__, rows, note=self.status.value)

    @abstractmethod
    def _rows(self) -> dict[str, Any]:
        """What a notebook shows of the point itself."""
