"""Attention in blocks, over several of them: values and every gradient against the formula, which has all scores at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from op_cases.table import normal
from verdict import assert_same, on_device

import bpjax
import bpjax.functional as F
from bpjax.functional import attention
from bpjax.functional._shared.attention_grid import block_size

pytestmark = pytest.mark.usefixtures("x64")
key = jax.random.key(2)
rows = normal(7, 1) > -0.5  # some queries may attend to nothing
CASES = {  # shapes of q, k, v; how many heads share; a mask; options
    "no mask": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], None, {}),
    "causal, square": ([(7, 5), (7, 5), (7, 5)], None, {"is_causal": True}),
    "causal, more keys": ([(2, 4, 5), (2, 11, 5), (2, 11, 3)], None, {"is_causal": True}),
    "causal, more queries": ([(2, 11, 5), (2, 4, 5), (2, 4, 3)], None, {"is_causal": True}),
    "window": ([(2, 11, 5), (2, 11, 5), (2, 11, 5)], None, {"local_window_size": (2, 1)}),
    "window around": ([(11, 5), (10, 5), (10, 5)], None, {"local_window_size": 1}),
    "causal window": ([(11, 5), (11, 5), (11, 5)], None, {"local_window_size": (3, 4), "is_causal": True}),
    "window, a number of NumPy": ([(11, 5), (10, 5), (10, 5)], None, {"local_window_size": np.int64(1)}),
    "window of which some queries see nothing": ([(12, 5), (3, 5), (3, 5)], None, {"local_window_size": 1}),
    "grouped, causal": ([(2, 6, 7, 5), (2, 2, 7, 5), (2, 2, 7, 4)], None, {"is_causal": True, "enable_gqa": True}),
    "grouped, keys and values apart": ([(6, 7, 5), (2, 8, 5), (3, 8, 4)], None, {"enable_gqa": True}),
    "boolean mask": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], normal(2, 7, 8) > 0, {}),
    "boolean mask of queries": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], rows, {}),
    "additive mask": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], normal(7, 8), {"scale": 0.3}),
    "additive mask of keys": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], normal(2, 1, 8), {}),
    "additive mask, grouped": ([(2, 4, 7, 5), (2, 2, 8, 5), (2, 2, 8, 4)], normal(4, 1, 8), {"enable_gqa": True}),
    "dropout, causal": ([(2, 7, 5), (2, 7, 5), (2, 7, 4)], None, {"dropout_p": 0.4, "rng": key, "is_causal": True}),
    "dropout, additive mask": ([(2, 7, 5), (2, 8, 5), (2, 8, 4)], normal(7, 8), {"dropout_p": 0.4, "rng": key}),
    "broadcast": ([(3, 1, 7, 5), (2, 8, 5), (1, 2, 8, 4)], None, {"is_causal": True}),
    "batch 0": ([(0, 7, 5), (0, 8, 5), (0, 8, 4)], None, {"is_causal": True}),
}


# an op remembers its formula for shapes and options, and with it the blocks for which dropout draws: in one size alone
SIZES = [(name, size) for name in CASES for size in ((3,) if "dropout" in name else (3, 1))]


@pytest.mark.parametrize(("name", "size"), SIZES)
def test_blocks_give_what_the_formula_gives(name, size, monkeypatch):
    monkeypatch.setattr(attention, "block_size", lambda leading, L, S: size)
    shapes, mask, options = CASES[name]
    args = on_device([normal(*shape, seed=i) for i, shape in enumerate(shapes)])
    is_added = mask is not None and mask.dtype != bool

    args += on_device([mask]) if is_added else ()

    def attend(q, k, v, m=mask):
        return F.scaled_dot_product_attention(q, k, v, m, **options)

    @jax.jit
    def program(*args):
        y, back = bpjax.vjp(attend, *args)
        formula, auto = jax.vjp(attend, *args)
        dy = np.random.default_rng(3).standard_normal(y.shape)
        return y, formula, back(dy), auto(dy)

    y, formula, hand, auto = program(*args)
    np.testing.assert_allclose(y, formula, rtol=1e-12, atol=1e-14)
    assert_same(hand, auto)


def test_the_size_of_blocks():
    sizes = [block_size(*shape) for shape in [((4,), 2048, 2048), ((4,), 2048, 2000), ((8,), 4096, 4096), ((), 512, 8192)]]
    assert sizes == [256, 128, 128, 256]


@pytest.mark.parametrize("length", [300, 2100])
def test_blocks_of_their_usual_size(length):
    q, k, v = (jax.device_put(normal(length, 2, seed=i)) for i in range(3))
    attend = lambda q, k, v: jnp.sum(jnp.sin(F.scaled_dot_product_attention(q, k, v, is_causal=True)))
    hand, auto = jax.jit(lambda *args: [g(attend, (0, 1, 2))(*args) for g in (bpjax.grad, jax.grad)])(q, k, v)
    assert_same(hand, auto)
