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
    assert first == "(0): LazyLinear(in_features=0, out_features=3, bias=True)"
    assert last == "(2): LazyLinear(in_features=0, out_features=2, bias=False)" and lazy()[2].out_features == 2


@pytest.mark.parametrize("kind", ["BatchNorm1d", "InstanceNorm1d"])
def test_options_of_a_norm_are_read_before(kind):
    options = {"eps": 1e-3, "momentum": None, "affine": True, "track_running_stats": False, "bias": False}
    model, settled = getattr(nn, f"Lazy{kind}")(**options), getattr(nn, kind)(3, **options)
    assert repr(model) == repr(settled).replace(f"{kind}(3", f"Lazy{kind}(0") and (model.num_features, model.eps) == (0, 1e-3)
    assert list(model.init(key, jnp.ones((2, 3, 4)))) == ["weight"] and repr(model) == repr(settled)


@pytest.mark.parametrize("kind", ["Conv2d", "ConvTranspose2d"])
def test_options_of_a_convolution_are_read_before(kind):
    options = {"stride": 2, "padding": 1, "bias": False}
    model, settled = getattr(nn, f"Lazy{kind}")(6, 3, **options), getattr(nn, kind)(4, 6, 3, **options)
    assert repr(model) == repr(settled).replace(f"{kind}(4", f"Lazy{kind}(0") and model.in_channels == 0
    for name in ("out_channels", "kernel_size", "stride", "padding", "dilation", "output_padding", "groups", "padding_mode", "bias"):
        assert getattr(model, name) == getattr(settled, name)
    model.init(key, jnp.ones((1, 4, 5, 5)))
    assert repr(model) == repr(settled)


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
