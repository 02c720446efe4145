"""Indices and offsets that PyTorch refuses, and compiled code cannot; those that were made under enable_x64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.functional as F

i, W, two = jnp.array([0, 1, 2]), jnp.ones((4, 3)), jnp.array([0, 2])


def test_what_is_outside_a_table_is_nan():
    outside = jnp.array([0, 7, 2])
    for mode in ("sum", "mean", "max"):
        assert jnp.isnan(F.embedding_bag(outside, W, two, mode=mode)).all(1).tolist() == [True, False]
        for offsets in ([1, 2], [0, 4]):
            assert jnp.isnan(F.embedding_bag(i, W, jnp.array(offsets), mode=mode)).all()


@pytest.mark.parametrize("options", [{"mode": "sum"}, {"mode": "max"}, {"padding_idx": 1, "scale_grad_by_freq": True}], ids=str)
def test_int64_from_outside_does_not_warn(options):
    with jax.enable_x64(True):
        long, starts = jnp.array([0, 1, 1]), jnp.array([0, 2])
    assert long.dtype == starts.dtype == np.int64

    def f(W, i, offsets):
        rows = F.embedding(i, W, options.get("padding_idx"), scale_grad_by_freq="scale_grad_by_freq" in options)
        return F.embedding_bag(i, W, offsets, **options).sum() + jnp.square(rows).sum()

    expected = bpjax.grad(f)(W, jnp.array([0, 1, 1]), two)
    for grad in (bpjax.grad, jax.grad):
        assert (jax.jit(lambda W, grad=grad: grad(f)(W, long, starts))(W) == expected).all()
    assert (F.one_hot(long, 4) == F.one_hot(jnp.array([0, 1, 1]), 4)).all()


def test_a_table_without_rows():
    assert F.embedding(jnp.zeros((0, 2), int), jnp.ones((0, 3))).shape == (0, 2, 3)
