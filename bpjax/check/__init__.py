"""The check: three oracles, a report, and who is to blame."""

from .gradients import check_custom_vjp, check_gradients
from .report import Leaf, Report

__all__ = ["Leaf", "Report", "check_custom_vjp", "check_gradients"]
