"""Modules: parameters by name, binding, buffers, keys, errors, how they print."""

import pickle
import re
import threading

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import bpjax
import bpjax.nn.functional as F
from bpjax import nn


class MLP(nn.Module):
    def __init__(self):
        self.fc1 = nn.Linear(4, 3)
        self.drop = nn.Dropout(0.5)
        self.fc2 = nn.Linear(3, 2)

    def forward(self, x):
        return self.fc2(self.drop(F.relu(self.fc1(x))))


model, x, key = MLP(), jnp.ones((5, 4)), jax.random.key(0)


def test_functional_is_one_module():
    assert F is bpjax.functional is nn.functional


def test_parameters_by_name():
    shapes = jax.tree.map(jnp.shape, model.init(key), is_leaf=lambda v: hasattr(v, "shape"))
    assert shapes == {"fc1": {"weight": (3, 4), "bias": (3,)}, "fc2": {"weight": (2, 3), "bias": (2,)}} and model.init_buffers() == {}


def test_prints_as_pytorch():
    linear = "Linear(in_features=4, out_features=3, bias=True)"
    fc2 = "Linear(in_features=3, out_features=2, bias=True)"
    assert repr(model) == f"MLP(\n  (fc1): {linear}\n  (drop): Dropout(p=0.5, inplace=False)\n  (fc2): {fc2}\n)"


def test_tied_weights_are_one_entry():
    tied = nn.Sequential(nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False))
    tied[1].weight = tied[0].weight
    params = tied.init(key)
    assert list(params) == ["0"]
    W = params["0"]["weight"]
    hand = bpjax.grad(lambda p: tied.apply(p, x[:, :3]).sum())(params)["0"]["weight"]
    np.testing.assert_allclose(hand, jax.grad(lambda W: (x[:, :3] @ W.T @ W.T).sum())(W), rtol=1e-5)


def test_batch_norm_buffers():
    bn = nn.BatchNorm1d(4)
    params, data = bn.init(key), jax.random.normal(key, (6, 4))
    _, new = bn.apply(params, data, buffers=bn.init_buffers(), train=True)
    np.testing.assert_allclose(new["running_mean"], 0.1 * data.mean(0), rtol=1e-5)
    np.testing.assert_allclose(new["running_var"], 0.9 + 0.1 * data.var(0, ddof=1), rtol=1e-5)
    with pytest.raises(ValueError, match="init_buffers"):
        bn.apply(params, data)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda p: model(x), "not bound"),
        (lambda p: model.apply(p, x[:, :3]), r'"fc1" (Linear): expected input with last dimension 4, got shape (5, 3)'),
        (lambda p: model.apply(p, x, train=True), '"drop" (Dropout)'),
        (lambda p: model.apply({"fc1": p["fc1"], "c": x}, x), "missing: fc2.weight (2, 3)\n  missing: fc2.bias (2,)\n  unexpected: c"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, RuntimeError), match=re.escape(words)):
        call(model.init(key))


class Scans(nn.Module):
    def __init__(self):
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x):
        return jax.checkpoint(lambda x: self.norm(x))(x)


class Slices(nn.Module):
    def __init__(self):
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2))

    def forward(self, x):
        return self.layers[1:](x)


def test_a_slice_of_a_bound_sequential_is_bound():
    model = Slices()
    params = model.init(key)
    expected = F.linear(F.relu(x), *(params["layers"]["2"][n] for n in ("weight", "bias")))
    np.testing.assert_allclose(model.apply(params, x), expected, rtol=1e-6)


def declared(**attributes):
    module = nn.Module()
    for name, value in attributes.items():
        setattr(module, name, value)
    return module


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: declared(init=nn.Linear(2, 2)), KeyError, "'init' is taken"),
        (lambda: declared(ws=[nn.Parameter((2,), 0.0)]), TypeError, "nn.ModuleList"),
        (lambda: declared(ws=[nn.Linear(2, 2)]), TypeError, "nn.ModuleList"),
        (lambda: declared(w=nn.Parameter((3,), lambda k, s, d: jnp.ones(4))).init(key), ValueError, r"init returned shape \(4,\)"),
        (lambda: model.init(0), TypeError, "must be a key such as jax.random.key"),
        (lambda: model.apply(model.init(key), x, rng=0), TypeError, "must be a key"),
        (lambda: model.apply(model.init(key), [1.0, 2.0]), TypeError, '"fc1" .Linear.: expected an array, got a list'),
        (lambda: F.linear(x, "w"), TypeError, "op linear: argument 'weight' must be an array, got str"),
        (
            lambda: Scans().apply(Scans().init(key), x[:, :3], buffers=Scans().init_buffers(), train=True),
            RuntimeError, "norm.running_mean.*inside a scan, vmap, checkpoint",
        ),
    ],
    ids=["a name of its own", "a list of parameters", "a list of modules", "init of a wrong shape", "no key", "no key to apply", "a list",
         "a string", "a buffer assigned inside"],
)  # fmt: skip
def test_misuse(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_errors_of_functions_name_the_innermost_module():
    class Wrong(nn.Module):
        def forward(self, x):
            return F.layer_norm(x, (7,))

    with pytest.raises(ValueError, match=re.escape('"0" (Wrong): layer_norm: expected')):
        nn.Sequential(Wrong()).apply({}, x)


def test_a_model_can_be_pickled():
    again = pickle.loads(pickle.dumps(nn.Sequential(nn.Linear(4, 3), nn.Tanh())))
    np.testing.assert_array_equal(again.init(key)["0"]["weight"], nn.Sequential(nn.Linear(4, 3)).init(key)["0"]["weight"])


def test_random_by_key():
    p = model.init(key)
    one, two = (model.apply(p, x, train=True, rng=jax.random.key(i)) for i in (1, 1))
    assert (one == two).all()


def test_deltas_by_path_and_scopes():
    p = model.init(key)
    assert bpjax.backprop(lambda p: model.apply(p, x).sum())(p).deltas["fc2"].tolist() == [[1.0, 1.0]] * 5
    assert "fc1" in str(jax.jit(lambda p: model.apply(p, x)).lower(p).as_text(debug_info=True))


def test_two_threads():
    p, out = model.init(key), {}
    threads = [threading.Thread(target=lambda s=s: out.update({s: model.apply(jax.tree.map(lambda a: a * s, p), x)})) for s in (0.0, 1.0)]
    [t.start() for t in threads], [t.join() for t in threads]
    assert not out[0.0].any() and (out[1.0] == model.apply(p, x)).all()
