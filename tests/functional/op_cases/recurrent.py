"""Cases of recurrent layers."""

import jax
import jax.numpy as jnp

import bpjax.functional as F

from .table import case, normal


def joined(outputs):
    """All outputs in one array."""
    return jnp.concatenate([y.reshape(-1) for y in jax.tree.leaves(outputs)])


def weights(gates, inputs, hidden, outputs=None):
    """weight_ih, weight_hh, bias_ih, bias_hh."""
    rows = gates * hidden
    return [0.5 * normal(rows, inputs, seed=2), 0.5 * normal(rows, outputs or hidden), normal(rows), normal(rows, seed=1)]


for name, gates in [("rnn_tanh", 1), ("rnn_relu", 1), ("gru", 3)]:

    def f(x, h, W_ih, W_hh, b_ih=None, b_hh=None, reverse=False, function=getattr(F, name)):
        return joined(function(x, h, W_ih, W_hh, b_ih, b_hh, reverse))

    case(name, "two biases", [normal(4, 4, 4), normal(4, 4), *weights(gates, 4, 4)], f=f)
    case(name, "without bias", [normal(5, 2, 3), normal(2, 4), *weights(gates, 3, 4)[:2]], f=f)
    case(name, "one bias, one sequence", [normal(5, 3), normal(4), *weights(gates, 3, 4)[:3]], f=f)
    case(name, "reverse", [normal(3, 2, 3), normal(2, 4), *weights(gates, 3, 4)], f=lambda *a, f=f: f(*a, reverse=True))
    case(name, "one step of sizes 1", [normal(1, 1, 1), normal(1, 1), *weights(gates, 1, 1)], f=f)
    case(name, "batch 0", [normal(2, 0, 3), normal(0, 5), *weights(gates, 3, 5)], f=f)
    case(name, "gates at their ends", [20 * normal(3, 7, 2), normal(7, 3), *weights(gates, 2, 3)], f=f, entrywise=name == "rnn_tanh")

    def cell(*args, function=getattr(F, name + "_cell")):
        return function(*args)

    case(name + "_cell", "two biases", [normal(4, 4), normal(4, 4, seed=1), *weights(gates, 4, 4)], f=cell)
    case(name + "_cell", "without bias", [normal(2, 3), normal(2, 4), *weights(gates, 3, 4)[:2]], f=cell)
    case(name + "_cell", "one vector", [normal(3), normal(4), *weights(gates, 3, 4)], f=cell)
    case(name + "_cell", "batch 0", [normal(0, 3), normal(0, 4), *weights(gates, 3, 4)], f=cell)
case(
    "rnn_relu",
    "zeros at the kink",
    [normal(3, 2, 2), 0 * normal(2, 3), 0 * normal(3, 2), normal(3, 3)],
    f=lambda *a: joined(F.rnn_relu(*a)),
    smooth=False,
)
case("gru", "lean", [normal(4, 2, 3), normal(2, 4), *weights(3, 3, 4)], f=lambda *a: joined(F.gru(*a, memory="lean")))
case(
    "gru",
    "lean, without bias, reverse",
    [normal(3, 3), normal(4), *weights(3, 3, 4)[:2]],
    f=lambda *a: joined(F.gru(*a, reverse=True, memory="lean")),
)


def lstm(x, h, c, *weights, **options):
    return joined(F.lstm(x, (h, c), *weights, **options))


def lstm_cell(x, h, c, *weights):
    return joined(F.lstm_cell(x, (h, c), *weights))


case("lstm", "two biases", [normal(4, 4, 4), normal(4, 4), normal(4, 4, seed=1), *weights(4, 4, 4)], f=lstm)
case("lstm", "without bias", [normal(5, 2, 3), normal(2, 4), normal(2, 4, seed=1), *weights(4, 3, 4)[:2]], f=lstm)
case("lstm", "one bias, one sequence", [normal(5, 3), normal(4), normal(4, seed=1), *weights(4, 3, 4)[:3]], f=lstm)
case("lstm", "reverse", [normal(3, 2, 3), normal(2, 4), normal(2, 4, seed=1), *weights(4, 3, 4)], f=lambda *a: lstm(*a, reverse=True))
case("lstm", "projected", [normal(3, 2, 3), normal(2, 2), normal(2, 5), *weights(4, 3, 5, 2), normal(2, 5)], f=lstm)
case(
    "lstm",
    "projected, without bias, reverse",
    [normal(3, 3), normal(2), normal(5), *weights(4, 3, 5, 2)[:2], normal(2, 5)],
    f=lambda x, h, c, W_ih, W_hh, W_hr: lstm(x, h, c, W_ih, W_hh, weight_hr=W_hr, reverse=True),
)
case("lstm", "one step of sizes 1", [normal(1, 1, 1), normal(1, 1), normal(1, 1, seed=1), *weights(4, 1, 1)], f=lstm)
case("lstm", "lean", [normal(4, 2, 3), normal(2, 4), normal(2, 4, seed=1), *weights(4, 3, 4)], f=lambda *a: lstm(*a, memory="lean"))
case(
    "lstm",
    "lean, projected, without bias, reverse",
    [normal(3, 3), normal(2), normal(5), *weights(4, 3, 5, 2)[:2], normal(2, 5)],
    f=lambda x, h, c, W_ih, W_hh, W_hr: lstm(x, h, c, W_ih, W_hh, weight_hr=W_hr, reverse=True, memory="lean"),
)
case("lstm", "batch 0", [normal(2, 0, 3), normal(0, 5), normal(0, 5), *weights(4, 3, 5)], f=lstm)
case("lstm", "gates at their ends", [20 * normal(3, 7, 2), normal(7, 3), normal(7, 3, seed=1), *weights(4, 2, 3)], f=lstm)
case("lstm_cell", "two biases", [normal(4, 4), normal(4, 4, seed=1), normal(4, 4, seed=2), *weights(4, 4, 4)], f=lstm_cell)
case("lstm_cell", "without bias", [normal(2, 3), normal(2, 4), normal(2, 4, seed=1), *weights(4, 3, 4)[:2]], f=lstm_cell)
case("lstm_cell", "one vector", [normal(3), normal(4), normal(4, seed=1), *weights(4, 3, 4)], f=lstm_cell)
case("lstm_cell", "batch 0", [normal(0, 3), normal(0, 4), normal(0, 4), *weights(4, 3, 4)], f=lstm_cell)
