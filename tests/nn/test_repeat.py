"""Repeat: a scan over stacked parameters does what separate layers do."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from module_cases.table import normal, random_like
from verdict import assert_same

import bpjax
from bpjax import nn

key = jax.random.key(0)
pytestmark = pytest.mark.usefixtures("x64")


def dense():
    return nn.Sequential(nn.Linear(4, 4), nn.Tanh())


def x():
    return jnp.asarray(normal(5, 4))


def test_hand_is_auto_with_buffers_and_keys():
    model = nn.Repeat(nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(0.5)), 3)
    params, buffers = random_like(model.init(key)), model.init_buffers()

    def loss(params, x):
        y, new = model.apply(params, x, buffers=buffers, train=True, rng=key)
        return jnp.sum(jnp.sin(y)), new

    hand, new = jax.jit(bpjax.grad(loss, (0, 1), has_aux=True))(params, x())
    auto, expected = jax.jit(jax.grad(loss, (0, 1), has_aux=True))(params, x())
    assert_same(jax.tree.leaves(hand), jax.tree.leaves(auto))
    assert_same(jax.tree.leaves(new), jax.tree.leaves(expected))
    means = new["block"]["1"]["running_mean"]
    assert means.shape == (3, 4) and len({tuple(m) for m in means.tolist()}) == 3
    assert new["block"]["1"]["num_batches_tracked"].tolist() == [1, 1, 1]


def test_layers_draw_keys_of_their_own():
    model, ones = nn.Repeat(nn.Dropout(0.5), 2), jnp.ones(1000)
    kept = (model.apply({}, ones, train=True, rng=key) != 0).mean()
    assert 0.2 < kept < 0.3  # one mask twice would keep a half


def test_as_a_loop_over_separate_layers():
    block = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Tanh())
    model = nn.Repeat(block, 3)
    layers = [random_like(block.init(jax.random.key(i))) for i in range(3)]
    layers = [jax.tree.map(lambda leaf, i=i: leaf + i, layer) for i, layer in enumerate(layers)]
    buffers = [block.init_buffers() for _ in range(3)]

    def looped(layers, x):
        new = []
        for params, held in zip(layers, buffers):
            x, after = block.apply(params, x, buffers=held, train=True)
            new.append(after)
        return jnp.sum(x**2), new

    def repeated(layers, x):
        y, new = model.apply(model.stacked(layers), x, buffers=model.stacked(buffers), train=True)
        return jnp.sum(y**2), model.unstacked(new)

    one, new_one = bpjax.grad(looped, (0, 1), has_aux=True)(layers, x())
    other, new_other = bpjax.grad(repeated, (0, 1), has_aux=True)(layers, x())
    assert_same(jax.tree.leaves(other), jax.tree.leaves(one))
    assert_same(jax.tree.leaves(new_other), jax.tree.leaves(new_one))


def test_stacked_and_unstacked_are_inverse():
    model = nn.Repeat(dense(), 3)
    params = model.init(key)
    again = model.stacked(model.unstacked(params))
    assert jax.tree.structure(again) == jax.tree.structure(params)
    assert_same(jax.tree.leaves(again), jax.tree.leaves(params))
    weights = params["block"]["0"]["weight"]
    assert weights.shape == (3, 4, 4) and not (weights[0] == weights[1]).any()


def test_nested():
    inner = nn.Repeat(dense(), 2)
    model = nn.Repeat(inner, 3)
    params = model.init(key)
    assert params["block"]["block"]["0"]["weight"].shape == (3, 2, 4, 4)
    expected = x()
    for layer in model.unstacked(params):
        for part in inner.unstacked(layer):
            expected = dense().apply(part, expected)
    np.testing.assert_allclose(model.apply(params, x()), expected, rtol=1e-12)
    hand, auto = (of(lambda p: jnp.sum(model.apply(p, x()) ** 2))(params) for of in (bpjax.grad, jax.grad))
    assert_same(jax.tree.leaves(hand), jax.tree.leaves(auto))


def test_nested_buffers():
    model = nn.Repeat(nn.Repeat(nn.BatchNorm1d(4), 2), 3)
    _, new = model.apply(model.init(key), x(), buffers=model.init_buffers(), train=True)
    assert new["block"]["block"]["running_mean"].shape == (3, 2, 4)
    assert new["block"]["block"]["num_batches_tracked"].tolist() == [[1, 1]] * 3


def test_what_is_tied_in_a_block_stays_tied():
    block = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Tanh(), nn.Linear(4, 4, bias=False))
    block[2].weight = block[0].weight
    model = nn.Repeat(block, 2)
    params = model.init(key)
    assert list(params["block"]) == ["0"]

    def by_hand(params, x):
        for W in params["block"]["0"]["weight"]:
            x = jnp.tanh(x @ W.T) @ W.T
        return jnp.sum(x**2)

    hand = bpjax.grad(lambda p: jnp.sum(model.apply(p, x()) ** 2))(params)
    assert_same(jax.tree.leaves(hand), jax.tree.leaves(jax.grad(by_hand)(params, x())))


def test_one_block_in_two_repeats_is_two_sets_of_parameters():
    block = dense()
    model = nn.Sequential(nn.Repeat(block, 2), nn.Repeat(block, 3))
    shapes = [params["block"]["0"]["weight"].shape for params in model.init(key).values()]
    assert shapes == [(2, 4, 4), (3, 4, 4)] and model.apply(model.init(key), x()).shape == (5, 4)


def test_the_program_does_not_grow_with_depth():
    def size(num_layers):
        model = nn.Repeat(dense(), num_layers)
        program = jax.make_jaxpr(bpjax.grad(lambda p: jnp.sum(model.apply(p, x()))))(model.init(key))
        return str(program).count(" = ")  # equations, also those of inner programs

    assert size(2) == size(12)


def test_a_block_without_parameters():
    np.testing.assert_allclose(nn.Repeat(nn.Tanh(), 3).apply({}, x()), jnp.tanh(jnp.tanh(jnp.tanh(x()))), rtol=1e-12)


def test_further_arguments_go_to_every_layer():
    class Shifted(nn.Module):
        def __init__(self):
            self.weight = nn.Parameter((), init=2.0)

        def forward(self, x, by, *, times=1):
            return x + times * by * self.weight

    model = nn.Repeat(Shifted(), 3)
    np.testing.assert_allclose(model.apply(model.init(key), x(), 2.0, times=5), x() + 60)


class Pair(nn.Linear):
    def forward(self, x):
        return x, x


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (lambda: nn.Repeat(3, 2), TypeError, "Repeat: expected a module to repeat, got int"),
        (lambda: nn.Repeat(nn.ReLU(), 0), ValueError, "Repeat: num_layers must be a whole number, at least 1, got 0"),
        (lambda: nn.Repeat(nn.Sequential(nn.LazyLinear(3)), 2), ValueError, 'Repeat: the block has no sizes yet ("0" (LazyLinear))'),
        (lambda: applied(nn.Linear(4, 3)), ValueError,
         '"0" (Repeat): the block must return what it takes, float64[5, 4], and returned float64[5, 3]'),
        (lambda: applied(Pair(4, 4)), ValueError, '"0" (Repeat): the block must return what it takes, float64[5, 4], and returned a tuple'),
        (lambda: applied(nn.Sequential(nn.Linear(7, 7))), ValueError, '"0.block.0" (Linear): expected input with last dimension 7'),
        (lambda: applied(nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)), train=True), ValueError, '"0.block.1" (Dropout)'),
    ],
    ids=["not a module", "no layers", "lazy", "another shape", "a tuple", "inside the block", "no key"],
)  # fmt: skip
def test_refused(call, kind, words):
    with pytest.raises(kind, match=re.escape(words)):
        call()


def applied(block, **options):
    model = nn.Sequential(nn.Repeat(block, 2))
    return model.apply(model.init(key), x(), **options)


def test_printing():
    linear = "Linear(in_features=4, out_features=4, bias=True)"
    assert repr(nn.Repeat(dense(), 12)) == f"Repeat(\n  (block): 12 x Sequential(\n    (0): {linear}\n    (1): Tanh()\n  )\n)"
