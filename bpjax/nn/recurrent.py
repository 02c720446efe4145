"""Recurrent modules."""

import math
import numbers
import warnings

import jax
import jax.numpy as jnp

from .. import functional as F
from ..functional._shared.checks import refuse
from .module import Module, Parameter, uniform

_GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class _Recurrent(Module):
    """Layers of one recurrent function, each in one or both directions."""

    def __init__(
        self, mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size=0, *, memory=None, dtype
    ):
        _check_options(type(self).__name__, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size)
        is_known = memory in ("fast", "lean") if mode in ("LSTM", "GRU") else memory is None
        refuse(type(self).__name__, not is_known and f"memory must be 'fast' or 'lean', got {memory!r}")
        self.mode, self.input_size, self.hidden_size, self.num_layers, self.bias = mode, input_size, hidden_size, num_layers, bias
        self.batch_first, self.dropout, self.bidirectional, self.proj_size = batch_first, float(dropout), bidirectional, proj_size
        self.memory, self._directions = memory, ("", "_reverse") if bidirectional else ("",)
        init, rows, outputs = uniform(1 / math.sqrt(hidden_size)), _GATES[mode] * hidden_size, proj_size or hidden_size
        for layer in range(num_layers):
            inputs = outputs * len(self._directions) if layer else input_size
            shapes = {"weight_ih": (rows, inputs), "weight_hh": (rows, outputs)}
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)} if bias else {}
            shapes |= {"weight_hr": (outputs, hidden_size)} if proj_size else {}
            for direction in self._directions:
                for name, shape in shapes.items():
                    setattr(self, f"{name}_l{layer}{direction}", Parameter(shape, init, dtype))
        self._names = tuple(shapes)

    def forward(self, input, hx=None):
        hx = self._states(input, hx)
        is_swapped = self.batch_first and input.ndim == 3
        x, last = input.swapaxes(0, 1) if is_swapped else input, []
        function = getattr(F, self.mode.lower())
        options = {} if self.memory is None else {"memory": self.memory}
        for layer in range(self.num_layers):
            if layer and self.dropout and self.training:
                x = F.dropout(x, self.dropout, rng=self.next_key())
            outputs = []
            for direction in self._directions:
                weights = {name: getattr(self, f"{name}_l{layer}{direction}") for name in self._names}
                states = jax.tree.map(lambda s: s[len(last)], hx)
                h, state = function(x, states, **weights, reverse=direction == "_reverse", **options)
                outputs.append(h)
                last.append(state)
            x = jnp.concatenate(outputs, -1)
        return x.swapaxes(0, 1) if is_swapped else x, jax.tree.map(lambda *states: jnp.stack(states), *last)

    def _states(self, input, hx):
        """The states that all layers start from, zeros where none are given; refuses those, and inputs, that do not fit."""
        shape = self._shape(input)
        form = f"({'N, T' if self.batch_first else 'T, N'}, {self.input_size}) or (T, {self.input_size}) of at least one step"
        if len(shape) not in (2, 3):
            raise ValueError(f"expected input {form}, got shape {shape}")
        time = int(self.batch_first and len(shape) == 3)
        rows, batch = self.num_layers * len(self._directions), (*shape[:time], *shape[time + 1 : -1])
        expected = {"hx": (rows, *batch, self.proj_size or self.hidden_size)}
        if self.mode == "LSTM":
            expected = {"hx[0]": expected["hx"], "hx[1]": (rows, *batch, self.hidden_size)}
            if hx is not None and (not isinstance(hx, tuple | list) or len(hx) != 2):
                raise TypeError(f"expected hx as a tuple of two arrays, (h_0, c_0), got shapes {jax.tree.map(jnp.shape, hx)}")
        if hx is None:
            states = {n: jnp.zeros(s, input.dtype) for n, s in expected.items()}
        else:
            states = dict(zip(expected, hx if self.mode == "LSTM" else (hx,)))
        if strange := [f"expected {n} as an array, got a {type(s).__name__}" for n, s in states.items() if not hasattr(s, "shape")]:
            raise TypeError("; ".join(strange))
        problems = [f"expected input {form}, got shape {shape}"] if shape[-1] != self.input_size or not shape[time] else []
        problems += [f"expected {n} of shape {expected[n]}, got {s.shape}" for n, s in states.items() if s.shape != expected[n]]
        if problems:
            raise ValueError("; ".join(problems))
        return tuple(states.values()) if self.mode == "LSTM" else states["hx"]

    def extra_repr(self):
        text = f"{self.input_size}, {self.hidden_size}"
        usual = {"proj_size": 0, "num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        text += "".join(f", {name}={getattr(self, name)}" for name, value in usual.items() if getattr(self, name) != value)
        return text + (", memory='lean'" if self.memory == "lean" else "")


def _check_options(name, input_size, hidden_size, num_layers, bias, batch_first, dropout, proj_size):
    counts = {"input_size": input_size, "hidden_size": hidden_size, "num_layers": num_layers, "proj_size": proj_size}
    wrong = [f"{n} must be a whole number, got {v!r}" for n, v in counts.items() if not isinstance(v, int)]
    flags = {"bias": bias, "batch_first": batch_first}
    refuse(name, *wrong, *(f"{n} must be True or False, got {v!r}" for n, v in flags.items() if not isinstance(v, bool)), kind=TypeError)
    is_probability = isinstance(dropout, numbers.Real) and not isinstance(dropout, bool) and 0 <= dropout <= 1
    refuse(
        name,
        *(f"{n} must be positive, got {v}" for n, v in counts.items() if v <= 0 and n != "proj_size"),
        (proj_size < 0 or proj_size >= max(hidden_size, 1)) and f"proj_size must be 0 or positive and below hidden_size, got {proj_size}",
        not is_probability and f"dropout must be a number in [0, 1], got {dropout!r}",
    )
    if dropout and num_layers == 1:
        warnings.warn(f"{name}: dropout={dropout} does nothing: it stands between layers, and there is one", stacklevel=4)


class RNN(_Recurrent):
    """h_t = tanh(W_ih x_t + b_ih + W_hh h_{t-1} + b_hh), or max(..., 0) with nonlinearity="relu", in one or more layers, one or both
    directions; dropout in training between the layers.

    Shapes: input (T, N, I), (N, T, I) with batch_first, or (T, I); hx (layers x directions, N, H), (layers x directions, H) without N,
    or None for zeros -> all h_t of the last layer (T, N, H x directions), and the last h of each layer and direction, like hx.
    Weights and biases U(±1/√H) at first.
    Formula and backward: see `bpjax.functional.rnn_tanh` and `rnn_relu`.
    Errors: ValueError for another shape or a bad option, TypeError for several dtypes.
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
        self.nonlinearity = _known("RNN", nonlinearity)
        mode = f"RNN_{nonlinearity.upper()}"
        super().__init__(mode, input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, dtype=dtype)


class LSTM(_Recurrent):
    """Long short-term memory in one or more layers, one or both directions; dropout in training between the layers, and h projected
    to proj_size where that is not 0.

    Shapes: input (T, N, I), (N, T, I) with batch_first, or (T, I); hx = (h_0, c_0), with P = proj_size or H,
    (layers x directions, N, P) and (layers x directions, N, H), both without N for an input without, or None for zeros
    -> all h_t of the last layer (T, N, P x directions), and (h_n, c_n), the last of each layer and direction, like hx.
    Weights and biases U(±1/√H) at first. memory="lean" keeps no gates for the way back, and makes them again there (PyTorch has none).
    Formula and backward: see `bpjax.functional.lstm`.
    Errors: ValueError for another shape or a bad option, TypeError for several dtypes or an hx that is no pair.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LSTM(3, 4, bidirectional=True)
    >>> output, (h_n, c_n) = model.apply(model.init(jax.random.key(0)), jnp.ones((5, 2, 3)))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 8), (2, 2, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        proj_size=0,
        *,
        memory="fast",
        dtype=None,
    ):
        options = num_layers, bias, batch_first, dropout, bidirectional, proj_size
        super().__init__("LSTM", input_size, hidden_size, *options, memory=memory, dtype=dtype)


