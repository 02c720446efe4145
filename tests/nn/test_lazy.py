"""Lazy modules: sizes told by sample inputs."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from bpjax import nn

key, x = jax.random.key(0), jnp.ones((5, 4))


def lazy():
    return nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(2, bias=False))


def settled():
    return nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2, bias=False))


def same(one, other):
    return jax.tree.structure(one) == jax.tree.structure(other) and all(map(np.array_equal, jax.tree.leaves(one), jax.tree.leaves(other)))


@pytest.mark.parametrize("sample", [x, jax.ShapeDtypeStruct((7, 4), jnp.float32)], ids=["an array", "a shape"])
def test_init_settles_it(sample):
    model = lazy()
    params = model.init(key, sample)
    assert repr(model) == repr(settled()) and type(model[0]) is nn.Linear
    assert same(params, settled().init(key)) and same(model.init(key), params)  # samples are needed once
    assert (model.apply(params, x) == settled().apply(params, x)).all()


def test_printing_before():
    first, _, last = (line.strip() for line in repr(lazy()).splitlines()[1:-1])
    assert first.startswith("(0): LazyLinear(") and first.endswith("out_features=3, bias=True)")
    assert last.startswith("(2): LazyLinear(") and last.endswith("out_features=2, bias=False)")


def test_dtype():
    assert nn.LazyLinear(3, dtype=jnp.bfloat16).init(key, x.astype(jnp.bfloat16))["weight"].dtype == jnp.bfloat16


def test_used_twice_it_is_one():
    class Twice(nn.Module):
        def __init__(self):
            self.fc = nn.LazyLinear(4)

        def forward(self, x):
            return self.fc(self.fc(x))

    model = Twice()
    params = model.init(key, x)
    assert jax.tree.map(jnp.shape, params) == {"fc": {"weight": (4, 4), "bias": (4,)}} and model.apply(params, x).shape == (5, 4)
    with pytest.raises(ValueError, match=re.escape('"fc" (Linear): expected input with last dimension 3, got shape (5, 4)')):
        Twice().init(key, x[:, :3])


def test_under_two_names_it_is_one():
    shared = nn.LazyLinear(4)
    model = nn.Sequential(shared, nn.Tanh(), shared)
    assert list(model.init(key, x)) == ["0"] and model[0] is model[2] and type(shared) is nn.Linear


class Skips(nn.Module):
    def __init__(self):
        self.used, self.unused = nn.LazyLinear(3), nn.LazyLinear(2)

    def forward(self, x):
        return self.used(x)


def test_keyword_samples():
    model = Skips()
    del model.unused
    assert model.init(key, x=x)["used"]["weight"].shape == (3, 4)


def test_among_settled_modules_with_buffers():
    model = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.LazyLinear(2))
    assert model.init(key, x)["2"]["weight"].shape == (2, 6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: lazy().init(key), 'no sizes yet: "0" (LazyLinear), "2" (LazyLinear): give init(rng, *sample_inputs)'),
        (lambda: nn.LazyLinear(2).init(key), "no sizes yet: LazyLinear: give init(rng, *sample_inputs)"),
        (lambda: lazy().apply({}, x), 'no sizes yet: "0" (LazyLinear), "2" (LazyLinear): call init(rng, *sample_inputs) first'),
        (lambda: Skips().init(key, x), 'no sizes yet: "unused" (LazyLinear): forward did not call it with these sample inputs'),
    ],
    ids=["no samples", "alone", "applied first", "not called"],
)
def test_refused(call, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        call()
