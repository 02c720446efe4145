"""The backward pass, opened: what it costs, how healthy it is, where it breaks, and rules to put in its place."""

from . import rules
from .health import Health, Healthy, health
from .monitor import Monitor
from .verdicts import Thresholds, Verdict, first_nonfinite, verdicts

__all__ = ["Health", "Healthy", "Monitor", "Thresholds", "Verdict", "first_nonfinite", "health", "rules", "verdicts"]
