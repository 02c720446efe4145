"""Modules: parameters by name, binding, buffers, keys, errors, how they print."""

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
        (lambda p: model.apply(p, x[:, :3]), r"fc1 (Linear): expected input with last dimension 4, got shape (5, 3)"),
        (lambda p: model.apply(p, x, train=True), "drop (Dropout)"),
        (lambda p: model.apply({"fc1": p["fc1"], "c": x}, x), "missing: fc2.weight (2, 3)\n  missing: fc2.bias (2,)\n  unexpected: c"),
    ],
)
def test_errors(call, words):
    with pytest.raises((ValueError, RuntimeError), match=re.escape(words)):
        call(model.init(key))


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
