"""The cross-entropy of logits x Wᵀ + b that are never there all at once.

Of inputs of 16 bits the loss is computed and returned in float32 (see `_shared/reduction.py`).
"""

import dataclasses
import math
import re
from functools import partial

import jax
import jax.numpy as jnp
from jax import lax

from ..engine import added_up, along, by_platform, op, shared
from ._shared.checks import at_least_float32, floating, one_dtype, refuse, wide
from ._shared.chunks import even_rows, in_chunks
from ._shared.reduction import reduction_of
from ._shared.sizes import is_known
from .cross_entropy import (
    class_axis,
    class_gradients,
    class_losses,
    class_probabilities,
    class_spread,
    cross_entropy,
    divisor,
    loss_dtype,
    row_weights,
    through_divisor,
)
from .linear import linear

__all__ = ["linear_cross_entropy"]


@dataclasses.dataclass(frozen=True)
class LinearCrossEntropyOptions:
    """How `linear_cross_entropy` goes over its rows in blocks, with PyTorch's names.

    Args:
        allow_retain_graph: means nothing here.
        batch_chunk_size: rows of a block. None leaves it to `chunking_method`.
        chunking_method: "aspect_ratio" makes the logits of a block about as large as the input, "aspect_ratio:n" an n-th of that; None
            takes all rows at once; "auto" is as "aspect_ratio", but with at least 128 rows and, up to a quarter of all rows, at least
            2²¹ logits, since smaller blocks are slow. Elsewhere than on a CPU "auto" takes six blocks, fewer and more so that they have
            2²¹ to 2²⁴ logits, and at least as many as the weight has values.
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

    def block_rows(self, rows: int, in_features: int, logits: int, on_cpu: bool = True) -> int:
        """The rows of a block, for so many rows of the input and logits for each, on a CPU or elsewhere."""
        size, method = self.batch_chunk_size, self.chunking_method
        if not is_known(rows):  # a scan over blocks needs their number
            return rows
        if method is None or method == "auto" and size is not None:
            chosen = rows if size is None else size
        else:
            as_input = -(-rows // -(-logits // max(in_features, 1)))
            if method == "auto" and not on_cpu:
                most = min(max(rows * logits // 6, 2**21), 2**24)
                chosen = max(even_rows(rows, rows * logits, most), in_features)
            elif method == "auto":
                chosen = max(as_input, min(2**21 // max(logits, 1), rows // 4), 128)
            else:
                chosen = _power_of_2(as_input) // int(method.partition(":")[2] or 1)
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
    """`cross_entropy` of the logits z = x Wᵀ + b, which the backward recomputes block by block.

    Shapes: input x (in,) or (N, in); linear_weight W (C, in), or (C, d1, ..., in) for losses of N times d1 ... positions; linear_bias
    of W's shape without in, or None; target and weight as in `cross_entropy` of logits (N, C, d1, ...) -> scalar, or the losses with
    reduction="none". `options` (`nn.LinearCrossEntropyOptions`) say how many rows make a block.
    Backward: dz as in `cross_entropy`, of one block of rows after the other;  dx = dz W;  dW = Σ dzᵀ x and db = Σ dz over the blocks.
    A reduced loss has them made in the forward, from the same block of z, and scaled by dy. Of losses without reduction each row's
    maximum m and s = Σ exp(z - m) are kept, and z is recomputed. There is never more than one block of z.
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
    _logits_shape(input, linear_weight, target, linear_bias, weight, reduction, ignore_index, label_smoothing)
    arrays = input, linear_weight, target, linear_bias, weight
    how = {"ignore_index": _ignored(ignore_index), "eps": label_smoothing, "options": options, "classes": len(linear_weight)}
    axes, of_losses, of_rows = _axes(*arrays, label_smoothing)
    if reduction == "none":
        losses, m, s = shared(partial(_on_platforms, _losses, **how), arrays, axes, (of_losses, of_rows, of_rows))
        return losses.astype(loss_dtype(input, target, weight)), {"arrays": arrays, "of_rows": (m, s), "how": how}
    how |= {"count": math.prod(input.shape[:-1] + linear_weight.shape[1:-1]), "reduction": reduction}
    y, *gradients = shared(partial(_on_platforms, _loss_and_gradients, **how), arrays, axes, ((), *axes))
    dtypes = [None if a is None else a.dtype for a in arrays]
    return y.astype(loss_dtype(input, target, weight)), {"gradients": tuple(gradients), "dtypes": dtypes}


