"""The referee: proved, verified, or refuted by this counterexample."""

from ufm.referee.check import check
from ufm.referee.report import Counterexample, Evidence, Report, Reports, Verdict

__all__ = ["Counterexample", "Evidence", "Report", "Reports", "Verdict", "check"]
