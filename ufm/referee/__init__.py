"""The referee: proved, verified, or refuted by this counterexample."""

from ufm.referee.check import check
from ufm.referee.report import Counterexample, Evidence, Report, Verdict

__all__ = ["Counterexample", "Evidence", "Report", "Verdict", "check"]
