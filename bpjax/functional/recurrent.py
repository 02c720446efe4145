"""Recurrent layers: back-propagation through time, written out.

A function is one layer in one direction over all steps; `..._cell` is one step of it. The reverse scan gives only dz, the cotangent
of what the gates are made of; every product with it is then one over all steps.
"""

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import by_platform, op
from ._shared.checks import floating, one_dtype, refuse

# -- RNN ---------------------------------------------------------------------------------------------------------------


@op(static=("reverse",))
def rnn_tanh(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, reverse=False):
    """h_t = tanh(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh); with `reverse` from the last step to the first.

    Shapes: input (T, *, I), hx = h_0 (*, H), weight_ih (H, I), weight_hh (H, H), biases (H,) or None
    -> all h_t (T, *, H), and the last one computed (*, H).
    Backward: against the direction of the steps, dh being what later steps send back:  dz_t = (dy_t + dh) (1 - h_t²),  dh = dz_t W_hh.
    After the scan:  dx = dz W_ih,  dW_ih = Σ dz_tᵀ x_t,  dW_hh = Σ dz_tᵀ h_{t-1},  db = Σ dz_t;  dh_0 is the last dh.
    Errors: ValueError where shapes do not fit or T is 0, TypeError for several dtypes or integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNN.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> output, h_n = F.rnn_tanh(jnp.ones((5, 2, 3)), jnp.zeros((2, 4)), jnp.ones((4, 3)), jnp.ones((4, 4)))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (2, 4))
    """
    return _rnn("rnn_tanh", jnp.tanh, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse)


@rnn_tanh.def_forward
def _(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse):
    return _rnn_forward("rnn_tanh", jnp.tanh, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse)


@rnn_tanh.def_backward
def _(saved, dy):
    return _rnn_backward(lambda dh, h: dh * (1 - h) * (1 + h), saved, dy)


@op(static=("reverse",))
def rnn_relu(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, reverse=False):
    """h_t = max(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh, 0), with derivative 0 at 0; else as `rnn_tanh`.

    Shapes: as `rnn_tanh`.
    Backward: as `rnn_tanh`, but dz_t = dy_t + dh where h_t > 0, else 0.
    Errors: as `rnn_tanh`.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNN.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> output, h_n = F.rnn_relu(jnp.ones((3, 1)), jnp.zeros(1), jnp.ones((1, 1)), jnp.ones((1, 1)))
    >>> output.tolist(), h_n.tolist()
    ([[1.0], [2.0], [3.0]], [3.0])
    """
    return _rnn("rnn_relu", _relu, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse)


@rnn_relu.def_forward
def _(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse):
    return _rnn_forward("rnn_relu", _relu, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse)


@rnn_relu.def_backward
def _(saved, dy):
    return _rnn_backward(lambda dh, h: jnp.where(h <= 0, 0, dh), saved, dy)


def _relu(z):
    return jnp.where(z <= 0, 0, z)


def _rnn(name, activation, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, over_time=lax.scan):
    _check(name, 1, _SEQUENCE, input, {"hx": hx}, weight_ih, weight_hh, bias_ih, bias_hh)

    def step(h, x):
        h = activation(_affine(x, weight_ih, bias_ih) + _affine(h, weight_hh, bias_hh))
        return h, h

    h_n, h = over_time(step, hx, input, reverse=reverse)
    return h, h_n


def _rnn_forward(name, activation, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse):
    h, h_n = _rnn(name, activation, input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, _over_time)
    saved = {"x": input, "h_0": hx, "h": h, "W_ih": weight_ih, "W_hh": weight_hh, "reverse": reverse}
    return (h, h_n), saved | _biases_given(bias_ih, bias_hh)


def _rnn_backward(through_activation, saved, dy):
    h, W_hh = saved["h"], saved["W_hh"]

    def step(dh, at):
        h, dy = at
        dz = through_activation(dy + dh, h)
        return dz @ W_hh, dz

    dy, dh_n = dy
    dh_0, dz = _over_time(step, dh_n, (h, dy), reverse=not saved["reverse"])
    dW_ih, db = _over_steps(saved["x"], dz)
    dW_hh, _ = _over_steps(_before(saved["h_0"], h, saved["reverse"]), dz)
    return dz @ saved["W_ih"], dh_0, dW_ih, dW_hh, *_where_given(saved, db, db)


