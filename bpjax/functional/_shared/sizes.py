"""Sizes: of windows as tuples, one number for each axis of space; and compared where they may be symbolic."""

import jax


def sizes(name, n, what, value):
    """`value` as a tuple of n whole numbers: a number stands for n of them, and so does a sequence of one.

    >>> sizes("conv2d", 2, "stride", 3), sizes("conv2d", 2, "stride", [1, 2])
    ((3, 3), (1, 2))
    """
    given = tuple(value) if isinstance(value, tuple | list) else (value,)
    given = given * n if len(given) == 1 else given
    if len(given) != n or not all(map(is_whole, given)):
        raise ValueError(f"{name}: {what} must be a whole number or {n} of them, got {value!r}")
    return tuple(int(v) for v in given)


def is_whole(value):
    """Whether it is a whole number; True is none.

    >>> is_whole(3), is_whole(3.0), is_whole(True)
    (True, False, False)
    """
    return hasattr(value, "__index__") and not isinstance(value, bool)


def is_known(*sizes):
    """Whether all the sizes are numbers; under `jax.export` they may be symbols.

    >>> is_known(3, 4)
    True
    """
    return all(isinstance(n, int) for n in sizes)


def surely(comparison):
    """Whether a comparison of sizes holds for every size; where a size is symbolic (`jax.export`) and both may be, it does not.

    >>> surely(lambda: 3 <= 4)
    True
    """
    try:
        return bool(comparison())
    except jax.errors.InconclusiveDimensionOperation:
        return False
