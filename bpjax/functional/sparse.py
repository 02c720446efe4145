"""Embeddings: rows of a table by index, and bags of rows; one-hot."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, one_dtype, refuse


@op(static=("padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"))
def embedding(input, weight, padding_idx=None, max_norm=None, norm_type=2.0, scale_grad_by_freq=False, sparse=False):
    """y = W[input]; the row `padding_idx` gets no gradient.

    Shapes: input (*) of integers, weight (V, D) -> (*, D).
    Backward: dW[i] = Σ of dy where input is i, zero for i = padding_idx; with scale_grad_by_freq divided by how often i is in the input.
    A scatter-add: one-hot products are 58 times slower on a CPU.
    Errors: NotImplementedError for max_norm and sparse; TypeError for indices that are not int32 or int64; ValueError where weight has not
    two axes or padding_idx lies outside. An index outside the table gives NaN (PyTorch raises; compiled code cannot).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.embedding(jnp.array([1, 0]), jnp.array([[1.0], [2.0]])).tolist()
    [[2.0], [1.0]]
    """
    _check_table("embedding", input, weight, padding_idx, max_norm, sparse)
    input = _canonical(input)
    y = _rows(weight, input, scale_grad_by_freq)
    return y if padding_idx is None else jnp.where(_is(padding_idx, input, weight.shape[0])[..., None], lax.stop_gradient(y), y)


@embedding.def_forward
def _(input, weight, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse):
    y = embedding.formula(input, weight, padding_idx, scale_grad_by_freq=scale_grad_by_freq)
    return y, {"i": input, "shape": weight.shape, "padding_idx": padding_idx, "by_freq": scale_grad_by_freq}


@embedding.def_backward
def _(saved, dy):
    i, V = _canonical(saved["i"]), saved["shape"][0]
    if saved["padding_idx"] is not None:
        i = jnp.where(_is(saved["padding_idx"], i, V), V, i)
    return None, _added_to_rows(dy, i, saved["shape"], saved["by_freq"])


@embedding.def_vmap
def _(size, mapped, input, weight, **options):
    return None if mapped["weight"] or options["scale_grad_by_freq"] else embedding(input, weight, **options)


@op(static=("max_norm", "norm_type", "scale_grad_by_freq", "mode", "sparse", "include_last_offset", "padding_idx"))
def embedding_bag(
    input,
    weight,
    offsets=None,
    max_norm=None,
    norm_type=2,
    scale_grad_by_freq=False,
    mode="mean",
    sparse=False,
    per_sample_weights=None,
    include_last_offset=False,
    padding_idx=None,
):
    """y_b = Σ W[i], the mean, or the maximum, over the indices i of each bag b without padding_idx; a bag of none gives 0.

    Shapes: input (B, N), or (n,) with offsets (B,) where the bags begin, and with include_last_offset also where the last ends; weight
    (V, D); per_sample_weights p as input or None: y_b = Σ p W[i], for the sum -> (B, D).
    Backward: dW[i] = Σ p dy_b over where i is in bag b, over the size of the bag for the mean, and with scale_grad_by_freq over how often
    i is in the input;  dp = W[i] · dy_b.  For the maximum dW gets dy_b in the first row that reaches it, and that row's index is kept.
    Errors: NotImplementedError for max_norm, sparse, and per_sample_weights of a mean or maximum; TypeError for indices that are not
    int32 or int64; ValueError for shapes or options that do not fit. An index outside the table gives NaN in its bag, offsets that
    do not ascend from 0 give NaN everywhere (PyTorch raises; compiled code cannot).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.embedding_bag.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> W = jnp.array([[1.0], [2.0], [4.0]])
    >>> F.embedding_bag(jnp.array([0, 1, 2]), W, jnp.array([0, 2]), mode="sum").tolist()
    [[3.0], [4.0]]
    """
    _check_table("embedding_bag", input, weight, padding_idx, max_norm, sparse)
    _check_bags(input, offsets, scale_grad_by_freq, mode, per_sample_weights, include_last_offset)
    one_dtype("embedding_bag", weight=weight, per_sample_weights=per_sample_weights)
    i, bag, bags, sound = _bags(input, offsets, include_last_offset, padding_idx, weight.shape[0])
    if mode == "max":
        top = _top_rows(lax.stop_gradient(weight), i, bag, bags)
        y = jnp.where(top < 0, 0, weight.at[top, jnp.arange(weight.shape[1])].get(mode="fill", fill_value=jnp.nan))
    else:
        rows = at_least_float32(_rows(weight, i, scale_grad_by_freq))
        rows = rows if per_sample_weights is None else rows * per_sample_weights.reshape(-1, 1)
        y = jnp.zeros((bags, weight.shape[1]), rows.dtype).at[bag].add(rows, mode="drop")
        y = (y / _sizes(bag, bags) if mode == "mean" else y).astype(weight.dtype)
    return jnp.where(sound, y, jnp.nan)


@embedding_bag.def_forward
def _(input, weight, offsets, per_sample_weights, **options):
    y = embedding_bag.formula(input, weight, offsets, per_sample_weights=per_sample_weights, **options)
    of_bags = input, offsets, options["include_last_offset"], options["padding_idx"]
    if options["mode"] == "max":
        return y, {"top": _top_rows(weight, *_bags(*of_bags, weight.shape[0])[:3]), "shape": weight.shape}
    saved = {"of_bags": of_bags, "shape": weight.shape, "mean": options["mode"] == "mean", "by_freq": options["scale_grad_by_freq"]}
    return y, saved | {"p": per_sample_weights, "W": None if per_sample_weights is None else weight}


@embedding_bag.def_backward
def _(saved, dy):
    shape, d = saved["shape"], at_least_float32(dy)
    if "top" in saved:
        dW = jnp.zeros(shape, d.dtype).at[_in_table(saved["top"], shape[0]), jnp.arange(shape[1])].add(d, mode="drop")
        return None, dW.astype(dy.dtype), None, None
    i, bag, bags, _ = _bags(*saved["of_bags"], shape[0])
    d = (d / _sizes(bag, bags) if saved["mean"] else d).at[bag].get(mode="fill", fill_value=0)
    p = saved["p"]
    dW = _added_to_rows(d if p is None else d * p.reshape(-1, 1), i, shape, saved["by_freq"]).astype(dy.dtype)
    dp = None if p is None else (_rows(saved["W"], i) * d).sum(-1).reshape(p.shape).astype(p.dtype)
    return None, dW, None, dp


def _check_bags(input, offsets, scale_grad_by_freq, mode, per_sample_weights, include_last_offset):
    of_offsets = "None" if offsets is None else f"shape {offsets.shape}"
    refuse(
        "embedding_bag",
        input.ndim not in (1, 2) and f"expected input (B, N) or (n,), got shape {input.shape}",
        input.ndim == 1 and (offsets is None or offsets.ndim != 1) and f"input (n,) needs offsets (B,), got {of_offsets}",
        input.ndim == 2 and offsets is not None and f"the bags of input (B, N) are its rows: leave offsets out, got {of_offsets}",
        include_last_offset and offsets is not None and offsets.size == 0 and "include_last_offset needs one offset at least",
        mode not in ("sum", "mean", "max") and f"mode must be 'sum', 'mean' or 'max', got {mode!r}",
        mode == "max" and scale_grad_by_freq and "scale_grad_by_freq has no meaning for mode='max'",
        per_sample_weights is not None
        and per_sample_weights.shape != input.shape
        and f"expected per_sample_weights of the shape of input {input.shape}, got {per_sample_weights.shape}",
    )
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(f"embedding_bag: per_sample_weights need mode='sum', got mode={mode!r}")
    if offsets is not None:
        _integers("embedding_bag: offsets", offsets)


def _bags(input, offsets, include_last_offset, padding_idx, V):
    """All indices, the bag of each, how many bags there are, and whether the offsets are sound. What is in no bag has that number."""
    i = _canonical(input).reshape(-1)
    if offsets is None:
        bags, sound = input.shape[0], True
        bag = jnp.broadcast_to(jnp.arange(bags)[:, None], input.shape).reshape(-1)
    else:
        offsets = _canonical(offsets)
        bags = len(offsets) - include_last_offset
        sound = (offsets[:1] == 0).all() & (jnp.diff(offsets) >= 0).all() & (offsets[-1:] <= len(i)).all()
        bag = jnp.searchsorted(offsets, jnp.arange(len(i)), side="right") - 1
        bag = jnp.where(sound & (bag >= 0), bag, bags)
    return i, bag if padding_idx is None else jnp.where(_is(padding_idx, i, V), bags, bag), bags, sound


def _sizes(bag, bags):
    return jnp.zeros((bags, 1), int).at[bag].add(1, mode="drop").clip(1)


def _top_rows(W, i, bag, bags):
    """Which row of the table is the first to reach the maximum, for each bag and column; -1 where the bag is empty."""
    rows = _rows(W, i)
    top = jnp.full((bags, W.shape[1]), -jnp.inf, W.dtype).at[bag].max(rows, mode="drop")
    reaches = jnp.isnan(rows) | (rows == top.at[bag].get(mode="fill", fill_value=0))
    at = jnp.where(reaches, jnp.arange(len(i))[:, None], len(i))
    first = jnp.full(top.shape, len(i)).at[bag].min(at, mode="drop")
    return jnp.append(_in_table(i, len(W)), -1)[first]


def one_hot(tensor, num_classes=-1):
    """Rows of 0 with a 1 at each class; num_classes=-1 takes as many as there are.

    Shapes: integers (*) -> integers (*, num_classes).
    Backward: none, there is nothing to differentiate.
    Errors: TypeError for classes that are not int32 or int64; ValueError for classes outside [0, num_classes), and inside `jax.jit` where
    num_classes is not given. Inside `jax.jit` a class outside gives a row of 0 (PyTorch raises; compiled code cannot).
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.one_hot.html

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> F.one_hot(jnp.array([2, 0])).tolist()
    [[0, 0, 1], [1, 0, 0]]
    """
    _integers("one_hot", tensor, "classes")
    values = None if isinstance(tensor, jax.core.Tracer) else np.asarray(tensor)
    if num_classes == -1:
        refuse("one_hot", (values is None or values.size == 0) and "num_classes cannot be read off traced or empty classes: give it")
        num_classes = int(values.max()) + 1
    refuse("one_hot", num_classes < 1 and f"num_classes must be positive, got {num_classes}")
    if values is not None and not ((values >= 0) & (values < num_classes)).all():
        raise ValueError(f"one_hot: expected classes in [0, {num_classes}), got {values.min()} to {values.max()}")
    return (_canonical(tensor)[..., None] == jnp.arange(num_classes)).astype(int)


# -- what they share ---------------------------------------------------------------------------------------------------


def _check_table(name, i, W, padding_idx, max_norm, sparse):
    if max_norm is not None or sparse:
        raise NotImplementedError(f"{name}: max_norm (which changes the weight) and sparse gradients are not supported: leave them out")
    _integers(name, i)
    floating(name, weight=W)
    refuse(name, W.ndim != 2 and f"expected weight (V, D), got shape {W.shape}")
    refuse(name, padding_idx is not None and not -len(W) <= padding_idx < len(W) and f"padding_idx={padding_idx} is no row of {len(W)}")


def _integers(name, i, what="indices"):
    if i.dtype not in (jnp.int32, jnp.int64):  # others cannot hold the number of rows, and PyTorch refuses them
        raise TypeError(f"{name}: expected integer {what}, int32 or int64, got {i.dtype} of shape {i.shape}: convert with .astype(int)")


def _canonical(i):
    """The indices, in int32 where JAX has no int64: an array that was made under enable_x64 keeps it, and every use would warn."""
    return i.astype(jax.dtypes.canonicalize_dtype(i.dtype))


def _rows(W, i, by_freq=False):
    """W[i]; with `by_freq` each row's derivative is divided by how often its index is there."""
    i = _in_table(i, len(W))
    y = W.at[i].get(mode="fill", fill_value=jnp.nan)
    if not by_freq:
        return y
    value = lax.stop_gradient(y)
    return value + (y - value) / _frequency(i, len(W))


def _added_to_rows(d, i, shape, by_freq):
    """Σ of d in the rows i of a table of this shape, in float32 where it has less."""
    i = _in_table(i, shape[0])
    d32 = at_least_float32(d / _frequency(i, shape[0]) if by_freq else d)
    return jnp.zeros(shape, d32.dtype).at[i].add(d32, mode="drop").astype(d.dtype)


def _frequency(i, V):
    """How often each index is there, beside an axis of the table's columns."""
    return jnp.zeros(V, int).at[i].add(1, mode="drop").at[i].get(mode="fill", fill_value=1)[..., None]


def _in_table(i, V):
    """Negative indices moved out of the table, so that they give NaN instead of counting from the end."""
    return jnp.where(i < 0, V, i)


def _is(padding_idx, i, V):
    return i == padding_idx % V
