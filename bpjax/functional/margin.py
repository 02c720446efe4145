"""Losses of margins and of embeddings. `size_average` and `reduce` are PyTorch's deprecated arguments, kept for the order.

Of inputs of 16 bits every loss is computed and returned in float32 (see `_shared/reduction.py`).
"""

import functools

import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, broadcast_shape, floating, numbers, one_dtype, one_shape, refuse, wide
from ._shared.reduction import per_element, reduced, reduction_of, size_of, unbroadcast
from .distance import pairwise_distance

# A hinge max(z, 0) is written `where(z < 0, 0, z)`: its derivative at 0 is 1, as PyTorch's clamp has it. That of the losses of classes
# is written `where(z <= 0, 0, z)`, with derivative 0 there, as PyTorch's. Both let NaN through.


@op(static=("size_average", "reduce", "reduction"))
def soft_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """l = log(1 + exp(-t x)), reduced, t being 1 or -1. Finite for every x (PyTorch overflows).

    Shapes: input (*), target which broadcasts to it -> scalar, or (*) with reduction="none".
    Backward: dx = -t σ(-t x) dl, dl being dy / n for the mean over n values;  dt = -x σ(-t x) dl.
    Errors: ValueError where the shapes do not fit, TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.soft_margin_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.soft_margin_loss(jnp.zeros(2), jnp.array([1, -1]))), 4)
    0.6931
    """
    _alike("soft_margin_loss", target, input=input)
    spread = broadcast_shape("soft_margin_loss", input=input, target=target)
    refuse("soft_margin_loss", spread != input.shape and f"expected a target that broadcasts to input {input.shape}, got {target.shape}")
    how = reduction_of("soft_margin_loss", size_average, reduce, reduction)
    return reduced(jnp.logaddexp(-target * at_least_float32(input), 0), how).astype(wide(input.dtype))


@soft_margin_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": reduction_of("soft_margin_loss", size_average, reduce, reduction)}
    return soft_margin_loss.formula(input, target, size_average, reduce, reduction), saved


@soft_margin_loss.def_backward
def _(saved, dy):
    x, t = at_least_float32(saved["x"]), saved["t"]
    d = -lax.logistic(-t * x) * per_element(dy, size_of(x, t), saved["how"])
    return unbroadcast(t * d, saved["x"]), unbroadcast(x * d, t)


@op(static=("margin", "size_average", "reduce", "reduction"))
def margin_ranking_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """l = max(0, -t (a - b) + margin), reduced, t being 1 where a should rank above b, -1 where below.

    Shapes: input1 a, input2 b and target of as many axes, which broadcast to each other -> scalar, or what they broadcast to
    with reduction="none".
    Backward: da = -t dl where l >= 0 before the maximum, else 0;  db = -da;  dt = (b - a) dl there.
    Errors: ValueError where the shapes do not fit, TypeError for inputs that are not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.margin_ranking_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.margin_ranking_loss(jnp.array([3.0, 0.0]), jnp.array([1.0, 1.0]), jnp.array([1, 1])))
    0.5
    """
    _one_rank("margin_ranking_loss", input1=input1, input2=input2, target=target)
    _alike("margin_ranking_loss", target, input1=input1, input2=input2)
    z = -target * (at_least_float32(input1) - input2) + margin
    return reduced(jnp.where(z < 0, 0, z), reduction_of("margin_ranking_loss", size_average, reduce, reduction))


@margin_ranking_loss.def_forward
def _(input1, input2, target, margin, size_average, reduce, reduction):
    y = margin_ranking_loss.formula(input1, input2, target, margin, size_average, reduce, reduction)
    how = reduction_of("margin_ranking_loss", size_average, reduce, reduction)
    return y, {"a": input1, "b": input2, "t": target, "margin": margin, "how": how}


@margin_ranking_loss.def_backward
def _(saved, dy):
    a, b, t = saved["a"], saved["b"], saved["t"]
    d = at_least_float32(a) - b
    dz = jnp.where(-t * d + saved["margin"] < 0, 0, per_element(dy, size_of(a, b, t), saved["how"]))
    return unbroadcast(-t * dz, a), unbroadcast(t * dz, b), unbroadcast(-d * dz, t)


