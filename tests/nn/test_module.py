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
        (lambda: nn.Linear(2, 3).__setattr__("weight", jnp.ones((3, 2))), TypeError, "'weight' is declared as Parameter: expected"),
        (lambda: declared(a=nn.ReLU()).__setattr__("a", 3), TypeError, "as ReLU: expected another nn.Module or None, got int"),
        (lambda: nn.BatchNorm1d(3).__setattr__("running_mean", "x"), TypeError, "expected another array or None, got str"),
        (lambda: nn.Parameter((2, -1), 0.0), ValueError, r"Parameter: a shape has whole numbers, none negative, got \(2, -1\)"),
        (lambda: nn.Parameter(2.0, 0.0), ValueError, r"whole numbers, none negative, got \(2.0,\)"),
        (lambda: model.init(0), TypeError, "must be a key such as jax.random.key"),
        (lambda: model.apply(model.init(key), x, rng=0), TypeError, "must be a key"),
        (lambda: model.apply(model.init(key), [1.0, 2.0]), TypeError, '"fc1" .Linear.: expected an array, got a list'),
        (lambda: F.linear(x, "w"), TypeError, "op linear: argument 'weight' must be an array, got str"),
        (
            lambda: Scans().apply(Scans().init(key), x[:, :3], buffers=Scans().init_buffers(), train=True),
            RuntimeError, "norm.running_mean.*inside a scan, vmap, checkpoint",
        ),
    ],
    ids=["a name of its own", "a list of parameters", "a list of modules", "init of a wrong shape", "an array for a parameter",
         "a number for a module", "a string for a buffer", "a negative size", "a size that is not whole", "no key", "no key to apply",
         "a list", "a string", "a buffer assigned inside"],
)  # fmt: skip
def test_misuse(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_walking_a_tree_as_in_pytorch():
    shared = nn.Linear(2, 2)
    model = declared(first=shared, inner=nn.Sequential(nn.ReLU(), shared), weight=nn.Parameter((2,), 0.0), again=shared)
    assert [n for n, _ in model.named_modules(prefix="p")] == ["p", "p.first", "p.inner", "p.inner.0"]
    assert [n for n, _ in model.named_modules({shared})] == ["", "inner", "inner.0"]
    assert [n for n, _ in model.named_modules(remove_duplicate=False)] == ["", "first", "inner", "inner.0", "inner.1", "again"]
    assert [n for n, _ in model.named_parameters("p")] == ["p.weight", "p.first.weight", "p.first.bias"]
    assert [n for n, _ in model.named_parameters(recurse=False)] == ["weight"]
    assert len([*model.named_parameters(remove_duplicate=False)]) == 7 and len([*model.children()]) == 2


def test_a_buffer_can_be_set_before_it_is_bound():
    bn = nn.BatchNorm1d(3)
    bn.running_mean = jnp.full(3, 7.0)
    assert bn.init_buffers()["running_mean"].tolist() == [7.0] * 3


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


class Tree(nn.Module):
    def __init__(self):
        self.shared = nn.Linear(2, 2)
        self.inner = nn.Sequential(nn.BatchNorm1d(2), self.shared)
        self.scale = nn.Parameter((2,), 1.0)

    def forward(self, x):
        return self.get_submodule("inner.1")(x) * self.get_parameter("scale") + self.get_buffer("inner.0.running_mean")


def test_the_tree_is_read_with_pytorchs_names():
    tree = Tree()
    assert [name for name, _ in tree.named_children()] == ["shared", "inner"]
    assert list(tree.modules()) == [module for _, module in tree.named_modules()]
    assert [name for name, _ in tree.named_parameters()] == ["scale", "shared.weight", "shared.bias", "inner.0.weight", "inner.0.bias"]
    assert len(list(tree.parameters())) == 5 and len(list(tree.parameters(recurse=False))) == 1
    assert [name for name, _ in tree.named_buffers()] == [f"inner.0.{n}" for n in ("running_mean", "running_var", "num_batches_tracked")]
    assert len(list(tree.buffers())) == 3
    assert tree.get_submodule("inner.1") is tree.shared and tree.get_submodule("") is tree
    assert tree.get_parameter("shared.bias") is tree.shared.bias
    assert {"shared", "inner", "scale", "forward"} <= set(dir(tree))


def test_in_a_bound_tree_paths_lead_to_values():
    tree = Tree()
    params = tree.init(jax.random.key(0))
    y, _ = tree.apply(params, jnp.ones((1, 2)), buffers=tree.init_buffers())
    np.testing.assert_allclose(y[0], params["shared"]["weight"].sum(1) + params["shared"]["bias"], rtol=1e-6)


def test_names_can_be_made_up_in_a_loop():
    tree = Tree()
    tree.add_module("more", nn.Linear(2, 1))
    tree.register_parameter("shift", nn.Parameter((1,), 0.0))
    tree.register_buffer("steps", jnp.zeros(()))
    assert "more" in tree.init(jax.random.key(0)) and "shift" in tree.init(jax.random.key(0)) and "steps" in tree.init_buffers()


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda tree: tree.get_submodule("inner.7"), AttributeError, "Tree: no module at 'inner.7': Sequential has no module '7'"),
        (lambda tree: tree.get_parameter("inner.weight"), AttributeError, "Tree: no parameter at 'inner.weight'"),
        (lambda tree: tree.get_buffer("scale"), AttributeError, "Tree: no buffer at 'scale'"),
        (lambda tree: tree.add_module("a", 3), TypeError, "Tree: 'a' must be a Module or None, got int"),
        (lambda tree: tree.register_parameter(3, None), TypeError, "Tree: a name must be a string, got int"),
        (lambda tree: tree.register_buffer("a", jnp.ones(1), persistent=False), NotImplementedError, "persistent=False"),
        (lambda tree: tree.train(), AttributeError, "no attribute 'train': the mode is an argument, model.apply"),
        (lambda tree: tree.to("cpu"), AttributeError, "arrays have the device, jax.device_put"),
        (lambda tree: tree.state_dict(), AttributeError, r"bpjax.interop.state_dict\(params, buffers\)"),
    ],
)
def test_what_is_not_there_is_told(call, error, words):
    with pytest.raises(error, match=words):
        call(Tree())


