"""Recurrent layers: back-propagation through time, written out."""

import jax.numpy as jnp
from jax import lax

from ..engine import op


@op
def rnn_tanh(input, hx, weight_ih, weight_hh, bias_ih=None, bias_hh=None):
    """h_t = tanh(x_t W_ihᵀ + b_ih + h_{t-1} W_hhᵀ + b_hh), one layer, one direction.

    Shapes: input (T, *, I), hx = h_0 (*, H), weight_ih (H, I), weight_hh (H, H), biases (H,) or None -> all h_t, (T, *, H).
    Backward: from the last step to the first, dh being what later steps send back:  dz_t = (dy_t + dh) (1 - h_t²),  dh = dz_t W_hh.
    The scan gives only dz; then each is one product over all steps:  dx = dz W_ih,  dW_ih = dzᵀ x,  dW_hh = dzᵀ h_{t-1},
    db = Σ dz,  dh_0 = the last dh.
    Errors: TypeError from JAX where shapes do not fit; `nn.RNN` says it with its path.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.RNN.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.rnn_tanh(jnp.ones((5, 2, 3)), jnp.zeros((2, 4)), jnp.ones((4, 3)), jnp.ones((4, 4))).shape
    (5, 2, 4)
    """

    def step(h, x):
        z = x @ weight_ih.T + h @ weight_hh.T
        z = z if bias_ih is None else z + bias_ih
        z = z if bias_hh is None else z + bias_hh
        h = jnp.tanh(z).astype(hx.dtype)
        return h, h

    return lax.scan(step, hx, input)[1]


@rnn_tanh.def_forward
def _(input, hx, weight_ih, weight_hh, bias_ih, bias_hh):
    h = rnn_tanh.formula(input, hx, weight_ih, weight_hh, bias_ih, bias_hh)
    biases = [None if b is None else b.dtype for b in (bias_ih, bias_hh)]
    return h, {"x": input, "h_0": hx, "h": h, "W_ih": weight_ih, "W_hh": weight_hh, "b": biases}


@rnn_tanh.def_backward
def _(saved, dy):
    x, h_0, h, W_ih, W_hh = (saved[k] for k in ("x", "h_0", "h", "W_ih", "W_hh"))

    def step(dh, at):
        h, g = at
        dz = (g + dh) * (1 - h * h)
        return (dz @ W_hh).astype(dh.dtype), dz

    dh_0, dz = lax.scan(step, jnp.zeros_like(h_0), (h, dy), reverse=True)
    before = jnp.concatenate([h_0[None], h[:-1]])
    over = tuple(range(dz.ndim - 1))
    dx = (dz @ W_ih).astype(x.dtype)
    dW_ih = jnp.tensordot(dz, x, axes=(over, over)).astype(W_ih.dtype)
    dW_hh = jnp.tensordot(dz, before, axes=(over, over)).astype(W_hh.dtype)
    db = dz.sum(over)
    return dx, dh_0, dW_ih, dW_hh, *(None if dtype is None else db.astype(dtype) for dtype in saved["b"])
