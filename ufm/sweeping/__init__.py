"""Sweeps: thousands of gradient flows over any product of axes, written as they come, resumed wherever they stopped."""

from ufm.sweeping.plan import SweepPlan as SweepPlan
from ufm.sweeping.plan import load_plan as load_plan
from ufm.sweeping.run import sweep as sweep
