"""The backward pass, opened: what it costs, how healthy it is, where it breaks, and rules to put in its place."""

from . import rules

__all__ = ["rules"]