# -- LSTM --------------------------------------------------------------------------------------------------------------


@op(static=("reverse", "memory"))
def lstm(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, weight_hr=None, reverse=False, memory="fast"):
    """z_t = x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh, in four parts z_i, z_f, z_g, z_o;  i, f, o = σ(z_i, z_f, z_o),  g = tanh(z_g);
    c_t = f c_{t-1} + i g,  m_t = o tanh(c_t),  h_t = m_t W_hrᵀ, or m_t without weight_hr; with `reverse` from the last step to the first.

    Shapes: input (T, *, I), hx = (h_0 (*, P), c_0 (*, H)), weight_ih (4H, I), weight_hh (4H, P), biases (4H,) or None,
    weight_hr (P, H), or None with P = H -> all h_t (T, *, P), and the pair of the last h (*, P) and c (*, H).
    Backward: against the direction of the steps, (dh, dc) being what later steps send back, with dh += dy_t and dm = dh W_hr:
    dz_o = dm tanh(c) o (1 - o),  dc += dm o (1 - tanh²(c)),  dz_i = dc g i (1 - i),  dz_f = dc c_{t-1} f (1 - f),
    dz_g = dc i (1 - g²);  then dc = dc f,  dh = dz W_hh.
    After the scan:  dx = dz W_ih,  dW_ih = Σ dz_tᵀ x_t,  dW_hh = Σ dz_tᵀ h_{t-1},  db = Σ dz_t,  dW_hr = Σ dh_tᵀ m_t;
    dh_0 and dc_0 are the last dh and dc. With memory="fast" i, f, g and o of all steps are kept; with "lean" each step makes them again
    from x_t and h_{t-1}, one more product with W_ih and one with W_hh.
    Errors: ValueError where shapes do not fit or T is 0, or for another `memory`; TypeError for several dtypes, integers, or an hx that is
    no pair.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LSTM.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> hx = jnp.zeros((2, 4)), jnp.zeros((2, 4))
    >>> output, (h_n, c_n) = F.lstm(jnp.ones((5, 2, 3)), hx, jnp.ones((16, 3)), jnp.ones((16, 4)))
    >>> output.shape, h_n.shape, c_n.shape
    ((5, 2, 4), (2, 4), (2, 4))
    """
    return _lstm(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, reverse, memory)[0]


@lstm.def_forward
def _(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, reverse, memory):
    y, gates, c_before = _lstm(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, reverse, memory, _over_time)
    saved = {"x": input, "h_0": hx[0], "h": y[0], "c_before": c_before, "reverse": reverse}
    saved |= {"gates": gates} if memory == "fast" else {"b_ih": bias_ih, "b_hh": bias_hh}
    saved |= {"W_ih": weight_ih, "W_hh": weight_hh, "W_hr": weight_hr}
    return y, saved | _biases_given(bias_ih, bias_hh)


@lstm.def_backward
def _(saved, dy):
    W_ih, W_hh, W_hr = saved["W_ih"], saved["W_hh"], saved["W_hr"]
    h_before = _before(saved["h_0"], saved["h"], saved["reverse"])

    def step(carry, at):
        (dh, dc), (x, h_before, c_before, gates, dy) = carry, at
        i, f, g, o = _lstm_gates(x, h_before, W_ih, W_hh, saved["b_ih"], saved["b_hh"]) if gates is None else gates
        dh = dy + dh
        dm = dh if W_hr is None else dh @ W_hr
        tanh_c = jnp.tanh(f * c_before + i * g)
        dc = dc + dm * o * (1 - tanh_c) * (1 + tanh_c)
        dz_i, dz_f, dz_g = dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g) * (1 + g)
        dz = jnp.concatenate([dz_i, dz_f, dz_g, dm * tanh_c * o * (1 - o)], -1)
        return (dz @ W_hh, dc * f), (dz, None if W_hr is None else (o * tanh_c, dh))

    dy, last = dy
    steps = saved["x"], h_before, saved["c_before"], saved.get("gates"), dy
    dhx, (dz, projected) = _over_time(step, last, steps, reverse=not saved["reverse"])
    dW_ih, db = _over_steps(saved["x"], dz)
    dW_hh, _ = _over_steps(h_before, dz)
    dW_hr = None if W_hr is None else _over_steps(*projected)[0]
    return dz @ W_ih, dhx, dW_ih, dW_hh, *_where_given(saved, db, db), dW_hr


