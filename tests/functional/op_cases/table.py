"""The table of cases of the functions: every check of a function runs over this list. To add one, add its cases beside its family."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

import bpjax.functional as F


class Case(NamedTuple):
    op: str  # a name of bpjax.functional
    id: str
    f: Callable  # of the arrays alone
    args: tuple  # float64 arrays (and the integers, closed over by f)
    first: bool = False  # the function's representative: it also goes through vmap, scan, second order, low precision
    smooth: bool = True  # no kink at these points
    narrow: bool = False  # also goes through low precision
    entrywise: bool = False  # tiny numbers of the gradient are right as well, and are compared each for itself


def normal(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def positive(*shape, seed=0):
    return np.exp(normal(*shape, seed=seed))


def unit(*shape, seed=0):
    return 1 / (1 + np.exp(-normal(*shape, seed=seed)))


def apart(*shape, seed=0):
    """Values without ties."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape) / 7.0 + 0.01


def is_loss(op):
    """Whether it is one of the losses, which are float32 of inputs of 16 bits."""
    return op.endswith("loss") or "cross_entropy" in op or op == "kl_div"


CASES: list[Case] = []
_seen: set = set()


def case(op, id, args, *, smooth=True, narrow=False, entrywise=False, f=None, **options):
    function = getattr(F, op)
    call = f or (lambda *a: function(*a, **options))
    CASES.append(Case(op, f"{op}: {id}", call, tuple(args), op not in _seen, smooth, narrow or op not in _seen, entrywise))
    _seen.add(op)


x = normal(6, 6)  # square, so that a transposed cotangent is a possible mistake
edge = np.array([-1e3, -40.0, -1.0, -1e-3, 0.0, 1e-3, 1.0, 2.0, 30.0, 1e3])
kinks = np.array([-2.0, -1.0, 0.0, 0.5, 1.0, 2.0])
