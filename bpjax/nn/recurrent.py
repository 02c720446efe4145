"""Recurrent modules."""

import math

import jax.numpy as jnp

from .. import functional as F
from .module import Module, Parameter, uniform


class RNN(Module):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), in one or more layers, one or both directions.

    Shapes: input (T, N, I), (N, T, I) with batch_first, or (T, I); hx (layers x directions, N, H) or None
    -> all h_t of the last layer, and the last h of each.
    Formula and backward: see `bpjax.functional.rnn_tanh`.
    Errors: ValueError for another shape.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNN.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.RNN(3, 4)
    >>> output, h_n = model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2, 3)))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (1, 2, 4))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        nonlinearity="tanh",
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        *,
        dtype=None,
    ):
        if nonlinearity != "tanh":
            raise NotImplementedError(f"RNN: nonlinearity must be 'tanh', got {nonlinearity!r}")
        self.input_size, self.hidden_size, self.num_layers, self.bias = input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional = batch_first, dropout, bidirectional
        init = uniform(1 / math.sqrt(hidden_size))
        self._suffixes = [[f"_l{i}", f"_l{i}_reverse"][: 1 + bidirectional] for i in range(num_layers)]
        for i, suffix in ((i, s) for i, pair in enumerate(self._suffixes) for s in pair):
            inputs = input_size if i == 0 else hidden_size * (1 + bidirectional)
            setattr(self, "weight_ih" + suffix, Parameter((hidden_size, inputs), init, dtype))
            setattr(self, "weight_hh" + suffix, Parameter((hidden_size, hidden_size), init, dtype))
            if bias:
                setattr(self, "bias_ih" + suffix, Parameter((hidden_size,), init, dtype))
                setattr(self, "bias_hh" + suffix, Parameter((hidden_size,), init, dtype))

    def forward(self, input, hx=None):
        shape = self._shape(input)
        if len(shape) not in (2, 3) or shape[-1] != self.input_size:
            expected = f"({'N, T' if self.batch_first else 'T, N'}, {self.input_size}) or (T, {self.input_size})"
            raise ValueError(f"expected input of shape {expected}, got shape {shape}")
        swap = self.batch_first and len(shape) == 3
        x = input.swapaxes(0, 1) if swap else input
        shape = (self.num_layers * (1 + self.bidirectional), *x.shape[1:-1], self.hidden_size)
        if hx is None:
            hx = jnp.zeros(shape, x.dtype)
        elif hx.shape != shape:
            raise ValueError(f"expected hx of shape {shape}, got shape {hx.shape}")
        states, last = iter(hx), []
        for i, suffixes in enumerate(self._suffixes):
            if i and self.dropout and self.training:
                x = F.dropout(x, self.dropout, True, rng=self.next_key())
            directions = []
            for backwards, suffix in enumerate(suffixes):
                h = F.rnn_tanh(x[::-1] if backwards else x, next(states), *self._weights(suffix))
                last.append(h[-1])
                directions.append(h[::-1] if backwards else h)
            x = jnp.concatenate(directions, -1) if self.bidirectional else directions[0]
        return x.swapaxes(0, 1) if swap else x, jnp.stack(last)

    def _weights(self, suffix):
        names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"] if self.bias else ["weight_ih", "weight_hh"]
        return [getattr(self, name + suffix) for name in names]

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        text += f", num_layers={self.num_layers}" if self.num_layers != 1 else ""
        text += "" if self.bias else ", bias=False"
        text += ", batch_first=True" if self.batch_first else ""
        text += f", dropout={self.dropout}" if self.dropout else ""
        return text + (", bidirectional=True" if self.bidirectional else "")
