"""The cross-entropy of logits x Wᵀ + b that are never there all at once."""

import dataclasses
import math
import re

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import op
from .checks import floating, one_dtype, refuse
from .cross_entropy import as_dtype_of, class_axis, class_gradients, class_losses, class_reduced, class_spread, cross_entropy, loss_dtype
from .linear import linear
from .reduction import reduction_of

__all__ = ["linear_cross_entropy"]


@dataclasses.dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """How `linear_cross_entropy` goes over its rows in blocks, with PyTorch's names.

    Args:
        allow_retain_graph: means nothing here.
        batch_chunk_size: rows of a block. None leaves it to `chunking_method`.
        chunking_method: "aspect_ratio" makes the logits of a block about as large as the input, "aspect_ratio:n" an n-th of that; None
            takes all rows at once; "auto" is as "aspect_ratio", but never under 128 rows, which would be slow.
        acc_policy, acc_dtype: mean nothing here: what is summed over rows or classes is always at least float32.

    >>> LinearCrossEntropyOptions(chunking_method="aspect_ratio").block_rows(1000, 16, 64)
    256
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: jax.typing.DTypeLike | None = None

    def __post_init__(self):
        size, method = self.batch_chunk_size, self.chunking_method
        refuse(
            "LinearCrossEntropyOptions",
            not (size is None or isinstance(size, int) and size > 0) and f"batch_chunk_size must be a positive int or None, got {size!r}",
            not (method in (None, "auto") or isinstance(method, str) and re.fullmatch(r"aspect_ratio(:0*[1-9]\d*)?", method))
            and f"chunking_method must be 'auto', 'aspect_ratio', 'aspect_ratio:n' or None, got {method!r}",
            self.acc_policy not in ("auto", "accurate", "balanced", "compact")
            and f"acc_policy must be 'auto', 'accurate', 'balanced' or 'compact', got {self.acc_policy!r}",
            self.acc_dtype is not None and not _is_floating(self.acc_dtype)
            and f"acc_dtype must be a floating-point dtype or None, got {self.acc_dtype!r}",
        )  # fmt: skip

    def block_rows(self, rows: int, in_features: int, logits: int) -> int:
        """The rows of a block, for so many rows of the input and logits for each."""
        size, method = self.batch_chunk_size, self.chunking_method
        if method is None or method == "auto" and size is not None:
            chosen = rows if size is None else size
        else:
            as_input = -(-rows // -(-logits // max(in_features, 1)))
            chosen = max(as_input, 128) if method == "auto" else _power_of_2(as_input) // int(method.partition(":")[2] or 1)
        chosen = max(1, min(chosen, rows))
        if method not in (None, "auto") and size not in (None, chosen):
            raise ValueError(
                f"LinearCrossEntropyOptions: batch_chunk_size={size} and chunking_method={method!r}, which gives {chosen}, do not agree: "
                "give one of them"
            )
        return chosen


def _is_floating(dtype):
    try:
        return jnp.issubdtype(dtype, jnp.floating)
    except TypeError:
        return False


def _power_of_2(n):
    return 1 << max(n - 1, 0).bit_length()


@op(static=("reduction", "ignore_index", "label_smoothing", "options"))
def linear_cross_entropy(
    input, linear_weight, target, *, linear_bias=None, weight=None, reduction="mean", ignore_index=None, label_smoothing=0.0, options=None
):
    """`cross_entropy` of the logits z = x Wᵀ + b, which the backward makes again block by block.

    Shapes: input x (in,) or (N, in); linear_weight W (C, in), or (C, d1, ..., in) for losses of N times d1 ... positions; linear_bias
    of W's shape without in, or None; target and weight as in `cross_entropy` of logits (N, C, d1, ...) -> scalar, or the losses with
    reduction="none". `options` (`nn.LinearCrossEntropyOptions`) say how many rows make a block.
    Backward: dz as in `cross_entropy`, of one block of rows after the other;  dx = dz W;  dW = Σ dzᵀ x and db = Σ dz over the blocks.
    Of the forward, each row's maximum and log Σ exp(z - m) are kept, never more than one block of z.
    Errors: those of `linear` and `cross_entropy`; ValueError for an ignore_index with a target of probabilities, and for options that
    disagree; TypeError for other options.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.linear_cross_entropy.html, Wijmans et al. 2024 (Cut
    Cross-Entropy)

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.linear_cross_entropy(jnp.ones((2, 3)), jnp.zeros((4, 3)), jnp.array([0, 3]))), 4)
    1.3863
    """
    shape = _logits_shape(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing)
    _block_rows(options, shape, input.shape[-1])
    logits = linear(input, *_flat(linear_weight, linear_bias)).reshape(shape)
    return cross_entropy(logits, target, weight, None, _ignored(ignore_index), None, reduction, label_smoothing)


@linear_cross_entropy.def_forward
def _(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing, options):
    shape = _logits_shape(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing)
    W, b = _flat(linear_weight, linear_bias)
    x, t = (input, target) if input.ndim == 2 else (input[None], target[None])
    ignore_index = _ignored(ignore_index)
    rows = _block_rows(options, shape, x.shape[-1])

    def step(_, block):
        x, t = block
        z = _logits(x, W, b, linear_weight.shape[:-1])
        m = z.max(1, keepdims=True)
        log_s = jnp.log(jnp.exp(z - m).sum(1, keepdims=True))
        return None, (m, log_s, *class_losses(z - m - log_s, t, weight, ignore_index, label_smoothing, 1))

    _, (m, log_s, losses, weights) = _in_blocks(step, None, rows, (x, t))
    losses = losses if input.ndim == 2 else losses[0]
    y, total = class_reduced(losses, weights, reduction)
    arrays = {"x": input, "W": linear_weight, "b": linear_bias, "t": target, "w": weight, "m": m, "log_s": log_s}
    options = {"ignore_index": ignore_index, "eps": label_smoothing, "rows": rows}
    return y.astype(loss_dtype(input, target, weight)), {**arrays, "y": None if reduction == "none" else y, "total": total, **options}


@linear_cross_entropy.def_backward
def _(saved, dy):
    x, t, w, m = (saved[k] for k in "xtwm")
    W, b = _flat(saved["W"], saved["b"])
    outputs = saved["W"].shape[:-1]
    dl, d_total = class_spread(dy.astype(m.dtype), saved["y"], saved["total"])
    rows = (x, t, jnp.broadcast_to(dl, x.shape[:-1] + outputs[1:]))
    if x.ndim == 1:
        rows = tuple(a[None] for a in rows)

    def step(sums, block):
        x, t, dl, m, log_s = block
        lp = _logits(x, W, b, outputs) - m - log_s
        dz, dt, dw = class_gradients(lp, t, w, saved["ignore_index"], saved["eps"], 1, dl, d_total)
        dz = dz.reshape(len(x), len(W)).astype(x.dtype)
        of_block = (_dot(dz.T, x), None if b is None else dz.sum(0, dtype=m.dtype), dw)
        return jax.tree.map(lambda a, d: a + d.astype(a.dtype), sums, of_block), (_dot(dz, W).astype(x.dtype), as_dtype_of(t, dt))

    zeros = jax.tree.map(lambda a: jnp.zeros(a.shape, m.dtype), (W, b, w))
    (dW, db, dw), (dx, dt) = _in_blocks(step, zeros, saved["rows"], (*rows, m, saved["log_s"]))
    if x.ndim == 1:
        dx, dt = jax.tree.map(lambda a: a[0], (dx, dt))
    dW = dW.reshape(saved["W"].shape).astype(W.dtype)
    return dx, dW, dt, None if b is None else db.reshape(saved["b"].shape).astype(b.dtype), as_dtype_of(w, dw)


def _logits_shape(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing):
    """The shape (N, C, d1, ...) or (C,) of the logits, once everything fits."""
    name = "linear_cross_entropy"
    floating(name, input=input)
    one_dtype(name, input=input, linear_weight=linear_weight, linear_bias=linear_bias)
    reduction_of(name, None, None, reduction)
    if input.ndim not in (1, 2) or linear_weight.ndim < 2 or input.shape[-1] != linear_weight.shape[-1]:
        shapes = f"input {input.shape}, linear_weight {linear_weight.shape}"
        raise ValueError(f"{name}: expected input (in,) or (N, in) and linear_weight (C, in) or (C, d1, ..., in), got {shapes}")
    outputs = linear_weight.shape[:-1]
    is_index = jnp.issubdtype(target.dtype, jnp.integer)
    refuse(
        name,
        linear_bias is not None and linear_bias.shape != outputs and f"expected a linear_bias of shape {outputs}, got {linear_bias.shape}",
        input.ndim == 1 and len(outputs) > 1 and f"a linear_weight {linear_weight.shape} needs an input (N, in), got {input.shape}",
        not is_index and ignore_index is not None
        and f"ignore_index={ignore_index} has no meaning for a target of probabilities: leave it out",
    )  # fmt: skip
    shape = input.shape[:-1] + outputs
    class_axis(name, shape, input.dtype, target, weight, _ignored(ignore_index), label_smoothing)
    return shape


def _block_rows(options, shape, in_features):
    if options is not None and not isinstance(options, LinearCrossEntropyOptions):
        raise TypeError(f"linear_cross_entropy: options must be LinearCrossEntropyOptions or None, got a {type(options).__name__}")
    rows, logits = (1, shape) if len(shape) == 1 else (shape[0], shape[1:])
    return (options or LinearCrossEntropyOptions()).block_rows(rows, in_features, math.prod(logits))


def _ignored(ignore_index):
    return -100 if ignore_index is None else ignore_index


def _flat(linear_weight, linear_bias):
    """Weight and bias as those of a plain linear map."""
    return linear_weight.reshape(-1, linear_weight.shape[-1]), None if linear_bias is None else linear_bias.reshape(-1)


def _logits(x, W, b, outputs):
    """The logits of a block of rows (rows, C, d1, ...), in at least float32."""
    z = _dot(x, W.T)
    return (z if b is None else z + b).reshape(len(x), *outputs)


def _dot(a, b):
    return jnp.dot(a, b, preferred_element_type=jnp.promote_types(a.dtype, jnp.float32))


def _in_blocks(step, carry, rows, arrays):
    """`step(carry, block) -> carry, outputs` over the arrays in blocks of so many rows, the last one shorter; the outputs joined."""
    n = len(arrays[0])
    full = n - n % rows
    if n <= rows:
        return step(carry, arrays)
    blocks = jax.tree.map(lambda a: a[:full].reshape(-1, rows, *a.shape[1:]), arrays)
    carry, outputs = lax.scan(step, carry, blocks)
    outputs = jax.tree.map(lambda a: a.reshape(full, *a.shape[2:]), outputs)
    if full < n:
        carry, rest = step(carry, jax.tree.map(lambda a: a[full:], arrays))
        outputs = jax.tree.map(lambda a, b: jnp.concatenate([a, b]), outputs, rest)
    return carry, outputs