def _lstm(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, reverse, memory, over_time=lax.scan):
    """The outputs, and of each step the gates and the c before it."""
    _check("lstm", 4, _SEQUENCE, input, _pair("lstm", hx), weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, memory)

    def step(state, x):
        h, c_before = state
        i, f, g, o = _lstm_gates(x, h, weight_ih, weight_hh, bias_ih, bias_hh)
        c = f * c_before + i * g
        m = o * jnp.tanh(c)
        h = m if weight_hr is None else m @ weight_hr.T
        return (h, c), (h, (i, f, g, o), c_before)

    last, (h, gates, c_before) = over_time(step, hx, input, reverse=reverse)
    return (h, last), gates, c_before


def _lstm_gates(x, h, W_ih, W_hh, b_ih, b_hh):
    """i, f, g and o of one step."""
    i, f, g, o = jnp.split(_affine(x, W_ih, b_ih) + _affine(h, W_hh, b_hh), 4, -1)
    return lax.logistic(i), lax.logistic(f), jnp.tanh(g), lax.logistic(o)


# -- GRU ---------------------------------------------------------------------------------------------------------------


@op(static=("reverse", "memory"))
def gru(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None, reverse=False, memory="fast"):
    """u_t = x_t W_ihᵀ + b_ih and v_t = h_{t-1} W_hhᵀ + b_hh, each in three parts;  r = σ(u_r + v_r),  z = σ(u_z + v_z),
    n = tanh(u_n + r v_n),  h_t = (1 - z) n + z h_{t-1}; with `reverse` from the last step to the first.

    Shapes: input (T, *, I), hx = h_0 (*, H), weight_ih (3H, I), weight_hh (3H, H), biases (3H,) or None
    -> all h_t (T, *, H), and the last one computed (*, H).
    Backward: against the direction of the steps, dh being what later steps send back, with dh += dy_t:
    du_n = dh (1 - z) (1 - n²),  du_z = dv_z = dh (h_{t-1} - n) z (1 - z),  du_r = dv_r = du_n v_n r (1 - r),  dv_n = du_n r;
    then dh = dh z + dv W_hh.
    After the scan:  dx = du W_ih,  dW_ih = Σ du_tᵀ x_t,  db_ih = Σ du_t;  dW_hh = Σ dv_tᵀ h_{t-1},  db_hh = Σ dv_t;
    dh_0 is the last dh. With memory="fast" r, z, n and v_n of all steps are kept; with "lean" each step makes them again from x_t and
    h_{t-1}, one more product with W_ih and one with W_hh.
    Errors: ValueError where shapes do not fit or T is 0, or for another `memory`; TypeError for several dtypes or integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GRU.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> output, h_n = F.gru(jnp.ones((5, 2, 3)), jnp.zeros((2, 4)), jnp.ones((12, 3)), jnp.ones((12, 4)))
    >>> output.shape, h_n.shape
    ((5, 2, 4), (2, 4))
    """
    return _gru(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, memory)[0]


@gru.def_forward
def _(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, memory):
    y, gates, h_before = _gru(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, memory, _over_time)
    saved = {"x": input, "h_before": h_before, "W_ih": weight_ih, "W_hh": weight_hh, "reverse": reverse}
    saved |= {"gates": gates} if memory == "fast" else {"b_ih": bias_ih, "b_hh": bias_hh}
    return y, saved | _biases_given(bias_ih, bias_hh)


@gru.def_backward
def _(saved, dy):
    h_before, W_ih, W_hh = saved["h_before"], saved["W_ih"], saved["W_hh"]

    def step(dh, at):
        x, h_before, gates, dy = at
        r, z, n, v_n = _gru_gates(x, h_before, W_ih, W_hh, saved["b_ih"], saved["b_hh"]) if gates is None else gates
        dh = dy + dh
        du_n = dh * (1 - z) * (1 - n) * (1 + n)
        d_r, d_z = du_n * v_n * r * (1 - r), dh * (h_before - n) * z * (1 - z)
        d_rz, dv_n = jnp.concatenate([d_r, d_z], -1), du_n * r
        return dh * z + jnp.concatenate([d_rz, dv_n], -1) @ W_hh, (d_rz, du_n, dv_n)

    dy, dh_n = dy
    steps = saved["x"], h_before, saved.get("gates"), dy
    dh_0, (d_rz, du_n, dv_n) = _over_time(step, dh_n, steps, reverse=not saved["reverse"])
    W_rz, W_n = jnp.split(W_ih, [d_rz.shape[-1]])
    dW_ih, db_ih = _over_steps(saved["x"], d_rz, du_n)
    dW_hh, db_hh = _over_steps(h_before, d_rz, dv_n)
    return d_rz @ W_rz + du_n @ W_n, dh_0, dW_ih, dW_hh, *_where_given(saved, db_ih, db_hh)


