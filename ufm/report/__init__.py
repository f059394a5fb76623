"""All verdicts on one page: a self-contained HTML file, and the same data as JSON beside it."""

from ufm.report.entry import describe
from ufm.report.page import page
from ufm.report.write import write, write_verdicts

__all__ = ["describe", "page", "write", "write_verdicts"]
