"""The engine's errors: each says which equation, in which module, on which line of the user's code."""


class GradientError(Exception):
    """A gradient that cannot be taken, or a rule that broke its contract."""


class NoRuleError(GradientError, NotImplementedError):
    """A primitive on the path of a gradient has no backward rule."""


class RuleError(GradientError, TypeError):
    """A backward rule returned something that is not a cotangent of its inputs."""


class HalfAnOpError(RuleError):
    """An op is differentiated that lacks one of its halves."""


class BorrowedRuleWarning(UserWarning):
    """Nobody wrote the backward of an equation on the path, so JAX's own was taken."""
