"""The other tests compile without LLVM's optimisation, and with an older code generator: here is what users get."""

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import jax, bpjax, numpy as np
from benchmarks.workloads import cnn, depthwise, gpt, lstm, mlp
problems = [
    mlp("gelu", 3, 8, 12), cnn(2, 3), depthwise(3, 2, 2), lstm(7, 4, 2, 3, 5), gpt(2, 300, 11, width=8, heads=2, layers=1),
]
for problem in problems:
    both = jax.jit(lambda *args: [grad(problem.loss)(*args) for grad in (bpjax.grad, jax.grad)])(problem.params, *problem.data)
    hand, auto = (np.concatenate([np.ravel(a) for a in jax.tree.leaves(grads)]) for grads in both)
    assert np.linalg.norm(hand - auto) < 1e-4 * np.linalg.norm(auto), problem.unit
print("right")
"""


def test_gradients_under_xlas_own_settings():
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    root = Path(__file__).parent.parent
    result = subprocess.run([sys.executable, "-c", PROGRAM], cwd=root, env=environment, capture_output=True, text=True)
    assert result.stdout.strip() == "right", result.stderr[-2000:]
