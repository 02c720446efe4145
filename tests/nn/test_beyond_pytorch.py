"""What PyTorch does not have, against plain NumPy; what it refuses; what it keeps."""

import math
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from module_cases.table import normal, random_like

import bpjax
import bpjax.functional as F
from bpjax import nn

key = jax.random.key(0)
EXACT = {"rtol": 1e-12, "atol": 1e-12}


def rotated(x, positions, base, interleaved):
    """Pair by pair."""
    D, y = x.shape[-1], np.empty_like(x)
    for i in range(D // 2):
        first, second = (2 * i, 2 * i + 1) if interleaved else (i, i + D // 2)
        theta = positions * base ** (-2 * i / D)
        y[..., first] = x[..., first] * np.cos(theta) - x[..., second] * np.sin(theta)
        y[..., second] = x[..., first] * np.sin(theta) + x[..., second] * np.cos(theta)
    return y


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("interleaved", [False, True])
@pytest.mark.parametrize("positions", [None, np.array([5, 0, 900]), np.array([[0.5, 2.0, 3.0], [1.0, 1.0, -7.0]])])
def test_rotary_embedding(interleaved, positions):
    x, dy = normal(2, 3, 8), normal(2, 3, 8, seed=1)
    model = nn.RotaryEmbedding(8, 100.0, interleaved)
    y, back = bpjax.vjp(lambda x: model.apply({}, x, positions), jnp.asarray(x))
    places = np.arange(3) if positions is None else positions
    np.testing.assert_allclose(y, rotated(x, places, 100.0, interleaved), **EXACT)
    np.testing.assert_allclose(back(jnp.asarray(dy))[0], rotated(dy, -places, 100.0, interleaved), **EXACT)


@pytest.mark.usefixtures("x64")
def test_rotated_products_depend_on_the_distance_alone():
    q, k = jnp.asarray(normal(1, 6)), jnp.asarray(normal(1, 6, seed=1))
    near, far = (F.rotary_embedding(q, jnp.array([p])) @ F.rotary_embedding(k, jnp.array([p + 4])).T for p in (0, 1000))
    np.testing.assert_allclose(near, far, **EXACT)


def test_angles_have_float32_at_least():
    x, positions = jnp.ones((1, 4), jnp.bfloat16), jnp.array([4097])
    expected = F.rotary_embedding(x.astype(jnp.float32), positions)
    assert (F.rotary_embedding(x, positions) == expected.astype(jnp.bfloat16)).all()


def test_rotary_embedding_has_no_state():
    model = nn.RotaryEmbedding(4)
    assert model.init(key) == {} and model.init_buffers() == {}
    assert repr(model) == "RotaryEmbedding(4, base=10000.0, interleaved=False)"


def silu(a):
    return a / (1 + np.exp(-a))


def gelu(a):
    return 0.5 * a * (1 + np.vectorize(math.erf)(a / np.sqrt(2)))


def gelu_tanh(a):
    return 0.5 * a * (1 + np.tanh(np.sqrt(2 / np.pi) * (a + 0.044715 * a**3)))


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    ("model", "act"),
    [
        (nn.SwiGLU(4, 6, 3), silu),
        (nn.SwiGLU(4, 6, bias=True), silu),
        (nn.GEGLU(4, 6, bias=True), gelu),
        (nn.GEGLU(4, 6, approximate="tanh"), gelu_tanh),
    ],
)
def test_feed_forward(model, act):
    params, x = random_like(model.init(key)), normal(5, 4)

    def project(name, x):
        return x @ np.asarray(params[name]["weight"]).T + np.asarray(params[name].get("bias", 0.0))

    expected = project("down_proj", act(project("gate_proj", x)) * project("up_proj", x))
    np.testing.assert_allclose(model.apply(params, jnp.asarray(x)), expected, **EXACT)


def test_feed_forward_declares_linear_maps():
    params = nn.SwiGLU(4, 6, 3, True, dtype=jnp.bfloat16).init(key)
    shapes = {f"{name}.{kind}": value.shape for name, part in params.items() for kind, value in part.items()}
    assert shapes == {"gate_proj.weight": (6, 4), "gate_proj.bias": (6,), "up_proj.weight": (6, 4), "up_proj.bias": (6,),
                      "down_proj.weight": (3, 6), "down_proj.bias": (3,)}  # fmt: skip
    assert {leaf.dtype for leaf in jax.tree.leaves(params)} == {jnp.dtype(jnp.bfloat16)}


@pytest.mark.parametrize("kind", ["SwiGLU", "GEGLU"])
def test_feed_forward_takes_no_more_temporary_bytes_than_jax_grad(kind):
    model, x = getattr(nn, kind)(64, 256), jnp.ones((512, 64))

    def loss(params, x):
        return jnp.sum(model.apply(params, x) ** 2)

    hand, auto = (
        jax.jit(of(loss, (0, 1))).lower(model.init(key), x).compile().memory_analysis().temp_size_in_bytes
        for of in (bpjax.value_and_grad, jax.value_and_grad)
    )
    assert hand <= auto, f"hand {hand}, jax.grad {auto}"


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: F.rotary_embedding(jnp.ones((2, 3))), ValueError, "even last dimension, got shape (2, 3)"),
        (lambda: F.rotary_embedding(jnp.ones(4)), ValueError, "expected an input (*, T, D), got shape (4,)"),
        (lambda: F.rotary_embedding(jnp.ones((2, 4), int)), TypeError, "floating-point input, got int32"),
        (lambda: F.rotary_embedding(jnp.ones((2, 4)), jnp.arange(3)), ValueError, "positions (3,) do not fit input (2, 4)"),
        (lambda: F.rotary_embedding(jnp.ones((2, 4)), jnp.ones((3, 2))), ValueError, "positions (3, 2) do not fit input (2, 4)"),
        (lambda: F.rotary_embedding(jnp.ones((2, 4)), jnp.ones(2, bool)), TypeError, "positions to hold real numbers, got bool"),
        (lambda: F.rotary_embedding(jnp.ones((2, 4)), base=0.0), ValueError, "base must be positive, got 0.0"),
        (lambda: nn.RotaryEmbedding(3), ValueError, "RotaryEmbedding: dim must be even and positive, got 3"),
        (lambda: nn.RotaryEmbedding(4, base=-1.0), ValueError, "RotaryEmbedding: base must be positive, got -1.0"),
        (lambda: nn.RotaryEmbedding(4)(jnp.ones((2, 6))), ValueError, "last dimension 4, got shape (2, 6)"),
        (lambda: F.swiglu(jnp.ones((2, 3)), jnp.ones(3)), ValueError, "one shape, got a (2, 3), b (3,)"),
        (lambda: F.swiglu(jnp.ones(2), jnp.ones(2, jnp.bfloat16)), TypeError, "one dtype, got a float32, b bfloat16"),
        (lambda: F.geglu(jnp.arange(3), jnp.arange(3)), TypeError, "floating-point a, got int32"),
        (lambda: F.geglu(jnp.ones(2), jnp.ones(2), "erf"), ValueError, "geglu: approximate must be 'none' or 'tanh', got 'erf'"),
        (lambda: nn.SwiGLU(4, 6).apply(nn.SwiGLU(4, 6).init(key), jnp.ones((2, 3))), ValueError,
         '"gate_proj" (Linear): expected input with last dimension 4, got shape (2, 3)'),
    ],
)  # fmt: skip
def test_refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_lean_recurrent_layers(kind):
    lean, fast = (kind(3, 4, 2, bidirectional=True, memory=memory) for memory in ("lean", "fast"))
    assert repr(lean) == repr(fast).replace("bidirectional=True", "bidirectional=True, memory='lean'")
    params, x = lean.init(key), jnp.asarray(normal(5, 2, 3))
    of = lambda model: jax.jit(bpjax.grad(lambda params: jnp.sin(model.apply(params, x)[0]).sum()))(params)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), of(lean), of(fast))
    for memory in ("small", None):
        with pytest.raises(ValueError, match=rf"{kind.__name__}: memory must be 'fast' or 'lean', got {memory!r}"):
            kind(3, 4, memory=memory)
    h = jnp.zeros((2, 4))
    with pytest.raises(ValueError, match=f"{kind.__name__.lower()}: memory must be"):
        hx = (h, h) if kind is nn.LSTM else h
        getattr(F, kind.__name__.lower())(x, hx, params["weight_ih_l0"], params["weight_hh_l0"], memory="small")
