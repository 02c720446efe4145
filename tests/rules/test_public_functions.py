"""Every public function of JAX by hand against jax.vjp, and none forgotten."""

import importlib
import pkgutil
from operator import attrgetter

import jax
import jax.numpy as jnp
import jax.scipy
import numpy as np
import pytest
from public_functions import CASES, IN_FLOAT32, OF_SOME_VERSIONS, REFUSED, SLOW, UNLIKE, WITHOUT, ZERO

import bpjax

pytestmark = pytest.mark.usefixtures("x64")
MODULES = "numpy numpy.linalg numpy.fft lax lax.linalg nn random image ops scipy".split()
MODULES += [m.name.removeprefix("jax.") for m in pkgutil.walk_packages(jax.scipy.__path__, "jax.scipy.")]
for _name in MODULES:
    importlib.import_module(f"jax.{_name}")


def found(name):
    """The public function of this name, or None."""
    module, _, name = name.rpartition(".")
    module = attrgetter(module)(jax)
    return getattr(module, name) if name in dir(module) else None


def use(name, call, args, options):
    """An example as a function of the arrays among its arguments, and those."""
    f = found(name)
    if name.startswith("random."):
        args = (jax.random.key(1), *args)
    is_array = [any(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(a)) for a in args]

    def used(*arrays):
        arrays = iter(arrays)
        given = [next(arrays) if on else a for a, on in zip(args, is_array)]
        return f(*given, **options) if call is None else call(f, *given, **options)

    return used, [a for a, on in zip(args, is_array) if on]


def cotangents(values):
    """Random ones, float0 for integers; no two are alike."""
    rng = np.random.default_rng(7)

    def cotangent(y):
        if not jnp.issubdtype(y.dtype, np.inexact):
            return np.zeros(y.shape, jax.dtypes.float0)
        dy = rng.normal(size=y.shape)
        return np.asarray(dy + 1j * rng.normal(size=y.shape) if jnp.iscomplexobj(y) else dy, y.dtype)

    return jax.tree.map(cotangent, values)


def both(f, args):
    dy = cotangents(jax.eval_shape(f, *args))
    return bpjax.vjp(f, *args, missing="error")[1](dy), jax.vjp(f, *args)[1](dy)


def excused():
    """The names under a reason."""
    for names in WITHOUT.values():
        for word in names.split():
            if word.endswith(":"):
                module = word[:-1]
            else:
                yield f"{module}.{word}"


def parameters():
    return [pytest.param(name, marks=pytest.mark.slow if name in SLOW else ()) for name in CASES if found(name) is not None]


@pytest.mark.parametrize("name", parameters())
def test_by_hand_as_jax_vjp(name):
    uses = [use(name, *example) for example in CASES[name]]
    pairs = jax.jit(lambda arrays: [both(f, args) for (f, _), args in zip(uses, arrays)])([args for _, args in uses])
    is_zero = []
    for i, (hand, auto) in enumerate(pairs):
        compare(hand, auto, 1e-6 if name in IN_FLOAT32 else 1e-10, f"example {i}")
        is_zero.append(not any(np.any(np.asarray(a)) for a in jax.tree.leaves(auto) if a.dtype != jax.dtypes.float0))
    assert any(is_zero) == (name in " ".join(ZERO.values()).split()), is_zero


def compare(hand, auto, relative, words):
    """Leaf by leaf, relative to the leaf; one that is zero in truth, to the whole."""
    (hand, tree), (auto, expected) = jax.tree.flatten(hand), jax.tree.flatten(auto)
    assert tree == expected
    assert [(h.shape, h.dtype) for h in hand] == [(a.shape, a.dtype) for a in auto], words
    leaves = [(np.asarray(h, complex), np.asarray(a, complex)) for h, a in zip(hand, auto) if a.dtype != jax.dtypes.float0]
    size = max(np.linalg.norm(a) for _, a in leaves)
    assert np.isfinite(size), words
    for h, a in leaves:
        assert np.linalg.norm(h - a) <= relative * np.linalg.norm(a) + 1e-13 * max(size, 1), (words, h, a)


@pytest.mark.parametrize("name", [name for name in REFUSED if found(name) is not None])
def test_jax_has_no_derivative(name):
    for example in REFUSED[name]:
        f, args = use(name, *example)
        y = jax.eval_shape(f, *args)
        with pytest.raises((NotImplementedError, ValueError, TypeError)):
            jax.eval_shape(lambda *args: jax.vjp(f, *args)[1](cotangents(y)), *args)


@pytest.mark.parametrize("name", UNLIKE)
def test_where_jax_is_wrong_or_raises(name):
    """Differences of the function's values along a random direction are with bpjax, and not with JAX."""
    for example in UNLIKE[name]:
        f, args = use(name, *example)
        dy, step = cotangents(jax.eval_shape(f, *args)), 1e-5
        towards = cotangents(args)

        def product(*pairs):
            return sum(np.sum(np.real(np.asarray(a) * b)) for a, b in zip(*map(jax.tree.leaves, pairs)) if b.dtype != jax.dtypes.float0)

        before, after = (product(f(*(x + by * t for x, t in zip(args, towards))), dy) for by in (-step, step))
        slope = (after - before) / (2 * step)
        np.testing.assert_allclose(product(bpjax.vjp(f, *args, missing="error")[1](dy), towards), slope, rtol=1e-7)
        try:
            auto = product(jax.vjp(f, *args)[1](dy), towards)
        except (NotImplementedError, TypeError):
            continue
        assert abs(auto - slope) > 1e-3 * abs(slope)


def test_every_public_function_is_in_the_table_or_under_a_reason():
    listed = {*CASES, *REFUSED, *UNLIKE, *excused()}
    public = [(m, n, getattr(attrgetter(m)(jax), n)) for m in MODULES for n in dir(attrgetter(m)(jax)) if not n.startswith("_")]
    functions = {f"{m}.{n}" for m, n, f in public if callable(f) and not isinstance(f, type)}
    assert sorted(functions - listed) == []


def test_nothing_is_listed_that_no_version_has():
    assert [n for n in sorted({*CASES, *REFUSED, *UNLIKE, *excused()}) if found(n) is None and n not in OF_SOME_VERSIONS] == []


def test_nothing_has_both_an_example_and_a_reason():
    assert sorted({*CASES, *REFUSED, *UNLIKE} & {*excused()}) == []
