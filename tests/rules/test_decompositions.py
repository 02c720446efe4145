"""Decompositions where JAX has no gradient, an infinite one or a wrong one: held against finite differences."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.lax import linalg

import bpjax

pytestmark = pytest.mark.usefixtures("x64")
rng = np.random.default_rng(4)
SQUARE, WIDE = rng.normal(size=(3, 3)), rng.normal(size=(3, 5))
DEFINITE = SQUARE @ SQUARE.T + np.eye(3)
HERMITIAN = DEFINITE + 1j * (np.tril(SQUARE, -1) - np.tril(SQUARE, -1).T)


def sizes(*arrays):
    """A number that depends on every entry, and on no sign or phase of a vector."""
    return sum(jnp.sum(jnp.abs(a * (1.5 + jnp.arange(a.size).reshape(a.shape))) ** 2) for a in arrays)


def weighted(x):
    return jnp.sum(jnp.real(x) * jnp.arange(1.0, x.size + 1).reshape(x.shape)) + jnp.sum(jnp.imag(x) ** 2)


def differences(f, x, step=1e-6):
    """∂f/∂x - i ∂f/∂y for each entry x + iy."""
    units = (step * np.eye(x.size)).reshape(x.size, *x.shape)
    slope = lambda unit: (f(x + unit) - f(x - unit)) / (2 * step)
    parts = [jax.lax.map(slope, jnp.asarray(units * unit)) for unit in ((1, 1j) if np.iscomplexobj(x) else (1,))]
    return np.asarray(sum(p * c for p, c in zip(parts, (1, -1j)))).reshape(x.shape)


READ_BY_HALF = {
    "the upper triangle": (lambda x: weighted(jax.scipy.linalg.cholesky(x, lower=False)), DEFINITE),
    "the lower triangle": (lambda x: weighted(linalg.cholesky(x, symmetrize_input=False)), DEFINITE),
    "a Hermitian one": (lambda x: weighted(linalg.cholesky(x, symmetrize_input=False)), HERMITIAN),
    "eigenvalues": (lambda x: weighted(linalg.eigh(x, symmetrize_input=False)[1]), DEFINITE),
    "eigenvectors, upper": (lambda x: sizes(linalg.eigh(x, lower=False, symmetrize_input=False)[0]), HERMITIAN),
}


@pytest.mark.parametrize("f, x", READ_BY_HALF.values(), ids=READ_BY_HALF)
def test_of_one_triangle_the_other_has_no_gradient(f, x):
    hand = np.asarray(bpjax.grad(f)(x))
    np.testing.assert_allclose(hand, differences(f, x), rtol=1e-6, atol=1e-6)
    assert np.all(np.tril(hand, -1) == 0) or np.all(np.triu(hand, 1) == 0)


@pytest.mark.parametrize("f, x", [READ_BY_HALF["the upper triangle"], (lambda x: sizes(*linalg.qr(x, pivoting=True)[:2]), WIDE)])
def test_the_check_says_whose_gradient_is_wrong(f, x):
    report = bpjax.check_gradients(f, x).assert_ok()
    is_wrong = np.abs(bpjax.grad(f)(x) - jax.grad(f)(x)).max() > 1e-6  # newer versions of JAX may be right
    assert ("jax.grad is wrong here" in str(report)) == is_wrong


@pytest.mark.parametrize("full", [True, False])
def test_a_wide_matrix_with_pivots(full):
    f = lambda x: sizes(*linalg.qr(x, pivoting=True, full_matrices=full)[:2])
    np.testing.assert_allclose(bpjax.grad(f)(WIDE), differences(f, WIDE), rtol=1e-6, atol=1e-5)


def test_a_batch_with_pivots():
    f = lambda x: sizes(*(a[0] for a in linalg.qr(x, pivoting=True)[:2])) + sizes(*(a[1] for a in linalg.qr(x, pivoting=True)[:2]))
    both = np.stack([SQUARE, DEFINITE])
    np.testing.assert_allclose(bpjax.grad(f)(both), differences(f, both), rtol=1e-5, atol=1e-5)


EQUAL = {
    "eigh": lambda x: jnp.linalg.eigvalsh(x).sum(),
    "svd": lambda x: jnp.linalg.svd(x, compute_uv=False).sum(),
    "of both, the values": lambda x: jnp.linalg.svd(x)[1].sum(),
    "nuclear norm": lambda x: jnp.linalg.norm(x, "nuc"),
}


@pytest.mark.parametrize("f", EQUAL.values(), ids=EQUAL)
def test_equal_values_are_no_matter_where_no_vector_is_asked_for(f):
    np.testing.assert_allclose(bpjax.grad(f)(np.eye(3)), np.eye(3), atol=1e-12)


def test_singular_values_beside_full_matrices():
    f = lambda x: jnp.sum(jnp.linalg.svd(x, full_matrices=True)[1])
    np.testing.assert_allclose(bpjax.grad(f)(WIDE), jax.grad(lambda x: jnp.linalg.svd(x, compute_uv=False).sum())(WIDE), atol=1e-12)
    with pytest.raises(bpjax.NoRuleError, match="full_matrices=False"):
        bpjax.grad(lambda x: jnp.linalg.svd(x, full_matrices=True)[2].sum())(WIDE)


def test_the_vectors_of_a_general_matrix_are_refused_but_on_demand():
    with pytest.raises(bpjax.NoRuleError, match="enable_eigvec_derivs"):
        bpjax.grad(lambda x: jnp.abs(jnp.linalg.eig(x)[1]).sum())(SQUARE)
    f = lambda x: sizes(linalg.eig(x, enable_eigvec_derivs=True)[-1])
    np.testing.assert_allclose(bpjax.grad(f)(SQUARE), differences(f, SQUARE), rtol=1e-6, atol=1e-6)


SECOND = {
    "cholesky": lambda x: jnp.linalg.cholesky(x @ x.T),
    "solve": lambda x: jnp.linalg.solve(x, x**2),
    "inv": jnp.linalg.inv,
    "eigh": lambda x: jnp.linalg.eigh(x @ x.T)[1],
    "svd": lambda x: jnp.linalg.svd(x)[1],
    "lu": lambda x: jnp.linalg.slogdet(x)[1],
    "qr": lambda x: jnp.linalg.qr(x)[1],
    "expm": jax.scipy.linalg.expm,
}


@pytest.mark.parametrize("f", SECOND.values(), ids=SECOND)
def test_second_derivatives(f):
    loss = lambda x: jnp.sum(f(x) ** 3)
    hand, auto = (gradient(lambda x, g=gradient: jnp.sum(g(loss)(x) ** 2))(SQUARE) for gradient in (bpjax.grad, jax.grad))
    np.testing.assert_allclose(hand, auto, rtol=1e-8, atol=1e-8 * float(np.abs(auto).max()))


IN_FLOAT32 = {
    **SECOND,
    "lu, its factors": lambda x: jax.scipy.linalg.lu(x)[2],
    "eigh, eigenvalues": lambda x: jnp.linalg.eigh(x)[0],
    "triangular_solve": lambda x: jax.scipy.linalg.solve_triangular(x, x**2, lower=True),
    "tridiagonal_solve": lambda x: lax.linalg.tridiagonal_solve(jnp.r_[0, jnp.diag(x, -1)], jnp.diag(x), jnp.r_[jnp.diag(x, 1), 0], x),
    "lstsq": lambda x: jnp.linalg.lstsq(x[:, :2], x[:, 2])[0],
    "pinv": lambda x: jnp.linalg.pinv(x[:, :2]),
    "nuclear norm": lambda x: jnp.linalg.norm(x, "nuc"),
}


@pytest.mark.parametrize("f", IN_FLOAT32.values(), ids=IN_FLOAT32)
def test_in_float32_no_less_accurate_than_jax(f):
    """The error over twenty matrices; 5% of it, and half a rounding of the gradient, are chance."""
    loss, draws = lambda x: jnp.sum(f(x) ** 3), np.random.default_rng(7).normal(size=(20, 8, 8))
    hand, auto = jax.jit(bpjax.grad(loss)), jax.jit(jax.grad(loss))
    matrices = np.float32(draws @ draws.swapaxes(-1, -2) / 8 + np.eye(8))
    truths = [np.asarray(auto(np.float64(x))) for x in matrices]
    errors = lambda g: np.array([np.linalg.norm(g(x) - t) / np.linalg.norm(t) for x, t in zip(matrices, truths)])
    of_hand, of_auto = (np.sqrt(np.mean(errors(g) ** 2)) for g in (hand, auto))
    assert of_hand <= 1.05 * of_auto + np.finfo(np.float32).eps / 2, (of_hand, of_auto)


def test_nothing_of_this_asks_for_jax_autodiff(monkeypatch):
    def forbidden(*args, **kwargs):
        raise AssertionError("JAX's autodiff was asked")

    for name in ("vjp", "grad", "jvp", "linearize", "linear_transpose"):
        monkeypatch.setattr(jax, name, forbidden)
    f = lambda x: jnp.sum(lax.linalg.cholesky(x)) + jnp.sum(jnp.linalg.svd(x, compute_uv=False)) + jnp.abs(jnp.fft.fft(x)).sum()
    assert np.all(np.isfinite(bpjax.grad(f, missing="error")(DEFINITE)))
