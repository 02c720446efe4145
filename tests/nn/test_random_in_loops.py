"""What is random and stands in a loop within forward: an error, instead of one draw for all steps."""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

import bpjax
import bpjax.functional as F
from bpjax import nn

key, x = jax.random.key(0), jnp.ones((3, 2, 8))


class Looped(nn.Module):
    """A random layer inside a loop."""

    def __init__(self, layer, loop):
        self.layer, self.loop = layer, loop

    def forward(self, x):
        return self.loop(self.layer, x)


LOOPS = {
    "scan": lambda f, x: lax.scan(lambda total, row: (total + f(row).sum(), None), 0.0, x)[0],
    "map": lambda f, x: lax.map(f, x),
    "fori_loop": lambda f, x: lax.fori_loop(0, 3, lambda i, total: total + f(x[i]), x[0]),
    "while_loop": lambda f, x: lax.while_loop(lambda s: s[0] < 3, lambda s: (s[0] + 1, s[1] + f(x[0])), (0, x[0]))[1],
    "vmap": lambda f, x: jax.vmap(f)(x),
    "checkpoint in a scan": lambda f, x: lax.scan(lambda total, row: (total + jax.checkpoint(f)(row).sum(), None), 0.0, x)[0],
}
LAYERS = {
    "Dropout": (lambda: nn.Dropout(0.5), x),
    "AlphaDropout": (lambda: nn.AlphaDropout(0.5), x),
    "Dropout1d": (lambda: nn.Dropout1d(0.5), x[:, None]),
    "RReLU": (lambda: nn.RReLU(), -x),
    "LSTM": (lambda: Last(nn.LSTM(8, 8, 2, dropout=0.5)), x),
    "MultiheadAttention": (lambda: Self(nn.MultiheadAttention(8, 2, dropout=0.5)), x),
    "FractionalMaxPool2d": (lambda: nn.FractionalMaxPool2d(2, output_size=2), jnp.ones((3, 1, 4, 4))),
    "TransformerEncoderLayer": (lambda: nn.TransformerEncoderLayer(8, 2, 8), x),
}


class Last(nn.Module):
    def __init__(self, inner):
        self.inner = inner

    def forward(self, x):
        return self.inner(x)[0]


class Self(Last):
    def forward(self, x):
        return self.inner(x, x, x)[0]


def applied(model, x, **options):
    return model.apply(model.init(key), x, train=True, rng=key, **options)


@pytest.mark.parametrize("loop", LOOPS)
def test_a_draw_in_a_loop_is_refused(loop):
    model = Looped(nn.Dropout(0.5), LOOPS[loop])
    with pytest.raises(ValueError, match=r'"layer" \(Dropout\): draws inside a (lax|jax)\.\w+ within forward.*jax.random.split'):
        applied(model, x)
    with pytest.raises(ValueError, match="draws inside"):
        bpjax.grad(lambda x: applied(model, x).sum())(x)
    assert model.apply({}, x) is not None  # in evaluation nothing is drawn


@pytest.mark.parametrize("layer", LAYERS)
def test_every_random_layer(layer):
    make, inputs = LAYERS[layer]
    model = Looped(make(), LOOPS["map"])
    with pytest.raises(ValueError, match="draws inside a lax.scan"):
        applied(model, inputs)


def test_a_bound_module_in_a_loop_is_refused():
    bound = nn.Dropout(0.5).bind({}, train=True, rng=key)
    with pytest.raises(ValueError, match="draws inside"):
        lax.map(bound, x)


def test_another_mask_at_each_step_as_the_error_says():
    class Scans(nn.Module):
        def forward(self, x):
            return lax.map(lambda row: F.dropout(row[0], 0.5, rng=row[1]), (x, jax.random.split(self.next_key(), len(x))))

    masks = applied(Scans(), jnp.ones((4, 64)))
    assert len({tuple(row) for row in masks.tolist()}) == 4


def test_what_draws_once_may_stand_in_what_is_traced():
    once = {
        "jit": lambda f, x: jax.jit(f)(x),
        "checkpoint": lambda f, x: jax.checkpoint(f)(x),
        "cond": lambda f, x: lax.cond(x.sum() > 0, f, lambda x: x, x),
    }
    for name, loop in once.items():
        assert set(applied(Looped(nn.Dropout(0.5), loop), jnp.ones(64)).tolist()) == {0.0, 2.0}, name


def test_a_loop_around_the_whole_application():
    model = nn.Dropout(0.5)
    masks = lax.map(lambda key: model.apply({}, jnp.ones(64), train=True, rng=key), jax.random.split(key, 4))
    assert len({tuple(row) for row in masks.tolist()}) == 4
    masks = jax.vmap(lambda key: model.apply({}, jnp.ones(64), train=True, rng=key))(jax.random.split(key, 4))
    assert len({tuple(row) for row in masks.tolist()}) == 4
    repeated = nn.Repeat(nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)), 2)
    assert applied(repeated, x).shape == x.shape
