"""FLOPs, saved bytes and temporary bytes by module."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest
from flax import nnx

import bpjax
import bpjax.functional as F
from bpjax import nn
from bpjax.inspect.cost import flops
from bpjax.program import jaxprs

key = jax.random.key(0)
x, labels = jax.random.normal(key, (32, 16)), jnp.arange(32) % 4


class Net(nn.Module):
    def __init__(self):
        self.fc1, self.fc2 = nn.Linear(16, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.fc2(F.relu(self.fc1(x)))


model = Net()
params = model.init(key)


def loss(params, x):
    return F.cross_entropy(model.apply(params, x), labels)


def by_module(costs):
    return {m.module: m for m in costs.modules}


def test_the_products_of_matrices_are_counted():
    found = by_module(bpjax.cost(loss, params, x))
    product = 2 * 32 * 16 * 64
    assert product <= found["fc1"].forward <= 1.1 * product
    assert product <= found["fc1"].backward <= 1.1 * product  # x has no gradient: one product, not two
    second = 2 * 32 * 64 * 4
    assert second <= found["fc2"].forward <= 1.2 * second and 2 * second <= found["fc2"].backward <= 2.2 * second
    assert (found["fc1"].parameters, found["fc2"].parameters) == (16 * 64 + 64, 64 * 4 + 4)


def test_saved_bytes_are_what_the_rules_keep():
    found = by_module(bpjax.cost(loss, params, x))
    mask, hidden = 32 * 64 // 8, 32 * 64 * 4  # relu keeps a bit for each unit, fc2 its input
    assert found["fc1"].saved_hand == mask + hidden
    assert found["fc1"].saved_auto > found["fc1"].saved_hand


def test_constants_and_parameters_are_not_counted_as_saved():
    found = by_module(bpjax.cost(lambda p: jnp.sum(p["fc"]["w"] * jnp.arange(64.0)), {"fc": {"w": jnp.ones(64)}}))
    assert found["fc"].parameters == 64 and not any(m.saved_hand for m in found.values())


def test_temporary_bytes_are_those_of_the_compiled_programs():
    costs = bpjax.cost(loss, params, x)
    for differentiate, found in ((bpjax.value_and_grad, costs.temporary_hand), (jax.value_and_grad, costs.temporary_auto)):
        program = jax.jit(differentiate(lambda p: loss(p, x))).lower(params).compile()
        assert program.memory_analysis().temp_size_in_bytes == found


def test_the_table_has_a_line_for_each_module_and_the_sum():
    lines = str(bpjax.cost(loss, params, x)).splitlines()
    assert [line.split()[0] for line in lines[:3]] == ["module", "fc1", "fc2"] and lines[-2].startswith("all ")
    assert "temporary bytes: hand" in lines[-1]


def test_a_scan_counts_its_steps():
    cell = {"cell": {"w": jnp.eye(16)}}
    f = lambda p, xs: jax.lax.scan(lambda h, x: (jnp.tanh(h @ p["cell"]["w"] + x), None), jnp.zeros(16), xs)[0].sum()
    (module,) = bpjax.cost(f, cell, x).modules
    step = 2 * 16 * 16
    assert 32 * step <= module.forward <= 32 * (step + 40)
    sums = 16 * 16  # each step adds to dL/dw
    assert 2 * 32 * step <= module.backward <= 32 * (2 * step + sums + 100)


class Flax(nnx.Module):
    def __init__(self, rngs):
        self.fc1, self.fc2 = nnx.Linear(16, 64, rngs=rngs), nnx.Linear(64, 4, rngs=rngs)

    def __call__(self, x):
        return self.fc2(nnx.relu(self.fc1(x)))


def of_flax():
    graph, params, rest = nnx.split(Flax(nnx.Rngs(0)), nnx.Param, ...)
    return (lambda p: nnx.merge(graph, p, rest, copy=True)(x).sum()), params, ["fc1", "fc2"]


def of_equinox():
    params, static = eqx.partition(eqx.nn.MLP(16, 4, 64, 1, key=key), eqx.is_inexact_array)
    return (lambda p: jax.vmap(eqx.combine(p, static))(x).sum()), params, ["layers.0", "layers.1"]


@pytest.mark.parametrize("make", [of_flax, of_equinox], ids=["Flax", "Equinox"])
def test_an_untouched_model_has_its_costs_by_module(make):
    f, params, names = make()
    found = by_module(bpjax.cost(f, params))
    assert [name for name in found if name in names] == names
    assert found[names[0]].forward >= 2 * 32 * 16 * 64 and found[names[1]].backward >= 2 * 2 * 32 * 64 * 4
    assert found[names[0]].saved_hand >= 32 * 64 * 4  # the hidden values


COUNTS = {
    "a product": (lambda a: a @ a.T, (3, 5), 2 * 3 * 5 * 3),
    "an elementwise function": (jnp.sin, (3, 5), 15),
    "a sum": (lambda a: jax.lax.reduce_sum_p.bind(a, axes=(0,), out_sharding=None), (3, 5), 15),
    "what only moves numbers": (lambda a: a.reshape(5, 3), (3, 5), 0),
    "a convolution": (lambda a: jax.lax.conv(a, jnp.ones((4, 2, 3, 3)), (1, 1), "VALID"), (1, 2, 6, 6), 2 * 4 * 4 * 4 * 2 * 9),
}


@pytest.mark.parametrize("name", COUNTS)
def test_flops_of(name):
    f, shape, expected = COUNTS[name]
    assert sum(flops(e) for e in jaxprs.trace(f, jnp.ones(shape))[0].eqns if e.primitive.name != "broadcast_in_dim") == expected


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bpjax.cost(lambda w: w * 2, jnp.ones(3)), r"scalar loss, but the function returned \[\(3,\)\]"),
        (lambda: bpjax.cost(lambda p: p["n"].sum(), {"n": jnp.arange(3)}), "cost: n is int32"),
        (lambda: bpjax.cost(lambda w: w, "text"), "cost: argument 0 is str"),
    ],
    ids=["no scalar", "whole numbers", "no array"],
)
def test_bad_input_is_one_clear_error(call, words):
    with pytest.raises(TypeError, match=words):
        call()


def test_of_branches_the_dearest_counts():
    """A convolution has one for each platform."""
    model, x = nn.Conv2d(64, 64, 3, padding=1), jnp.ones((4, 64, 64, 64))
    loss = lambda params, x: model.apply(params, x).sum()
    conv = bpjax.cost(loss, model.init(jax.random.key(0)), x).modules[0]
    assert conv.backward == pytest.approx(conv.forward, rel=0.01)  # dW alone: x is data
