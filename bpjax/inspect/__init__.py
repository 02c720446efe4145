"""The backward pass, opened: explained, watched, measured, searched for NaN, and changed."""

from . import rules
from .cost import Cost, ModuleCost, cost
from .explain import Explanation, explain
from .health import Health, Healthy, health
from .monitor import Monitor
from .nonfinite import NanReport, find_nan
from .summary import Summary, summary
from .verdicts import Thresholds, Verdict, first_nonfinite, verdicts

__all__ = [
    "Cost", "Explanation", "Health", "Healthy", "ModuleCost", "Monitor", "NanReport", "Summary", "Thresholds", "Verdict",
    "cost", "explain", "find_nan", "first_nonfinite", "health", "rules", "summary", "verdicts",
]  # fmt: skip
