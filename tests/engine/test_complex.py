"""Complex arguments and results: JAX's conventions, under every transformation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

import bpjax
import bpjax.functional as F

pytestmark = pytest.mark.usefixtures("x64")
rng = np.random.default_rng(0)
z = rng.normal(size=(3, 4)) + 1j * rng.normal(size=(3, 4))
w = rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4))


def same(hand, auto):
    for h, a in zip(jax.tree.leaves(hand), jax.tree.leaves(auto), strict=True):
        assert (h.shape, h.dtype) == (a.shape, a.dtype)
        if a.dtype != jax.dtypes.float0:
            np.testing.assert_allclose(h, a, rtol=1e-10, atol=1e-12)


LOSSES = {
    "sizes": lambda z, w: jnp.sum(jnp.abs(z @ w)),
    "parts": lambda z, w: jnp.sum(jnp.real(jnp.exp(z)) * jnp.imag(z)) + jnp.sum(jnp.angle(w)),
    "conjugates": lambda z, w: jnp.real(jnp.vdot(z @ w, jnp.sin(z))),
    "a spectrum": lambda z, w: jnp.sum(jnp.abs(jnp.fft.ifft2(jnp.fft.fft(z) * jnp.fft.fft(w)[:3])) ** 2),
    "a scan": lambda z, w: jnp.abs(lax.scan(lambda c, row: (jnp.tanh(c * w[0] + row), c), z[0], z)[0]).sum(),
    "a branch": lambda z, w: lax.cond(jnp.real(z[0, 0]) > 0, lambda: jnp.abs(z).sum(), lambda: jnp.abs(w).sum()),
    "a checkpoint": lambda z, w: jax.checkpoint(lambda z: jnp.sum(jnp.abs(jnp.sin(z @ w)) ** 2))(z),
    "a filter": lambda z, w: jnp.sum(jnp.abs(lax.conv(z[None, None], w[None, None, :2, :2], (1, 1), "SAME")) ** 2),
    "indices": lambda z, w: jnp.sum(jnp.abs(z[jnp.array([0, 0, 2])] * jnp.asarray(w)[:3].at[1].set(z[0])) ** 2),
}
each = pytest.mark.parametrize("f", LOSSES.values(), ids=LOSSES)


@each
def test_of_complex_arguments(f):
    both = lambda gradient: gradient(f, (0, 1))(z, w)
    same(both(bpjax.grad), both(jax.grad))
    same(jax.jit(bpjax.grad(f, (0, 1)))(z, w), both(jax.grad))
    same(jax.vmap(bpjax.grad(f), (0, None))(jnp.stack([z, 2j * z]), w), jax.vmap(jax.grad(f), (0, None))(jnp.stack([z, 2j * z]), w))


@each
def test_second_derivatives(f):
    along = lambda gradient: gradient(lambda z: jnp.sum(jnp.abs(gradient(f)(z, w)) ** 2))(z)
    same(along(bpjax.grad), along(jax.grad))


@each
def test_the_check_passes(f):
    bpjax.check_gradients(f, z, w, argnums=(0, 1)).assert_ok()


HOLOMORPHIC = {
    "powers": lambda z: jnp.sum(z**3 + z**2.5),
    "waves": lambda z: jnp.prod(jnp.sin(z)),
    "a matrix": lambda z: jnp.linalg.det(z[:, :3]),
}


@pytest.mark.parametrize("f", HOLOMORPHIC.values(), ids=HOLOMORPHIC)
def test_holomorphic(f):
    same(bpjax.grad(f, holomorphic=True)(z), jax.grad(f, holomorphic=True)(z))
    same(bpjax.value_and_grad(f, holomorphic=True)(z), jax.value_and_grad(f, holomorphic=True)(z))


def test_a_complex_function_of_real_and_integer_arguments():
    f = lambda x, n, z: (x * z, jnp.exp(1j * x) ** n, n + 1)
    args = (jnp.real(z), jnp.arange(4), z)
    y, hand = bpjax.vjp(f, *args)
    dy = (z, jnp.conj(z), np.zeros(4, jax.dtypes.float0))
    same(hand(dy), jax.vjp(f, *args)[1](dy))
    assert y[0].dtype == jnp.complex128


def test_allow_int():
    f = lambda p: jnp.sum(p["x"] ** p["n"])
    p = {"x": jnp.arange(1.0, 4), "n": jnp.array([1, 2, 3])}
    same(bpjax.grad(f, allow_int=True)(p), jax.grad(f, allow_int=True)(p))
    with pytest.raises(TypeError, match=r"argument 0\['n'\] is int64"):
        bpjax.grad(f)(p)


def test_at_zero_the_size_has_the_gradient_zero():
    same(bpjax.grad(lambda z: jnp.sum(jnp.abs(z)))(0 * z), jax.grad(lambda z: jnp.sum(jnp.abs(z)))(0 * z))


LAYERS = {
    "linear": lambda z, w: F.linear(z, w),
    "conv1d": lambda z, w: F.conv1d(z[None], w[:2, None, :3].repeat(3, 1)),
    "unfold": lambda z, w: F.unfold(z[None, None], 2),
    "pad": lambda z, w: F.pad(z, (1, 1)),
    "relu of parts": lambda z, w: F.relu(jnp.real(z)) + 1j * F.relu(jnp.imag(z)),
}


@pytest.mark.parametrize("f", LAYERS.values(), ids=LAYERS)
def test_layers(f):
    loss = lambda z, w: jnp.sum(jnp.abs(f(z, w)) ** 2)
    same(bpjax.grad(loss, (0, 1))(z, w), jax.grad(loss, (0, 1))(z, w))


def test_the_tools_take_complex_programs():
    f = lambda z: LOSSES["sizes"](z, w)
    assert bpjax.find_nan(f, z) is None or not bpjax.find_nan(f, z)
    assert "dot_general" in str(bpjax.explain(f, z)) or str(bpjax.explain(f, z))
    assert str(bpjax.cost(f, z))
