"""A program of another library, untouched: its gradient by the written rules is that of jax.grad, both under jit, in float64."""

import re
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax


def library(name):
    """The package. Where it is not installed, every test of the file is skipped, and says how to get it."""
    how = "run `python scripts/test --libraries tests/libraries`, or pip install 'bpjax[libraries]'"
    return pytest.importorskip(name, reason=f"{name} is not installed: {how}")


def normal(seed, *shape):
    """Standard normal numbers, the same in every run."""
    return jax.random.normal(jax.random.key(seed), shape, jnp.float64)


def agree(loss, params, borrowed=(), rtol=1e-10):
    """Value and gradient, leaf by leaf: structure, type and number. `borrowed`: the primitives without a written rule, exactly."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", bpjax.BorrowedRuleWarning)
        value, grads = jax.jit(bpjax.value_and_grad(loss))(params)
    lent = primitives_in(said)
    assert lent == set(borrowed), f"without a written rule: {lent}"
    expected, auto = jax.jit(jax.value_and_grad(loss))(params)
    assert jax.tree.structure(grads) == jax.tree.structure(auto)
    assert [(g.shape, g.dtype) for g in jax.tree.leaves(grads)] == [(a.shape, a.dtype) for a in jax.tree.leaves(auto)]
    whole = np.sqrt(sum(np.linalg.norm(a) ** 2 for a in jax.tree.leaves(auto)))
    assert np.isfinite(whole) and whole > 0, "the program asks for nothing"
    np.testing.assert_allclose(value, expected, rtol)
    for (path, hand), right in zip(jax.tree_util.tree_flatten_with_path(grads)[0], jax.tree.leaves(auto)):
        error = np.linalg.norm(hand - right)
        assert error <= rtol * np.linalg.norm(right) + 1e-13 * whole, f"{jax.tree_util.keystr(path)}: off by {error}"


def primitives_in(said):
    """Which primitives the warnings say were borrowed; any other warning is raised."""
    names = set()
    for warning in said:
        if not issubclass(warning.category, bpjax.BorrowedRuleWarning):
            raise warning.message
        names |= set(re.findall(r"'([\w-]+)'", str(warning.message).split(": jax.vjp")[0]))
    return names
