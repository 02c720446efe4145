"""Reversible layers: what is compiled for functions that are made anew at each call."""

import sys

import jax.numpy as jnp

import bpjax
import bpjax.functional as F
from bpjax.engine import Op

a, p = jnp.ones((2, 3)), jnp.full(2, 0.5)


def compiled_calls():
    return len(sys.modules[Op.__module__]._calls)


def gradient(make):
    return bpjax.grad(lambda a: sum(F.reversible(a, a, p, p, make(), make())).sum())(a)


def test_closures_that_do_the_same_are_one_call():
    factor, table, inner = 2.0, jnp.ones(3), lambda x: jnp.tanh(x)

    def make(power=2, *, shift=1.0):
        return lambda p, x, n=power: inner(factor * p * x**n) + shift * table

    first, before = gradient(make), compiled_calls()
    for _ in range(20):
        assert (gradient(make) == first).all()
    assert compiled_calls() == before


def test_closures_that_do_something_else_are_not():
    def of(value, nested=0.0, default=0.0):
        inner = lambda x: jnp.tanh(x + nested)
        return lambda: lambda p, x, d=default: inner(p * x * value) + d * x

    results = [gradient(of(*args)) for args in [(1,), (1.5,), (jnp.ones(3),), (2 * jnp.ones(3),), (1, 0.5), (1, 0.0, 0.5)]]
    assert len({r.tobytes() for r in results}) == 5  # ones are no other number than 1
    factor = 1.0
    make = lambda: lambda p, x: factor * p * x
    before = gradient(make)
    factor = 3.0
    assert not (gradient(make) == before).any()