class GRU(_Recurrent):
    """Gated recurrent units in one or more layers, one or both directions; dropout in training between the layers.

    Shapes: input (T, N, I), (N, T, I) with batch_first, or (T, I); hx (layers x directions, N, H), (layers x directions, H) without N,
    or None for zeros -> all h_t of the last layer (T, N, H x directions), and the last h of each layer and direction, like hx.
    Weights and biases U(±1/√H) at first. memory="lean" keeps no gates for the way back, and makes them again there (PyTorch has none).
    Formula and backward: see `bpjax.functional.gru`.
    Errors: ValueError for another shape or a bad option, TypeError for several dtypes.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GRU.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.GRU(3, 4, num_layers=2, batch_first=True)
    >>> output, h_n = model.apply(model.init(jax.random.key(0)), jnp.ones((2, 5, 3)))
    >>> output.shape, h_n.shape
    ((2, 5, 4), (2, 2, 4))
    """

    def __init__(
        self,
        input_size,
        hidden_size,
        num_layers=1,
        bias=True,
        batch_first=False,
        dropout=0.0,
        bidirectional=False,
        *,
        memory="fast",
        dtype=None,
    ):
        options = num_layers, bias, batch_first, dropout, bidirectional
        super().__init__("GRU", input_size, hidden_size, *options, memory=memory, dtype=dtype)


