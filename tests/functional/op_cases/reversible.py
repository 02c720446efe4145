"""Cases of reversible layers."""

import jax.numpy as jnp

import bpjax.functional as F

from .table import case, normal


def turned(W, x):
    return jnp.tanh(x @ W.T)


def scaled(p, x):
    return jnp.sin(x * p)


def layers(f, g):
    return lambda x1, x2, p, q: sum(F.reversible(x1, x2, p, q, f, g))


a, b = normal(4, 4), normal(4, 4, seed=1)
case("reversible", "three layers", [a, b, normal(3, 4, 4), normal(3, 4)], f=layers(turned, scaled))
case("reversible", "one layer, one function", [a, b, normal(1, 4, 4), normal(1, 4, 4, seed=1)], f=layers(turned, turned))
case("reversible", "more axes", [normal(2, 3, 4), normal(2, 3, 4, seed=1), normal(2, 4), normal(2, 4, 4)], f=layers(scaled, turned))
case("reversible", "batch 0", [a[:0], b[:0], normal(2, 4, 4), normal(2, 4)], f=layers(turned, scaled))
