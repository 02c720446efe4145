"""What recurrent functions and modules refuse, and that they say why."""

import jax
import jax.numpy as jnp
import pytest

import bpjax.functional as F
from bpjax import nn

x, h, vector = jnp.ones((5, 2, 3)), jnp.ones((2, 4)), jnp.ones(4)
rnn, gates, gru = (jnp.ones((4, 3)), jnp.ones((4, 4))), (jnp.ones((16, 3)), jnp.ones((16, 4))), (jnp.ones((12, 3)), jnp.ones((12, 4)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: F.rnn_tanh(jnp.ones((0, 2, 3)), h, *rnn), ValueError, r"at least one step, got shape \(0, 2, 3\)"),
        (lambda: F.rnn_relu(jnp.ones(3), h, *rnn), ValueError, r"\(T, \*, I\)"),
        (lambda: F.rnn_relu(x, vector, *rnn), ValueError, r"rnn_relu: expected hx of shape \(2, 4\), got \(4,\)"),
        (lambda: F.gru(x[..., :2], h[:1], *gru), ValueError, r"input of shape \(5, 2, 3\), got \(5, 2, 2\); expected hx of shape \(2, 4\)"),
        (lambda: F.gru(x, h, *rnn), ValueError, r"weight_ih of shape \(12, 3\), got \(4, 3\); expected weight_hh"),
        (lambda: F.gru(x, h, *gru, vector), ValueError, r"bias_ih of shape \(12,\), got \(4,\)"),
        (lambda: F.gru(x, h, gru[0][0], gru[1]), ValueError, r"weight_ih of 2 axes, got shape \(3,\)"),
        (lambda: F.gru(x, None, *gru), TypeError, "hx as an array, got a NoneType"),
        (lambda: F.gru(x.astype(int), h, *gru), TypeError, "input int32"),
        (lambda: F.lstm(x, (h, h.astype(jnp.bfloat16)), *gates), TypeError, r"hx\[1\] bfloat16"),
        (lambda: F.lstm(x, h, *gates), TypeError, r"tuple of two arrays, \(h, c\), got shapes \(2, 4\)"),
        (lambda: F.lstm(x, (h, h), *gates, weight_hr=jnp.ones((2, 4))), ValueError, r"weight_hr of shape \(4, 4\), got \(2, 4\)"),
        (lambda: F.rnn_tanh_cell(x, h, *rnn), ValueError, r"rnn_tanh_cell: expected input \(N, I\) or \(I,\), got shape \(5, 2, 3\)"),
        (lambda: F.rnn_relu_cell(x[0], vector, *rnn), ValueError, r"hx of shape \(2, 4\), got \(4,\)"),
        (lambda: F.lstm_cell(x[0], (h, vector), *gates), ValueError, r"hx\[1\] of shape \(2, 4\), got \(4,\)"),
        (lambda: F.lstm_cell(x[0], h, *gates), TypeError, "lstm_cell: expected hx as a tuple"),
        (lambda: F.gru_cell(x[0], (h,), *gru), TypeError, "hx as an array, got a tuple"),
        (lambda: F.gru_cell(x[0].astype(int), h, *gru), TypeError, "one dtype"),
    ],
)
def test_functions_refuse(call, error, words):
    with pytest.raises(error, match=words):
        call()


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: nn.RNN(3, 4, nonlinearity="sigmoid"), ValueError, "RNN: nonlinearity must be 'tanh' or 'relu', got 'sigmoid'"),
        (lambda: nn.RNNCell(3, 4, nonlinearity="sigmoid"), ValueError, "RNNCell: nonlinearity"),
        (lambda: nn.GRUCell(3, -4), ValueError, "GRUCell: hidden_size must not be negative, got -4"),
        (lambda: nn.LSTMCell(3, 4.0), TypeError, "LSTMCell: hidden_size must be a whole number, got 4.0"),
        (lambda: nn.RNNCell("3", 4), TypeError, "RNNCell: input_size must be a whole number, got '3'"),
        (lambda: nn.GRU(0, 0), ValueError, "GRU: input_size must be positive, got 0; hidden_size must be positive, got 0"),
        (lambda: nn.GRU(3, 4, 0), ValueError, "num_layers must be positive"),
        (lambda: nn.GRU(3.0, 4), TypeError, "input_size must be a whole number, got 3.0"),
        (lambda: nn.GRU(3, 4, proj_size=2), TypeError, "proj_size"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size must be 0 or positive and below hidden_size, got 4"),
        (lambda: nn.LSTM(3, 4, proj_size=-1), ValueError, "proj_size"),
        (lambda: nn.LSTM(3, 4, 2, dropout=1.5), ValueError, r"dropout must be a number in \[0, 1\], got 1.5"),
        (lambda: nn.LSTM(3, 4, 2, dropout=True), ValueError, "dropout"),
        (lambda: nn.LSTM(3, 4, bias=1), TypeError, "bias must be True or False, got 1"),
        (lambda: nn.LSTM(3, 4, batch_first=1), TypeError, "batch_first"),
    ],
)
def test_constructors_refuse(make, error, words):
    with pytest.raises(error, match=words):
        make()


def test_dropout_without_layers_between_is_warned_of():
    with pytest.warns(UserWarning, match="GRU: dropout=0.5 does nothing"):
        nn.GRU(3, 4, dropout=0.5)


@pytest.mark.parametrize(
    ("module", "inputs", "error", "words"),
    [
        (nn.RNN(3, 4), [x[:0]], ValueError, r"at least one step, got shape \(0, 2, 3\)"),
        (nn.RNN(3, 4, batch_first=True), [x[:, :0]], ValueError, r"\(N, T, 3\) or \(T, 3\) of at least one step, got shape \(5, 0, 3\)"),
        (nn.RNN(3, 4), [x[None]], ValueError, r"got shape \(1, 5, 2, 3\)"),
        (nn.GRU(3, 4, 2), [x[..., :2], h], ValueError, r"got shape \(5, 2, 2\); expected hx of shape \(2, 2, 4\), got \(2, 4\)"),
        (nn.GRU(3, 4), [x[:, 0], h[None]], ValueError, r"hx of shape \(1, 4\), got \(1, 2, 4\)"),
        (nn.GRU(3, 4), [x, (h[None],)], TypeError, "hx as an array, got a tuple"),
        (nn.GRU(3, 4), [x.astype(int)], TypeError, "one dtype"),
        (nn.LSTM(3, 4, proj_size=2), [x, (h[None], h[None])], ValueError, r"hx\[0\] of shape \(1, 2, 2\), got \(1, 2, 4\)"),
        (nn.LSTM(3, 4), [x, h[None]], TypeError, r"\(h_0, c_0\), got shapes \(1, 2, 4\)"),
        (nn.LSTM(3, 4), [x.astype(jnp.bfloat16)], TypeError, "input bfloat16"),
        (nn.RNNCell(3, 4), [x], ValueError, r"RNNCell: rnn_tanh_cell: expected input \(N, I\) or \(I,\)"),
        (nn.LSTMCell(3, 4), [x[0], (h[0], h[0])], ValueError, r"hx\[0\] of shape \(2, 4\), got \(4,\)"),
        (nn.GRUCell(3, 4), [x[0, :, :2], h[:1]], ValueError, r"input of shape \(2, 3\), got \(2, 2\); expected hx of shape \(2, 4\)"),
    ],
)
def test_modules_refuse(module, inputs, error, words):
    with pytest.raises(error, match=words):
        module.apply(module.init(jax.random.key(0)), *inputs)
