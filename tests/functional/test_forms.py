"""The forms of an op for a CPU and for other platforms, run on the same arrays, at sizes at which they differ.

The table of cases is run in the other forms by `BPJAX_FORM=default scripts/test`; see CONTRIBUTING.md.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_cases.table import normal

import bpjax
import bpjax.functional as F
from bpjax.engine import platforms
from bpjax.functional._shared import attention_grid
from bpjax.functional._shared.attention_grid import Grid, Squares, Strips, block_size, large_steps

CPU, ELSEWHERE = "cpu", "default"


def halves(op, *args, **options):
    """The value and the cotangents in each of the two forms: the written halves, traced anew."""
    found = []
    for form in (CPU, ELSEWHERE):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(platforms, "FORCED", form)

            @jax.jit
            def both(*args):
                y, saved = op.forward(*args, **options)
                dys = jax.tree.map(lambda y: jnp.sin(jnp.arange(y.size, dtype=jnp.float32)).reshape(y.shape).astype(y.dtype), y)
                return y, [d for d in op.backward(saved, dys) if d is not None]

            found.append(jax.tree.map(lambda a: np.asarray(a, np.float64), both(*args)))
    return found


def assert_close(pair, dtype, times=16):
    """By `times` roundings of the largest entry."""
    for a, b in zip(*map(jax.tree.leaves, pair), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=times * float(jnp.finfo(dtype).eps) * np.abs(a).max())


OPTIONS = {
    "causal": {"is_causal": True},
    "all keys": {},
    "a window": {"local_window_size": (300, 0)},
    "dropout": {"dropout_p": 0.25, "is_causal": True},
}


@pytest.mark.parametrize("name", OPTIONS)
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_attention(name, dtype):
    q, k, v = (jnp.asarray(normal(1, 2, 1100, 16, seed=i), dtype) for i in range(3))
    more = {"rng": jax.random.key(0)} if "dropout_p" in OPTIONS[name] else {}
    assert_close(halves(F.scaled_dot_product_attention, q, k, v, **OPTIONS[name], **more), dtype)


@pytest.mark.parametrize("is_causal", [True, False])
def test_attention_in_large_squares(is_causal, monkeypatch):
    monkeypatch.setattr(attention_grid, "SCORES", 2**17)
    q, k, v = (jnp.asarray(normal(1, 1100, 16, seed=i), jnp.float32) for i in range(3))
    grid = Grid(1100, 1100, None, 0 if is_causal else None, block_size((1,), 1100, 1100))
    monkeypatch.setattr(attention_grid, "MOST_STRIPS", 4)
    assert isinstance(large_steps(grid, (1,), 4), Squares)
    assert_close(halves(F.scaled_dot_product_attention, q, k, v, is_causal=is_causal), jnp.float32)


def test_strips_are_alike_and_hold_all_that_is_allowed():
    grid = Grid(8192, 8192, None, 0, 256)
    steps = large_steps(grid, (1, 4), 4)
    assert isinstance(steps, Strips) and len(steps.strips) == 11
    scores = [4 * rows.count * grid.q * columns.count * grid.k * 4 for rows, columns in steps.strips]
    assert min(scores) >= 2**25 and max(scores) <= 2 * min(scores)  # bytes: none under 32 MB
    assert sum(rows.count for rows, _ in steps.strips) == grid.rows
    i, j = grid.squares(1)
    for rows, columns in steps.strips:
        own = (rows.first <= i) & (i < rows.first + rows.count)
        assert columns.first <= j[own].min() and j[own].max() < columns.first + columns.count


def test_strips_of_a_window_pass_over_what_it_empties():
    grid = Grid(4096, 4096, -256, 0, 128)
    assert all(columns.count <= rows.count + 3 for rows, columns in grid.strips(8))


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16, jnp.float16])
def test_linear_cross_entropy(reduction, dtype):
    x, W, b = (jnp.asarray(normal(*s, seed=i), dtype) for i, s in enumerate([(1500, 8), (4096, 8), (4096,)]))
    t = jnp.arange(1500) * 7 % 4096
    assert_close(halves(F.linear_cross_entropy, x, W, t, linear_bias=b, reduction=reduction), dtype, times=64)  # sums of other lengths


@pytest.mark.parametrize("op", [F.lstm, F.gru, F.rnn_tanh])
def test_recurrent(op):
    gates = {"lstm": 4, "gru": 3}.get(op.__name__, 1)
    h = jnp.zeros((4, 8))
    args = jnp.asarray(normal(37, 4, 8), jnp.float32), (h, h) if op is F.lstm else h
    weights = [jnp.asarray(normal(gates * 8, 8, seed=i) / 3, jnp.float32) for i in (1, 2)]
    assert_close(halves(op, *args, *weights), jnp.float32)


@pytest.mark.parametrize("kernel, options", [((64, 64, 3, 3), {"padding": 1}), ((32, 1, 3, 3), {"groups": 32}), ((16, 32, 1, 1), {})])
def test_convolution(kernel, options):
    x = jnp.asarray(normal(4, 32 if kernel[0] < 64 else 64, 16, 16), jnp.float32)
    W = jnp.asarray(normal(*kernel, seed=1), jnp.float32)
    assert_close(halves(F.conv2d, x, W, **options), jnp.float32)


def test_what_is_lowered_for_a_gpu_has_no_loop_over_small_blocks():
    q = jax.ShapeDtypeStruct((1, 4, 2048, 16), jnp.float32)
    step = jax.jit(bpjax.grad(lambda q: jnp.sum(F.scaled_dot_product_attention(q, q, q, is_causal=True) ** 2))).trace(q)
    loops = {p: step.lower(lowering_platforms=(p,)).as_text().count("stablehlo.while") for p in ("cpu", "cuda")}
    assert loops["cpu"] > 0 and loops["cuda"] == 0