@op(static=("margin", "size_average", "reduce", "reduction"))
def hinge_embedding_loss(input, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """l = x where t = 1, max(0, margin - x) where t = -1, their sum for another t; reduced.

    Shapes: input and target, which broadcast to each other -> scalar, or what they broadcast to with reduction="none".
    Backward: dx = dl where t = 1, -dl where t = -1 and x <= margin, 0 beyond;  dt = 0.
    Errors: ValueError where the shapes do not fit, TypeError for an input that is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.hinge_embedding_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.hinge_embedding_loss(jnp.array([2.0, 0.5]), jnp.array([1, -1])))
    1.25
    """
    _alike("hinge_embedding_loss", target, input=input)
    x = at_least_float32(input)
    z = margin - x
    loss = jnp.where(target == -1, 0, x) + jnp.where((target == 1) | (z < 0), 0, z)
    return reduced(loss, reduction_of("hinge_embedding_loss", size_average, reduce, reduction))


@hinge_embedding_loss.def_forward
def _(input, target, margin, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "margin": margin, "how": reduction_of("hinge_embedding_loss", size_average, reduce, reduction)}
    return hinge_embedding_loss.formula(input, target, margin, size_average, reduce, reduction), saved


@hinge_embedding_loss.def_backward
def _(saved, dy):
    x, t = saved["x"], saved["t"]
    dl = per_element(dy, size_of(x, t), saved["how"])
    dx = jnp.where(t == -1, 0, dl) - jnp.where((t == 1) | (saved["margin"] - at_least_float32(x) < 0), 0, dl)
    return unbroadcast(dx, x), unbroadcast(jnp.zeros(t.shape), t)


def _alike(name, target, **inputs):
    broadcast_shape(name, **inputs, target=target)
    floating(name, **inputs)
    numbers(name, target=target)


def _one_rank(name, **arrays):
    got = ", ".join(f"{n} {a.shape}" for n, a in arrays.items())
    refuse(name, len({a.ndim for a in arrays.values()}) > 1 and f"expected arrays of one number of axes, got {got}")


# -- of classes --------------------------------------------------------------------------------------------------------


@op(static=("p", "margin", "size_average", "reduce", "reduction"))
def multi_margin_loss(input, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"):
    """l = w_t Σ_{j ≠ t} max(0, margin - x_t + x_j)^p / C, reduced, t being the class of the row and p 1 or 2.

    Shapes: input (N, C), (C,) or () for one class, target (N,) or (), weight (C,) or None -> scalar, or the target's shape with
    reduction="none".
    Backward: with h_j = p max(0, margin - x_t + x_j)^(p-1), 0 for j = t and from the edge on: dx_j = w_t/C h_j dl, dx_t = -w_t/C Σ h dl;
    dw_c = Σ l/w_t dl over the rows of class c.
    Errors: ValueError where the shapes do not fit or p is neither 1 nor 2, TypeError for a target that is not of integers, or an input and
    weight not of one floating dtype. A class outside [0, C) gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.multi_margin_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.multi_margin_loss(jnp.array([[0.1, 0.2, 0.4, 0.8]]), jnp.array([3]))), 4)
    0.325
    """
    _classes("multi_margin_loss", input, target)
    one_dtype("multi_margin_loss", input=input, weight=weight)
    rows, C = input.shape[:-1], _class_count(input)
    refuse(
        "multi_margin_loss",
        p not in (1, 2) and f"p must be 1 or 2, got {p}",
        target.shape not in ([rows] if rows else [(), (1,)])
        and f"for an input of shape {input.shape} expected a target of shape {rows}, got {target.shape}",
        weight is not None and weight.shape != (C,) and f"expected a weight of shape ({C},), got {weight.shape}",
    )
    hit, _, z = _above_the_target(input, target, margin)
    loss = (z if p == 1 else z * z).sum(-1) / C
    if weight is not None:
        loss = loss * jnp.where(hit, weight, 0).sum(-1)
    return reduced(loss.reshape(target.shape), reduction_of("multi_margin_loss", size_average, reduce, reduction))


@multi_margin_loss.def_forward
def _(input, target, p, margin, weight, size_average, reduce, reduction):
    y = multi_margin_loss.formula(input, target, p, margin, weight, size_average, reduce, reduction)
    saved = {"x": input, "t": target, "w": weight, "p": p, "margin": margin}
    return y, {**saved, "how": reduction_of("multi_margin_loss", size_average, reduce, reduction)}


@multi_margin_loss.def_backward
def _(saved, dy):
    x, t, w, p = (saved[k] for k in ("x", "t", "w", "p"))
    hit, over, z = _above_the_target(x, t, saved["margin"])
    dl = per_element(dy, t.size, saved["how"]).reshape(-1, 1) / _class_count(x)
    dw = None if w is None else jnp.where(hit, (z if p == 1 else z * z).sum(-1, keepdims=True) * dl, 0).sum(0)
    h = (over if p == 1 else 2 * z) * dl
    if w is not None:
        h = h * jnp.where(hit, w, 0).sum(-1, keepdims=True)
    dx = jnp.where(hit, -h.sum(-1, keepdims=True), h)
    return dx.reshape(x.shape).astype(x.dtype), None, unbroadcast(dw, w)


def _above_the_target(input, target, margin):
    """Rows by classes: where the target stands, where another class comes over its value less the margin, and how far."""
    C = _class_count(input)
    x, t = at_least_float32(input).reshape(-1, C), _counted_from_0(target, C).reshape(-1, 1)
    hit = t == jnp.arange(C)
    z = margin - _value_at(x, t) + x
    over = ~hit & ~(z <= 0)
    return hit, over, jnp.where(over, z, 0)


def _counted_from_0(target, C):
    return jnp.where(target < 0, C, target)  # a negative class is outside, instead of counting from the end


def _value_at(x, classes):
    """The values of these classes in each row; NaN for a class outside."""
    return jnp.take_along_axis(x, classes, -1, mode="fill", fill_value=jnp.nan)


@op(static=("size_average", "reduce", "reduction"))
def multilabel_margin_loss(input, target, size_average=None, reduce=None, reduction="mean"):
    """l = Σ_{k, j} max(0, 1 - x_k + x_j) / C, reduced, over the row's labels k and the classes j that are none of them.

    The labels are the entries of the target before its first -1.

    Shapes: input and target (N, C), (C,) or () for one class -> scalar, or (N,) or () with reduction="none".
    Backward: dx_j = n_j/C dl, n_j the labels k with x_j > x_k - 1;  dx_k = -n_k/C dl, n_k the classes j likewise. Only x is kept.
    Errors: ValueError where the shapes do not fit, TypeError for a target that is not of integers or an input that is not of floats.
    A label outside [-1, C) gives NaN (PyTorch raises).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.multilabel_margin_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> round(float(F.multilabel_margin_loss(jnp.array([[0.1, 0.2, 0.4, 0.8]]), jnp.array([[3, 0, -1, 1]]))), 4)
    0.85
    """
    _classes("multilabel_margin_loss", input, target)
    one_shape("multilabel_margin_loss", input=input, target=target)
    _, labels, others = _labels_and_others(input, target)

    def add(total, label):  # a label at a time: all of them by all classes would not fit where these are many
        z = 1 - label[:, None] + others
        return total + jnp.where(z <= 0, 0, z).sum(-1), None

    loss = lax.scan(add, jnp.zeros(others.shape[0], others.dtype), labels.T)[0] / _class_count(input)
    how = reduction_of("multilabel_margin_loss", size_average, reduce, reduction)
    return reduced(loss.reshape(input.shape[:-1]), how)


@multilabel_margin_loss.def_forward
def _(input, target, size_average, reduce, reduction):
    saved = {"x": input, "t": target, "how": reduction_of("multilabel_margin_loss", size_average, reduce, reduction)}
    return multilabel_margin_loss.formula(input, target, size_average, reduce, reduction), saved


@multilabel_margin_loss.def_backward
def _(saved, dy):
    x, C = saved["x"], _class_count(saved["x"])
    t, labels, others = _labels_and_others(x, saved["t"])

    def count(n, label):
        over = ~(1 - label[:, None] + others <= 0)
        return n + over, over.sum(-1, dtype=n.dtype)

    n_of_others, n_of_labels = lax.scan(count, jnp.zeros(others.shape, jnp.int32), labels.T)
    n = n_of_others.at[_rows(t), t].add(-n_of_labels.T)
    dl = per_element(dy, x.size // C, saved["how"]).reshape(-1, 1) / C
    return (n * dl).reshape(x.shape).astype(x.dtype), None


def _labels_and_others(input, target):
    """In rows: the labels, their values, and the values of the other classes; infinite, and so never over, what is none of them."""
    C = _class_count(input)
    x, t = at_least_float32(input).reshape(-1, C), target.reshape(-1, C)
    is_label = jnp.cumsum(t == -1, -1) == 0
    t = jnp.where(is_label, _counted_from_0(t, C), C)
    others = x.at[_rows(t), t].set(-jnp.inf)
    return t, jnp.where(is_label, _value_at(x, t), jnp.inf), others


def _class_count(x):
    return x.shape[-1] if x.ndim else 1


def _rows(t):
    return jnp.arange(t.shape[0])[:, None]


def _classes(name, input, target):
    shape = input.shape
    fits = len(shape) < 3 and 0 not in shape[-1:]
    refuse(name, not fits and f"expected an input of shape (N, C), (C,) or (), C above 0, got {shape}")
    floating(name, input=input)
    if not jnp.issubdtype(target.dtype, jnp.integer):
        raise TypeError(f"{name}: expected a target of class indices (integers), got {target.dtype}")


# -- of embeddings -----------------------------------------------------------------------------------------------------


@op(static=("margin", "size_average", "reduce", "reduction"))
def cosine_embedding_loss(input1, input2, target, margin=0, size_average=None, reduce=None, reduction="mean"):
    """l = 1 - c where t = 1, max(0, c - margin) where t = -1, 0 for another t; reduced, c = a·b / √((a·a + 1e-12)(b·b + 1e-12)).

    Shapes: input1 a and input2 b (N, D) or (D,), which broadcast to each other, target (N,), (1,) or () -> scalar, or (N,) or ()
    with reduction="none".
    Backward: dc = -dl where t = 1, dl where t = -1 and c >= margin, else 0;  with r = 1/√(a·a + 1e-12), s = 1/√(b·b + 1e-12):
    da = r (s b - c r a) dc;  db = s (r a - c s b) dc;  dt = 0.
    Errors: ValueError where the shapes do not fit, TypeError for inputs that are not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.cosine_embedding_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> float(F.cosine_embedding_loss(jnp.array([[1.0, 0.0]]), jnp.array([[0.0, 2.0]]), jnp.array([1])))
    1.0
    """
    _one_rank("cosine_embedding_loss", input1=input1, input2=input2)
    shape = broadcast_shape("cosine_embedding_loss", input1=input1, input2=input2)
    refuse(
        "cosine_embedding_loss",
        len(shape) not in (1, 2) and f"expected inputs of shape (N, D) or (D,), got {shape}",
        target.shape not in (shape[:-1], (1,) * (len(shape) - 1))
        and f"for inputs of shape {shape} expected a target of shape {shape[:-1]}, got {target.shape}",
    )
    floating("cosine_embedding_loss", input1=input1, input2=input2)
    numbers("cosine_embedding_loss", target=target)
    c, _, _ = _cosine(input1, input2)
    z = c - margin
    loss = jnp.where(target == 1, 1 - c, jnp.where((target != -1) | (z < 0), 0, z))
    return reduced(loss, reduction_of("cosine_embedding_loss", size_average, reduce, reduction))


@cosine_embedding_loss.def_forward
def _(input1, input2, target, margin, size_average, reduce, reduction):
    y = cosine_embedding_loss.formula(input1, input2, target, margin, size_average, reduce, reduction)
    c, r, s = _cosine(input1, input2)
    saved = {"a": input1, "b": input2, "t": target, "c": c, "r": r, "s": s, "margin": margin}
    return y, {**saved, "how": reduction_of("cosine_embedding_loss", size_average, reduce, reduction)}


@cosine_embedding_loss.def_backward
def _(saved, dy):
    a, b, t, c, r, s = (saved[k] for k in "abtcrs")
    dl = per_element(dy, size_of(c, t), saved["how"])
    dc = jnp.where(t == 1, -dl, jnp.where((t != -1) | (c - saved["margin"] < 0), 0, dl))[..., None]
    c, ra, sb = c[..., None], r[..., None] * a, s[..., None] * b
    da, db = r[..., None] * (sb - c * ra) * dc, s[..., None] * (ra - c * sb) * dc
    return unbroadcast(da, a), unbroadcast(db, b), unbroadcast(jnp.zeros(t.shape), t)


_EPS = float(np.float32(1e-12))  # as PyTorch has it, for float64 too


def _cosine(a, b):
    """Of the vectors along the last axis: their cosine, and the reciprocal of each length."""
    a, b = at_least_float32(a), at_least_float32(b)
    r, s = (lax.rsqrt((v * v).sum(-1) + _EPS) for v in (a, b))
    return (a * b).sum(-1) * r * s, r, s


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None, reduce=None, reduction="mean"
):
    """l = max(0, |a - p| - |a - n| + margin), reduced; |·| is the `pairwise_distance` with p and ε.

    With `swap`, min(|a - n|, |p - n|) stands for |a - n|.

    Shapes: anchor a, positive p and negative n (*, D) of as many axes, which broadcast to each other, or () -> scalar, or (*)
    with reduction="none".
    Backward: that of its parts; the derivative of a distance of 0 is 0, of the maximum at its edge 1, of a minimum of equals 1/2 each.
    Errors: ValueError where the shapes do not fit or margin is not positive, TypeError for what is not of floats.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> a, p, n = jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 3.0]]), jnp.array([[2.0, 0.0]])
    >>> round(float(F.triplet_margin_loss(a, p, n)), 4)
    2.0
    """
    arrays = {"anchor": anchor, "positive": positive, "negative": negative}
    _one_rank("triplet_margin_loss", **arrays)
    broadcast_shape("triplet_margin_loss", **arrays)
    floating("triplet_margin_loss", **arrays)
    distance = functools.partial(_distance, p=p, eps=eps)
    how = reduction_of("triplet_margin_loss", size_average, reduce, reduction)
    return _triplet("triplet_margin_loss", anchor, positive, negative, distance, margin, swap, how)


def triplet_margin_with_distance_loss(anchor, positive, negative, *, distance_function=None, margin=1.0, swap=False, reduction="mean"):
    """l = max(0, d(a, p) - d(a, n) + margin), reduced; d is the distance function, or `pairwise_distance`.

    With `swap`, min(d(a, n), d(p, n)) stands for d(a, n).

    Shapes: anchor a, positive p and negative n of as many axes as each other -> scalar, or what d returns with reduction="none".
    Backward: that of the distance function; the derivative of the maximum at its edge is 1, of a minimum of equals 1/2 each.
    Errors: ValueError where the numbers of axes differ or margin is not positive.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.triplet_margin_with_distance_loss.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> a, p, n = jnp.array([[0.0, 0.0]]), jnp.array([[0.0, 3.0]]), jnp.array([[2.0, 0.0]])
    >>> float(F.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: jnp.abs(x - y).max(-1)))
    2.0
    """
    _one_rank("triplet_margin_with_distance_loss", anchor=anchor, positive=positive, negative=negative)
    how = reduction_of("triplet_margin_with_distance_loss", None, None, reduction)
    distance = distance_function or _distance
    return _triplet("triplet_margin_with_distance_loss", anchor, positive, negative, distance, margin, swap, how)


def _distance(x1, x2, **options):
    return pairwise_distance(at_least_float32(x1), at_least_float32(x2), **options)


def _triplet(name, anchor, positive, negative, distance, margin, swap, how):
    refuse(name, not margin > 0 and f"margin must be positive, got {margin}")
    measured = lambda a, b: at_least_float32(distance(a, b))
    to_positive, to_negative = measured(anchor, positive), measured(anchor, negative)
    if swap:
        to_negative = jnp.minimum(to_negative, measured(positive, negative))
    z = margin + to_positive - to_negative
    return reduced(jnp.where(z < 0, 0, z), how)
