"""The benchmark's models, small: the two gradients of each agree as users get them, jitted and in float32."""

import jax
import numpy as np
import pytest

import bpjax
from benchmarks.workloads import cnn, depthwise, gpt, lstm, mlp

PROBLEMS = {
    "mlp": lambda: mlp("gelu", 3, 8, 12),
    "cnn": lambda: cnn(2, 3),
    "depthwise": lambda: depthwise(3, 2, 2),
    "lstm": lambda: lstm(7, 4, 2, 3, 5),
    "gpt": lambda: gpt(2, 300, 11, width=8, heads=2, layers=1),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_hand_is_auto(name):
    problem = PROBLEMS[name]()
    both = jax.jit(lambda *args: [grad(problem.loss)(*args) for grad in (bpjax.grad, jax.grad)])(problem.params, *problem.data)
    hand, auto = (np.concatenate([np.ravel(a) for a in jax.tree.leaves(grads)]) for grads in both)
    assert np.linalg.norm(hand - auto) < 1e-4 * np.linalg.norm(auto)