class _Cell(Module):
    """One step of a recurrent layer."""

    def __init__(self, mode, input_size, hidden_size, bias, dtype):
        name, counts = type(self).__name__, {"input_size": input_size, "hidden_size": hidden_size}
        refuse(name, *(f"{n} must be a whole number, got {v!r}" for n, v in counts.items() if not hasattr(v, "__index__")), kind=TypeError)
        refuse(name, *(f"{n} must not be negative, got {v}" for n, v in counts.items() if v < 0))
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        init, rows = uniform(1 / math.sqrt(hidden_size) if hidden_size else 0.0), _GATES[mode] * hidden_size
        self.weight_ih, self.weight_hh = Parameter((rows, input_size), init, dtype), Parameter((rows, hidden_size), init, dtype)
        self.bias_ih, self.bias_hh = (Parameter((rows,), init, dtype) if bias else None for _ in range(2))
        self._function = getattr(F, f"{mode.lower()}_cell")

    def forward(self, input, hx=None):
        return self._function(input, self._zeros(input) if hx is None else hx, self.weight_ih, self.weight_hh, self.bias_ih, self.bias_hh)

    def _zeros(self, input):
        return jnp.zeros((*self._shape(input)[:-1], self.hidden_size), input.dtype)

    def extra_repr(self):
        return f"{self.input_size}, {self.hidden_size}" + ("" if self.bias is True else f", bias={self.bias}")


class RNNCell(_Cell):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or max(..., 0) with nonlinearity="relu".

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), or None for zeros -> h' like hx. Weights and biases U(±1/√H) at first.
    Formula and backward: see `bpjax.functional.rnn_tanh_cell` and `rnn_relu_cell`.
    Errors: ValueError for another shape or nonlinearity, TypeError for several dtypes.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.RNNCell(3, 4)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, nonlinearity="tanh", *, dtype=None):
        self.nonlinearity = _known("RNNCell", nonlinearity)
        super().__init__(f"RNN_{nonlinearity.upper()}", input_size, hidden_size, bias, dtype)

    def extra_repr(self):
        return super().extra_repr() + ("" if self.nonlinearity == "tanh" else f", nonlinearity={self.nonlinearity}")


class LSTMCell(_Cell):
    """One step of long short-term memory: (h', c') from hx = (h, c).

    Shapes: input (N, I) or (I,), h and c (N, H) or (H,), or hx None for zeros -> (h', c') like hx. Weights and biases U(±1/√H) at first.
    Formula and backward: see `bpjax.functional.lstm_cell`.
    Errors: ValueError for another shape, TypeError for several dtypes or an hx that is no pair.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.LSTMCell(3, 4)
    >>> h, c = model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """

    def __init__(self, input_size, hidden_size, bias=True, *, dtype=None):
        super().__init__("LSTM", input_size, hidden_size, bias, dtype)

    def _zeros(self, input):
        return super()._zeros(input), super()._zeros(input)


class GRUCell(_Cell):
    """One step of a gated recurrent unit: h' from h.

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), or None for zeros -> h' like hx. Weights and biases U(±1/√H) at first.
    Formula and backward: see `bpjax.functional.gru_cell`.
    Errors: ValueError for another shape, TypeError for several dtypes.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GRUCell.html

    >>> import jax, jax.numpy as jnp
    >>> from bpjax import nn
    >>> model = nn.GRUCell(3, 4)
    >>> model.apply(model.init(jax.random.key(0)), jnp.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(self, input_size, hidden_size, bias=True, *, dtype=None):
        super().__init__("GRU", input_size, hidden_size, bias, dtype)


def _known(name, nonlinearity):
    if nonlinearity not in ("tanh", "relu"):
        raise ValueError(f"{name}: nonlinearity must be 'tanh' or 'relu', got {nonlinearity!r}")
    return nonlinearity