@linear_cross_entropy.def_backward
def _(saved, dy):
    if "gradients" not in saved:
        axes, of_losses, of_rows = _axes(*saved["arrays"], saved["how"]["eps"])
        given = (*saved["arrays"], *saved["of_rows"], dy), (*axes, of_rows, of_rows, of_losses)
        return tuple(shared(partial(_on_platforms, _gradients, **saved["how"]), *given, axes))
    scaled = (None if d is None else at_least_float32(dy) * d for d in saved["gradients"])
    return tuple(None if d is None else d.astype(dtype) for d, dtype in zip(scaled, saved["dtypes"]))


def _axes(x, W, t, b, w, eps):
    """What the devices may share of the arguments, of the losses, and of m and s: the rows; the words where a class is one of them."""
    rows = "rows" if x.ndim == 2 else None
    is_of_words = W.ndim == 2 and w is None and not eps and jnp.issubdtype(t.dtype, jnp.integer)
    words = "words" if is_of_words else None
    (of_x, of_t), (of_W, of_b), others = along(rows, x, t), along(words, W, b), [None] * (W.ndim - 2)
    return (of_x, of_W, of_t, of_b, *along(None, w)), (rows, *others)[: x.ndim + W.ndim - 3], (rows, None, *others)


def _on_platforms(f, over, *arrays, **how):
    """f in the blocks of each platform."""
    form = lambda on_cpu: partial(f, over, on_cpu=on_cpu, **how)
    return by_platform(*arrays, cpu=form(True), default=form(False))


def _losses(over, x, W, t, b, w, *, on_cpu, ignore_index, eps, options, classes):
    """The loss of each row, and its maximum m and s = Σ exp(z - m)."""
    if over["words"]:
        losses, m, s = _losses_by_words(over["words"], x, W, t, b, on_cpu, ignore_index, options, classes)
        return losses if x.ndim == 2 else losses[0], m, s

    def step(_, block):
        x, t = block
        lp, _, m, s = _probabilities(x, W, b)
        return None, (class_losses(lp, t, w, ignore_index, eps, 1)[0], m, s)

    _, (losses, m, s) = in_chunks(step, None, _own_rows(options, x, W, on_cpu), _as_rows(x, x, t), on_cpu)
    return losses if x.ndim == 2 else losses[0], m, s


def _loss_and_gradients(over, x, W, t, b, w, *, on_cpu, ignore_index, eps, options, classes, count, reduction):
    """The reduced loss, and its derivatives, which 16 bits would not hold before they are scaled: each block of logits serves for both.

    Not where devices share the words: m and s of a block are theirs together, and they are asked for them once, not for each block.
    """
    weights = row_weights(t, w, ignore_index, classes, wide(x.dtype))
    total = divisor(count, None if weights is None else added_up(weights.sum(), over["rows"]), reduction)
    scale = 1.0 if total is None else jnp.where(total == 0, 0, jnp.ones(()) / total)
    is_late = w is None and over["rows"]  # the devices then add up everything at once
    of_block, of_all_rows = (1.0, scale) if is_late else (scale, 1.0)
    words = over["words"]
    arrays, losses = _as_rows(x, x, t), None
    if words:
        losses, *of_all = _losses_by_words(words, x, W, t, b, on_cpu, ignore_index, options, classes)
        arrays = *arrays, *of_all

    def step(sums, block):
        x, t, *of_all = block
        if words:
            of_logits = _d_logits_by_words(words, _logits(x, W, b), *of_all, t, 1.0, ignore_index, classes)
            sums, of_rows = _added(sums, of_logits, x, W, b, on_cpu, of_block)
            return sums, (of_rows, None)
        lp, p, _, _ = _probabilities(x, W, b)
        sums, of_rows = _added(sums, class_gradients(lp, p, t, w, ignore_index, eps, 1, 1.0), x, W, b, on_cpu, of_block)
        return sums, (of_rows, class_losses(lp, t, w, ignore_index, eps, 1)[0])

    sums, (of_rows, of_blocks) = in_chunks(step, _zeros(W, b, w), _own_rows(options, x, W, on_cpu), arrays, on_cpu)
    losses = of_blocks if losses is None else losses
    y = added_up(losses.sum(), over["rows"])
    y = y if total is None else y / total
    _, d_total = class_spread(jnp.ones((), losses.dtype), y, total)
    dWT, db, dw = sums
    sums = dWT, db, through_divisor(dw, t, ignore_index, d_total)
    gradients = _in_shape(over, x, W, t, b, w, sums, of_rows)
    return y, *(None if d is None else of_all_rows * d for d in gradients)