def _gru(input, hx, weight_ih, weight_hh, bias_ih, bias_hh, reverse, memory, over_time=lax.scan):
    """The outputs, and of each step r, z, n, v_n and the h before it."""
    _check("gru", 3, _SEQUENCE, input, {"hx": hx}, weight_ih, weight_hh, bias_ih, bias_hh, memory=memory)

    def step(h_before, x):
        r, z, n, v_n = _gru_gates(x, h_before, weight_ih, weight_hh, bias_ih, bias_hh)
        h = (1 - z) * n + z * h_before
        return h, (h, (r, z, n, v_n), h_before)

    h_n, (h, gates, h_before) = over_time(step, hx, input, reverse=reverse)
    return (h, h_n), gates, h_before


def _gru_gates(x, h, W_ih, W_hh, b_ih, b_hh):
    """r, z, n and v_n of one step."""
    u_r, u_z, u_n = jnp.split(_affine(x, W_ih, b_ih), 3, -1)
    v_r, v_z, v_n = jnp.split(_affine(h, W_hh, b_hh), 3, -1)
    r, z = lax.logistic(u_r + v_r), lax.logistic(u_z + v_z)
    return r, z, jnp.tanh(u_n + r * v_n), v_n


# -- one step ----------------------------------------------------------------------------------------------------------


def rnn_tanh_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `rnn_tanh`: h' = tanh(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh).

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), the others as in `rnn_tanh` -> h' like hx.
    Backward: that of `rnn_tanh`.
    Errors: ValueError where shapes do not fit, TypeError for several dtypes or integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rnn_tanh_cell(jnp.ones((2, 3)), jnp.zeros((2, 4)), jnp.ones((4, 3)), jnp.ones((4, 4))).shape
    (2, 4)
    """
    _check("rnn_tanh_cell", 1, _STEP, input, {"hx": hx}, w_ih, w_hh, b_ih, b_hh)
    return rnn_tanh(input[None], hx, w_ih, w_hh, b_ih, b_hh)[1]


def rnn_relu_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `rnn_relu`: h' = max(x W_ihᵀ + b_ih + h W_hhᵀ + b_hh, 0).

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), the others as in `rnn_relu` -> h' like hx.
    Backward: that of `rnn_relu`.
    Errors: ValueError where shapes do not fit, TypeError for several dtypes or integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNNCell.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rnn_relu_cell(jnp.ones(1), jnp.ones(1), jnp.ones((1, 1)), jnp.ones((1, 1))).tolist()
    [2.0]
    """
    _check("rnn_relu_cell", 1, _STEP, input, {"hx": hx}, w_ih, w_hh, b_ih, b_hh)
    return rnn_relu(input[None], hx, w_ih, w_hh, b_ih, b_hh)[1]


def lstm_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `lstm`: (h', c') from hx = (h, c).

    Shapes: input (N, I) or (I,), h and c (N, H) or (H,), the others as in `lstm` -> h' and c' like h.
    Backward: that of `lstm`.
    Errors: ValueError where shapes do not fit, TypeError for several dtypes, integers, or an hx that is no pair.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.LSTMCell.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> h, c = F.lstm_cell(jnp.ones((2, 3)), (jnp.zeros((2, 4)), jnp.zeros((2, 4))), jnp.ones((16, 3)), jnp.ones((16, 4)))
    >>> h.shape, c.shape
    ((2, 4), (2, 4))
    """
    hx = tuple(hx) if isinstance(hx, list) else hx
    _check("lstm_cell", 4, _STEP, input, _pair("lstm_cell", hx), w_ih, w_hh, b_ih, b_hh)
    return lstm(input[None], hx, w_ih, w_hh, b_ih, b_hh)[1]


def gru_cell(input, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of `gru`: h' from h.

    Shapes: input (N, I) or (I,), hx (N, H) or (H,), the others as in `gru` -> h' like hx.
    Backward: that of `gru`.
    Errors: ValueError where shapes do not fit, TypeError for several dtypes or integers.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.GRUCell.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.gru_cell(jnp.ones((2, 3)), jnp.zeros((2, 4)), jnp.ones((12, 3)), jnp.ones((12, 4))).shape
    (2, 4)
    """
    _check("gru_cell", 3, _STEP, input, {"hx": hx}, w_ih, w_hh, b_ih, b_hh)
    return gru(input[None], hx, w_ih, w_hh, b_ih, b_hh)[1]


