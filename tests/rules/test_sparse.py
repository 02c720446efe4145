"""Sparse arrays against `jax.vjp`: batched and dense axes, products along every pair of axes, duplicates, broadcast indices."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import sparse

import bpjax

pytestmark = pytest.mark.usefixtures("x64")
rng = np.random.default_rng(5)
DENSE = rng.normal(size=(4, 5)) * (rng.random((4, 5)) < 0.6)
INDICES, DATA = np.argwhere(DENSE), DENSE[DENSE != 0]
TWICE = np.array([[0, 1], [3, 4], [0, 1], [2, 2], [9, 9], [2, 2]])  # and one beyond
VECTOR, MATRIX = rng.normal(size=5), rng.normal(size=(5, 3))


def stored(data, indices=INDICES, shape=(4, 5)):
    return sparse.BCOO((data, indices), shape=shape)


def rows(data):
    return sparse.BCSR.from_bcoo(stored(data).sort_indices())


def total(x):
    return jnp.sum(jnp.sin(x.data if isinstance(x, sparse.BCOO | sparse.BCSR) else x) * 1.3)


def sampled(a, b):
    return total(sparse.bcoo_dot_general_sampled(a, b, INDICES, dimension_numbers=(((1,), (0,)), ((), ()))))


PROGRAMS = {
    "times a vector": (lambda d, v: total(stored(d) @ v), DATA, VECTOR),
    "times a matrix": (lambda d, m: total(stored(d) @ m), DATA, MATRIX),
    "from the right": (lambda d, m: total(m.T @ stored(d).T), DATA, MATRIX),
    "complex": (lambda d, v: jnp.sum(jnp.abs(stored(d) @ v) ** 2), DATA * (1 + 2j), VECTOR * (2 - 1j)),
    "what is stored twice": (lambda d, v: total(stored(d, TWICE) @ v) + total(stored(d, TWICE).todense()), DATA[:6], VECTOR),
    "duplicates summed": (lambda d: total(stored(d, TWICE).sum_duplicates(nse=4)), DATA[:6]),
    "fewer than there are": (lambda d: total(stored(d, TWICE).sum_duplicates(nse=2)), DATA[:6]),
    "sorted": (lambda d: total(jnp.arange(6.0) * stored(d, TWICE).sort_indices().data), DATA[:6]),
    "from a dense array": (lambda m: total(sparse.BCOO.fromdense(m, nse=15) @ VECTOR), DENSE),
    "read at indices": (lambda m: total(sparse.bcoo_extract(stored(DATA), m, assume_unique=True)), DENSE),
    "sums and products": (lambda d, m: total((stored(d).sum(0) * 2).todense()) + total(stored(d) * m), DATA, DENSE + 1),
    "moved": (lambda d: total(stored(d).reshape(2, 10).T[1:6].todense()), DATA),
    "joined": (lambda d: total(sparse.bcoo_concatenate([stored(d), stored(2 * d)], dimension=0) @ VECTOR), DATA),
    "at indices alone": (sampled, rng.normal(size=(4, 6)), rng.normal(size=(6, 5))),
    "under sparsify": (lambda d, v: sparse.sparsify(lambda s, v: jnp.sum(jnp.tanh((2 * s) @ v)))(stored(d), v), DATA, VECTOR),
    "BCSR times a vector": (lambda d, v: total(rows(d) @ v), DATA, VECTOR),
    "BCSR times a matrix": (lambda d, m: total(rows(d) @ m), DATA, MATRIX),
    "BCSR made dense": (lambda d: total(rows(d).todense()), DATA),
    "BCSR from dense": (lambda m: total(sparse.BCSR.fromdense(m, nse=15) @ VECTOR), DENSE),
    "BCSR read": (lambda m: total(sparse.bcsr_extract(rows(DATA).indices, rows(DATA).indptr, m)), DENSE),
}


def agree(f, *args, of=None):
    numbers = tuple(range(len(args)))
    hand = jax.jit(bpjax.grad(f, numbers, missing="error"))(*args)
    for h, a in zip(hand, jax.jit(jax.grad(of or f, numbers))(*args), strict=True):
        assert (h.shape, h.dtype) == (a.shape, a.dtype)
        assert np.linalg.norm(a) > 0
        np.testing.assert_allclose(h, a, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", PROGRAMS)
def test_as_jax_grad(name):
    agree(*PROGRAMS[name])


CONTRACTIONS = [(((1,), (1,)), ((), ())), (((0, 1), (0, 1)), ((), ())), (((1,), (1,)), ((0,), (0,)))]  # with an array (3, 4, 5)
LAYOUTS = [(n_batch, n_dense, c) for n_batch in (0, 1) for n_dense in (0, 1) for c in CONTRACTIONS if n_batch >= len(c[1][0])]


@pytest.mark.parametrize("is_shared", [False, True])
@pytest.mark.parametrize("n_batch, n_dense, numbers", LAYOUTS)
def test_products_and_permutations(n_batch, n_dense, numbers, is_shared):
    """Against the gradient of the same on dense arrays: JAX has none of some products."""
    s = sparse.random_bcoo(jax.random.key(1), (3, 4, 6), dtype=np.float64, nse=3, n_batch=n_batch, n_dense=n_dense)
    indices = s.indices[:1] if is_shared and n_batch else s.indices
    rhs = rng.normal(size=(3, 4, 5))
    make = lambda data, indices=indices: sparse.BCOO((data, indices), shape=s.shape)
    order = (0, 1, 2) if n_batch and n_dense else (1, 0, 2) if n_dense else (0, 2, 1)
    product = lambda data, rhs: total(sparse.bcoo_dot_general(make(data, s.indices), rhs, dimension_numbers=numbers))
    if not is_shared:  # which JAX does not multiply
        agree(product, s.data, rhs, of=lambda data, rhs: total(jax.lax.dot_general(make(data).todense(), rhs, numbers)))
    agree(lambda data: total(make(data).transpose(order).todense()), s.data)
    agree(lambda data: total(make(data).sum_duplicates(nse=3).todense() * 2), s.data)


def test_what_is_read_twice_is_counted_once():
    """JAX has no gradient of this."""
    pattern = sparse.BCOO((jnp.zeros(3), jnp.array([[0, 1], [0, 1], [2, 3]])), shape=(4, 5))
    weights = jnp.array([2.0, 2.0, 3.0])
    f = lambda m: jnp.sum(sparse.bcoo_extract(pattern, m, assume_unique=False).data * weights)
    assert f(DENSE) == 2 * DENSE[0, 1] + 3 * DENSE[2, 3]
    assert np.asarray(bpjax.grad(f)(DENSE)).tolist() == jnp.zeros((4, 5)).at[0, 1].set(2).at[2, 3].set(3).tolist()


def test_under_vmap_and_as_an_argument():
    data = jnp.stack([DATA, 2 * DATA])
    f = lambda d: total(stored(d) @ MATRIX)
    np.testing.assert_allclose(jax.vmap(bpjax.grad(f))(data), jax.vmap(jax.grad(f))(data), rtol=1e-12)
    g = bpjax.grad(lambda s: total(s @ VECTOR), allow_int=True)(stored(DATA))
    np.testing.assert_allclose(g.data, jax.grad(lambda s: total(s @ VECTOR), allow_int=True)(stored(DATA)).data, rtol=1e-12)
    bpjax.check_gradients(lambda d: total(stored(d) @ VECTOR), DATA).assert_ok()