def _gradients(over, x, W, t, b, w, m, s, dl, *, on_cpu, ignore_index, eps, options, classes):
    """The derivatives from those of each row's loss, the logits being recomputed."""

    def step(sums, block):
        dl, x, t, m, s = block
        z, dl = _logits(x, W, b), dl.astype(m.dtype)
        if over["words"]:
            of_logits = _d_logits_by_words(over["words"], z, m, s, t, dl, ignore_index, classes)
        else:
            of_logits = class_gradients(*class_probabilities(z, m, s), t, w, ignore_index, eps, 1, dl)
        return _added(sums, of_logits, x, W, b, on_cpu)

    blocks = *_as_rows(x, dl, x, t), m, s
    sums, of_rows = in_chunks(step, _zeros(W, b, w), _own_rows(options, x, W, on_cpu), blocks, on_cpu)
    gradients = _in_shape(over, x, W, t, b, w, sums, of_rows)
    return tuple(None if d is None else d.astype(a.dtype) for a, d in zip((x, W, t, b, w), gradients))


def _added(sums, of_logits, x, W, b, on_cpu, scale=1.0):
    """The sums dWᵀ, db, dw with those of a block of rows, times scale, and its dx and dt, from its dz, dt and dw.

    dW as its transpose: then x is transposed for the product, not the larger dz, and on a CPU behind a barrier, since XLA would do so in
    the product, which takes a quarter longer.
    """
    dz, dt, dw = of_logits
    matrix, _ = _flat(W, b)
    dz = dz.reshape(x.shape[0], len(matrix)).astype(x.dtype)
    xT = lax.optimization_barrier(x.T) if on_cpu else x.T
    of_block = _dot(xT, dz), None if b is None else _over_rows(dz, on_cpu), dw
    of_rows = _dot(dz, matrix), dt
    return jax.tree.map(lambda a, d: a + scale * d.astype(a.dtype), sums, of_block), jax.tree.map(lambda d: scale * d, of_rows)


# -- where devices share the words: each has the logits of its own --------------------------------------------------------


def _losses_by_words(words, x, W, t, b, on_cpu, ignore_index, options, classes):
    """As `_losses`: what each device's own words give, put together once for all rows."""

    def step(_, block):
        x, t = block
        z = _logits(x, W, b)
        m = z.max(1, keepdims=True)
        finite = jnp.where(m == -jnp.inf, 0, m)
        return None, (m, jnp.exp(z - finite).sum(1, keepdims=True), jnp.where(_is_own_target(words, t, len(W)), z, 0).sum(1, keepdims=True))

    _, (own_m, s, z_t) = in_chunks(step, None, _own_rows(options, x, W, on_cpu), _as_rows(x, x, t), on_cpu)
    m = lax.pmax(own_m, words)
    s, z_t = lax.psum((s * jnp.exp(own_m - m), z_t), words)
    losses, (t,) = (m + jnp.log(s) - z_t)[:, 0], _as_rows(x, t)
    return jnp.where(t == ignore_index, 0, jnp.where((t < 0) | (t >= classes), jnp.nan, losses)), m, s


