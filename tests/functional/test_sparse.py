"""Indices and offsets that PyTorch refuses, and compiled code cannot."""

import jax.numpy as jnp

import bpjax.functional as F

i, W, two = jnp.array([0, 1, 2]), jnp.ones((4, 3)), jnp.array([0, 2])


def test_what_is_outside_a_table_is_nan():
    outside = jnp.array([0, 7, 2])
    for mode in ("sum", "mean", "max"):
        assert jnp.isnan(F.embedding_bag(outside, W, two, mode=mode)).all(1).tolist() == [True, False]
        for offsets in ([1, 2], [0, 4]):
            assert jnp.isnan(F.embedding_bag(i, W, jnp.array(offsets), mode=mode)).all()