FREEZE = "freeze some by jax.lax.stop_gradient"


@pytest.mark.parametrize(
    ("assign", "words"),
    [
        (lambda tree: [setattr(p, "requires_grad", False) for p in tree.parameters()], r"Parameter\(\(2,\)\): 'requires_grad' .*" + FREEZE),
        (lambda tree: [setattr(b, "requires_grad", False) for b in tree.buffers()], r"Buffer\(\(2,\)\): 'requires_grad' .*" + FREEZE),
        (lambda tree: setattr(tree, "requires_grad", False), "Tree: 'requires_grad' cannot be assigned.*" + FREEZE),
        (lambda tree: setattr(tree.shared.weight, "data", jnp.ones((2, 2))), "'data' cannot be assigned: .*holds no array"),
        (lambda tree: setattr(tree.shared.weight, "grad", None), "'grad' cannot be assigned: bpjax.grad returns the gradients"),
        (lambda tree: setattr(tree.inner, "training", False), "Sequential: 'training' cannot be assigned: the mode is an argument"),
        (lambda tree: setattr(nn.Repeat(tree, 2).block.shared.bias, "requires_grad", False), FREEZE),
        (lambda tree: tree.shared.weight.requires_grad, FREEZE),
        (lambda tree: tree.shared.weight.requires_grad_(False), "'Parameter' object has no attribute 'requires_grad_'.*holds no array"),
        (lambda tree: tree.shared.weight.data.zero_(), "no attribute 'data': a parameter is declared here and holds no array"),
        (lambda tree: tree.shared.weight.numel(), "no attribute 'numel': .*its value is in what model.init returns"),
    ],
    ids=["every parameter", "every buffer", "a module", "data", "grad", "training", "repeated", "read", "a method", "its data", "numel"],
)  # fmt: skip
def test_what_would_do_nothing_to_a_parameter_is_refused_with_advice(assign, words):
    with pytest.raises(AttributeError, match=words):
        assign(Tree())


def test_a_parameter_may_carry_a_users_own_attribute():
    weight = nn.Linear(2, 2).weight
    weight.group = "decay"
    assert pickle.loads(pickle.dumps(weight)).group == "decay"


def test_parameters_that_a_step_deleted_are_named():
    linear = nn.Linear(2, 2)
    params = linear.init(key)
    jax.jit(lambda p: jax.tree.map(lambda a: a + 1, p), donate_argnums=0)(params)
    with pytest.raises(ValueError, match="(?s)deleted: weight: .*donate=False.*deleted: bias"):
        linear.apply(params, x[:, :2])