def _d_logits_by_words(words, z, m, s, t, dl, ignore_index, classes):
    """dz of a device's own words, without dt and dw."""
    counts = (t != ignore_index) & (t >= 0) & (t < classes)
    dz = (jnp.exp(z - m) / s - _is_own_target(words, t, z.shape[1])) * jnp.where(counts, dl, 0)[:, None]
    return dz, None, None


def _is_own_target(words, t, own):
    """Which of the `own` words of this device is the target of each row."""
    return t[:, None] - lax.axis_index(words) * own == jnp.arange(own)


def _own_rows(options, x, W, on_cpu):
    """The rows of a block of those that this device has; how many a user gave was checked for the rows of all."""
    if options is not None and options.batch_chunk_size is not None and is_known(*x.shape[:-1]):
        return options.batch_chunk_size
    return _block_rows(options, x.shape[:-1] + W.shape[:-1], x.shape[-1], on_cpu)


def _over_rows(dz, on_cpu):
    """Σ dz over the rows, in at least float32.

    XLA:CPU goes down one column after the other, which takes ten times as long where there are 32768. Those are added up by products, of
    few rows each, since a product adds row after row and rounds each time.
    """
    if not on_cpu or dz.shape[1] < 2**14 or not is_known(*dz.shape):
        return dz.sum(0, dtype=wide(dz.dtype))
    return sum(_dot(jnp.ones(len(rows), dz.dtype), rows) for rows in jnp.split(dz, list(range(128, len(dz), 128))))


def _zeros(W, b, w):
    """Where the sums dWᵀ, db and dw begin."""
    zeros = lambda a, *shape: None if a is None else jnp.zeros(shape, wide(a.dtype))
    classes = math.prod(W.shape[:-1])
    return zeros(W, W.shape[-1], classes), zeros(b, classes), zeros(w, len(W))


def _in_shape(over, x, W, t, b, w, sums, of_rows):
    """The cotangents in the order and shapes of the arguments, in at least float32, of all devices together."""
    (dWT, db, dw), (dx, dt) = added_up(sums, over["rows"]), of_rows
    pairs = (x, added_up(dx, over["words"])), (W, dWT.T), (t, dt), (b, db), (w, dw)
    return tuple(None if d is None else d.reshape(a.shape) for a, d in pairs)


def _as_rows(x, *arrays):
    """Arrays of rows: where x is one row, with an axis for it."""
    return arrays if x.ndim == 2 else tuple(a[None] for a in arrays)


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


def _block_rows(options, shape, in_features, on_cpu=True):
    if options is not None and not isinstance(options, LinearCrossEntropyOptions):
        raise TypeError(f"linear_cross_entropy: options must be LinearCrossEntropyOptions or None, got a {type(options).__name__}")
    rows, logits = (1, shape) if len(shape) == 1 else (shape[0], shape[1:])
    return (options or LinearCrossEntropyOptions()).block_rows(rows, in_features, math.prod(logits), on_cpu)


def _ignored(ignore_index):
    return -100 if ignore_index is None else ignore_index


def _flat(linear_weight, linear_bias):
    """Weight and bias as those of a plain linear map."""
    return linear_weight.reshape(-1, linear_weight.shape[-1]), None if linear_bias is None else linear_bias.reshape(-1)


def _logits(x, W, b):
    """The logits of a block of rows (rows, C, d1, ...), in at least float32."""
    matrix, bias = _flat(W, b)
    z = _dot(x, matrix.T)
    return (z if b is None else z + bias).reshape(x.shape[0], *W.shape[:-1])


def _probabilities(x, W, b):
    """log softmax and softmax of the logits of a block of rows, and their maximum m and s = Σ exp(z - m)."""
    z = _logits(x, W, b)
    m = z.max(1, keepdims=True)
    s = jnp.exp(z - m).sum(1, keepdims=True)
    return *class_probabilities(z, m, s), m, s


def _dot(a, b):
    return jnp.dot(a, b, preferred_element_type=wide(a.dtype))
