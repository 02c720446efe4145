"""Cases of reversible layers."""

from .table import module, normal


def half(lib, n, *more):
    return lib.nn.Sequential(lib.nn.LayerNorm(n), lib.nn.Linear(n, n), *more)


def case(id, make, x):
    module("Reversible", id, make, [x], parity=False)


case("one layer", lambda lib: lib.nn.Reversible(lib.nn.Linear(2, 2), lib.nn.Linear(2, 2), 1), normal(3, 4))
case("layers", lambda lib: lib.nn.Reversible(half(lib, 4, lib.nn.GELU()), half(lib, 4, lib.nn.Tanh()), 4), normal(5, 8))
case("another axis", lambda lib: lib.nn.Reversible(half(lib, 3), lib.nn.Linear(3, 3), 2, dim=0), normal(4, 2, 3))
case("random", lambda lib: lib.nn.Reversible(half(lib, 4, lib.nn.Dropout(0.4)), half(lib, 4, lib.nn.Dropout(0.2)), 3), normal(5, 8))
case("without parameters", lambda lib: lib.nn.Reversible(lib.nn.Tanh(), lib.nn.Linear(3, 3), 2), normal(2, 6))
case("batch 0", lambda lib: lib.nn.Reversible(lib.nn.Linear(2, 2), lib.nn.Linear(2, 2), 2), normal(0, 4))