# -- what they share ---------------------------------------------------------------------------------------------------


UNROLLED = 8  # steps, elsewhere than on a CPU: where each turn of a loop costs as much as several kernels


def _over_time(step, start, steps, *, reverse):
    """The scan over all steps."""
    form = lambda unroll: lambda start, steps: lax.scan(step, start, steps, reverse=reverse, unroll=unroll)
    return by_platform(start, steps, cpu=form(1), default=form(UNROLLED))


def _affine(x, W, b):
    return x @ W.T if b is None else x @ W.T + b


def _before(h_0, h, reverse):
    """The h before each step."""
    return jnp.concatenate([h[1:], h_0[None]] if reverse else [h_0[None], h[:-1]])


def _over_steps(x, *parts):
    """The cotangents of W and b in z = x Wᵀ + b, over all steps and the batch, from that of z in parts (joined they would be copied)."""
    leading = tuple(range(x.ndim - 1))
    dW, db = [jnp.tensordot(dz, x, axes=(leading, leading)) for dz in parts], [dz.sum(leading) for dz in parts]
    return jnp.concatenate(dW), jnp.concatenate(db)


def _biases_given(bias_ih, bias_hh):
    return {"biases_given": (bias_ih is not None, bias_hh is not None)}


def _where_given(saved, db_ih, db_hh):
    return [db if given else None for db, given in zip((db_ih, db_hh), saved["biases_given"])]


# -- what they refuse --------------------------------------------------------------------------------------------------

_SEQUENCE, _STEP = "(T, *, I) of at least one step", "(N, I) or (I,)"


def _pair(name, hx):
    """The states h and c by name."""
    if not isinstance(hx, tuple) or len(hx) != 2:
        raise TypeError(f"{name}: expected hx as a tuple of two arrays, (h, c), got shapes {jax.tree.map(jnp.shape, hx)}")
    return {"hx[0]": hx[0], "hx[1]": hx[1]}


def _check(name, gates, form, input, states, W_ih, W_hh, b_ih, b_hh, W_hr=None, memory="fast"):
    """Every mismatch in one error; the sizes are those of the weights, the batch is that of the input."""
    optional = {"bias_ih": b_ih, "bias_hh": b_hh, "weight_hr": W_hr}
    given = {"input": input, **states, "weight_ih": W_ih, "weight_hh": W_hh} | {n: a for n, a in optional.items() if a is not None}
    strange = [f"expected {n} as an array, got a {type(a).__name__}" for n, a in given.items() if not hasattr(a, "dtype")]
    refuse(name, *strange, kind=TypeError)
    one_dtype(name, **given)
    floating(name, input=input)
    is_right = input.ndim in (1, 2) if form is _STEP else input.ndim >= 2 and len(input) > 0
    matrices = [f"expected {n} of 2 axes, got shape {a.shape}" for n, a in given.items() if n.startswith("weight") and a.ndim != 2]
    wrong_memory = memory not in ("fast", "lean") and f"memory must be 'fast' or 'lean', got {memory!r}"
    refuse(name, not is_right and f"expected input {form}, got shape {input.shape}", *matrices, wrong_memory)
    batch, inputs, outputs = input.shape[form is _SEQUENCE : -1], W_ih.shape[1], W_hh.shape[1]
    hidden = outputs if W_hr is None else W_hr.shape[1]
    expected = {"weight_ih": (gates * hidden, inputs), "weight_hh": (gates * hidden, outputs), "weight_hr": (outputs, hidden)}
    expected |= {"input": (*input.shape[:-1], inputs), "bias_ih": (gates * hidden,), "bias_hh": (gates * hidden,)}
    expected |= {n: (*batch, size) for n, size in zip(states, (outputs, hidden))}
    refuse(name, *(f"expected {n} of shape {expected[n]}, got {a.shape}" for n, a in given.items() if a.shape != expected[n]))
