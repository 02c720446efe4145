"""Connectionist temporal classification: the loss of a sequence whose alignment is not known.

Of inputs of 16 bits the loss is computed and returned in float32 (see `_shared/reduction.py`).
"""

import functools
import numbers

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from ..engine import op
from ._shared.checks import at_least_float32, floating, refuse
from ._shared.reduction import per_element, reduced, reduction_of


def ctc_loss(log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False):
    """l = -log p(targets | log_probs), p summing over every path that reads as the targets once repeats and then blanks are dropped.

    The mean divides each loss by the length of its target (by 1 for an empty one), and then takes the mean over the batch. A target
    with no path, being too long for its input, has the loss inf and the gradient NaN; with `zero_infinity` both are 0.

    Shapes: log_probs (T, N, C) or (T, C); targets (N, S), padded, or all of them in one row; lengths (N,), arrays or tuples, or
    numbers for one sequence -> scalar, or (N,) or () with reduction="none". Targets in one row are padded to the longest: under `jit`
    give target_lengths as a tuple or a NumPy array, or their lengths are unknown there and each is padded to the whole row.
    Backward: with α_t(s) the log of the sum over the paths that end in state s of the targets with blanks between, and a_t(s) the
    same before the class of step t, γ_t(s) is the share of the paths through s: γ_T(s) = exp(α_T(s) + l) in the last two states,
    γ_t-1(s) = Σ_s' γ_t(s') exp(α_t-1(s) - a_t(s')) over the states s' that may follow, in which only shares are multiplied. Then
    dlog_probs_t(c) = (exp(log_probs_t(c)) - Σ γ_t(s) over the states s that read c) dl. a_t is kept.
    This is PyTorch's gradient: exp(log_probs) is none of the derivative of l, but that of a softmax which log_probs are taken to come
    out of, and a log_softmax before does not change. `jax.grad` gives the same, finite differences only behind a log_softmax.
    Errors: ValueError where shapes do not fit, a length is negative or too long, or blank is no class; TypeError for targets and
    lengths that are not integers, and for log_probs that are not floating point. Lengths are checked where their values are known.
    A target that is no class gives NaN.
    Source: https://pytorch.org/docs/stable/generated/torch.nn.functional.ctc_loss.html, Graves et al. 2006

    >>> import jax.numpy as jnp, bpjax.functional as F
    >>> two_frames = jnp.log(jnp.full((2, 1, 2), 0.5))  # "a-", "-a" and "aa" read as "a"
    >>> round(float(jnp.exp(-F.ctc_loss(two_frames, jnp.array([[1]]), (2,), (1,)))), 4)
    0.75
    """
    targets = jnp.asarray(targets)
    floating("ctc_loss", log_probs=log_probs)
    T, N, C = _sizes(log_probs.shape, targets)
    reduction = reduction_of("ctc_loss", None, None, reduction)
    inputs, known_inputs = _lengths("input_lengths", input_lengths, N)
    lengths, known = _lengths("target_lengths", target_lengths, N)
    in_one_row = targets.ndim == 1
    longest = targets.shape[-1]
    refuse(
        "ctc_loss",
        not (isinstance(blank, numbers.Integral) and 0 <= blank < C) and f"blank must be one of the {C} classes, got {blank}",
        known_inputs is not None and not ((0 <= known_inputs) & (known_inputs <= T)).all()
        and f"input_lengths must lie in [0, {T}], got {known_inputs.tolist()}",
        known is not None and not ((0 <= known) & (known <= longest)).all()
        and f"target_lengths must lie in [0, {longest}] for targets of shape {targets.shape}, got {known.tolist()}",
        known is not None and in_one_row and known.sum() != longest
        and f"target_lengths {known.tolist()} do not add up to the {longest} targets in one row",
    )  # fmt: skip
    if in_one_row:
        S = longest if known is None else int(known.max())
        start = jnp.cumsum(lengths) - lengths
        targets = jnp.take(targets, start[:, None] + jnp.arange(S), mode="clip") if longest else jnp.zeros((N, 0), int)
    y = _ctc_loss(log_probs.reshape(T, N, C), jnp.asarray(targets, int), inputs, lengths, blank, reduction, zero_infinity)
    return y.reshape(()) if log_probs.ndim == 2 else y


def _sizes(shape, targets):
    """T, N and C, N being 1 without an axis of the batch."""
    if len(shape) not in (2, 3) or 0 in shape:
        raise ValueError(f"ctc_loss: expected log_probs of shape (T, N, C) or (T, C), none of them 0, got {shape}")
    T, N, C = shape if len(shape) == 3 else (shape[0], 1, shape[1])
    if not jnp.issubdtype(targets.dtype, jnp.integer) and targets.size:
        raise TypeError(f"ctc_loss: expected integer targets, got {targets.dtype} of shape {targets.shape}")
    if targets.ndim not in (1, 2) or targets.ndim == 2 and targets.shape[0] != N:
        raise ValueError(f"ctc_loss: expected targets of shape ({N}, S), or all in one row (sum of lengths,), got {targets.shape}")
    return T, N, C


def _lengths(what, lengths, N):
    """Lengths as an array (N,), and as a NumPy array where their values are known."""
    array = jnp.asarray(lengths)
    if not jnp.issubdtype(array.dtype, jnp.integer):
        raise TypeError(f"ctc_loss: expected integer {what}, got {array.dtype}")
    if array.size != N or array.ndim > 1:
        raise ValueError(f"ctc_loss: expected {what} of shape ({N},), got {array.shape}")
    try:
        known = np.asarray(lengths).reshape(N)
    except jax.errors.TracerArrayConversionError:
        known = None
    return array.reshape(N).astype(int), known


@op(static=("blank", "reduction", "zero_infinity"))
def _ctc_loss(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity):
    """`ctc_loss` of log_probs (T, N, C) and padded targets (N, S)."""
    y, *_ = _run(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    return y


@_ctc_loss.def_forward
def _(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity):
    y, reached, alpha, log_p = _run(log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity)
    saved = {"lp": log_probs, "t": targets, "T": input_lengths, "L": target_lengths, "reached": reached, "alpha": alpha, "log_p": log_p}
    return y, {**saved, "blank": blank, "how": reduction, "zero_infinity": zero_infinity}


@_ctc_loss.def_backward
def _(saved, dy):
    lp, L, log_p, reached = at_least_float32(saved["lp"]), saved["L"], saved["log_p"], saved["reached"]
    live = _is_live(lp, saved["T"])[..., None]
    states, skips = _states(saved["t"], L, saved["blank"], lp.shape[-1])
    dl = jnp.broadcast_to(per_element(dy, L.size, saved["how"]).astype(lp.dtype), L.shape)
    if saved["how"] == "mean":
        dl = dl / jnp.maximum(L, 1)
    impossible = log_p == -jnp.inf
    dl, log_p = jnp.where(impossible, 0 if saved["zero_infinity"] else jnp.nan, dl), jnp.where(impossible, 0, log_p)

    def step(gamma, back):
        stay, by_1, by_2 = back
        return gamma * stay + _moved(gamma, -1, 0) * by_1 + _moved(gamma, -2, 0) * by_2, gamma

    s, end = jnp.arange(states.shape[1]), 2 * L[:, None]
    last = jnp.where((s == end) | (s == end - 1), jnp.exp(saved["alpha"] - log_p[:, None]), 0)
    alphas = jnp.pad((reached + _of_states(lp, states))[:-1], ((1, 0), (0, 0), (0, 0)))  # one step before; nothing asks for the first
    reached = jnp.where(reached == -jnp.inf, jnp.inf, reached)  # from where nothing comes back
    stay = jnp.where(live, jnp.exp(alphas - reached), 1)
    by_1 = jnp.where(live, jnp.exp(alphas - _moved(reached, -1, jnp.inf)), 0)
    by_2 = jnp.where(live, jnp.exp(alphas - _moved(jnp.where(skips, reached, jnp.inf), -2, jnp.inf)), 0)
    _, gammas = lax.scan(step, last, (stay, by_1, by_2), reverse=True)
    T, N, C = lp.shape
    of_labels = jnp.zeros((T, N, C), lp.dtype).at[jnp.arange(T)[:, None, None], jnp.arange(N)[:, None], states[:, 1::2]]
    of_classes = of_labels.add(gammas[..., 1::2], mode="drop").at[..., saved["blank"]].add(gammas[..., ::2].sum(-1))
    dlp = jnp.where(live, (jnp.exp(lp) - of_classes) * dl[:, None], 0)
    return dlp.astype(saved["lp"].dtype), None, None, None


def _run(log_probs, targets, input_lengths, target_lengths, blank, how, zero_infinity):
    """The loss, reduced; what `_alphas` returns; log p."""
    lp, live = at_least_float32(log_probs), _is_live(log_probs, input_lengths)[..., None]
    states, skips = _states(targets, target_lengths, blank, lp.shape[-1])
    reached, alpha = _alphas(_of_states(lp, states), skips, live)
    log_p = _log_likelihood(alpha, target_lengths)
    of_softmax = jnp.where(live, jnp.exp(lp), 0).sum((0, 2))
    losses = of_softmax - lax.stop_gradient(of_softmax) - log_p  # the first two, which are 0, bring exp(lp) to the gradient
    impossible = log_p == -jnp.inf
    if zero_infinity:
        losses = jnp.where(impossible, 0, losses)
    else:  # inf stays inf, and the derivative of log at 0 makes the gradient NaN
        losses = losses - jnp.log(jnp.where(impossible, 0 * of_softmax, 1))
    y = reduced(losses / jnp.maximum(target_lengths, 1) if how == "mean" else losses, how)
    return y, reached, alpha, log_p


def _is_live(lp, input_lengths):
    """Which steps (T, N) belong to their sequence."""
    return jnp.arange(lp.shape[0])[:, None] < input_lengths


def _states(targets, target_lengths, blank, C):
    """The classes of the 2S + 1 states, the targets with blanks between, and whether each may follow the one two before it.

    Past the end of a target stand blanks; what is no class becomes C.
    """
    N, S = targets.shape
    labels = jnp.where((targets < 0) | (targets > C), C, targets)
    labels = jnp.where(jnp.arange(S) < target_lengths[:, None], labels, blank)
    states = jnp.full((N, 2 * S + 1), blank, labels.dtype).at[:, 1::2].set(labels)
    return states, jnp.pad(states[:, 2:] != states[:, :-2], ((0, 0), (2, 0)))[:, : 2 * S + 1]


def _of_states(lp, states):
    return jnp.take_along_axis(lp, states[None], 2, mode="fill", fill_value=jnp.nan)


def _alphas(lp_s, skips, live):
    """α_t(s) - lp_t(s), the log p with which step t reaches state s, of every step, and the last α; past its end a sequence rests."""

    def step(alpha, at_t):
        lp_s, on = at_t
        reached = _log_sum(alpha, _moved(alpha, 1, -jnp.inf), jnp.where(skips, _moved(alpha, 2, -jnp.inf), -jnp.inf))
        return jnp.where(on, reached + lp_s, alpha), reached

    start = jnp.full(skips.shape, -jnp.inf, lp_s.dtype).at[:, 0].set(0)  # from here the first step reaches states 0 and 1
    last, reached = lax.scan(step, start, (lp_s, live))
    return reached, last


def _moved(a, by, fill):
    """The values of the states, moved so many states on."""
    K = a.shape[-1]
    padded = jnp.pad(a, [(0, 0)] * (a.ndim - 1) + [(max(by, 0), max(-by, 0))], constant_values=fill)
    return lax.slice_in_dim(padded, max(-by, 0), max(-by, 0) + K, axis=-1)


def _log_likelihood(alpha, target_lengths):
    """log p of the targets: of the paths that end in the last of them or in the blank after it."""
    end = 2 * target_lengths[:, None]
    on_blank, on_label = (jnp.take_along_axis(alpha, s, 1)[:, 0] for s in (end, jnp.maximum(end - 1, 0)))
    return _log_sum(on_blank, jnp.where(target_lengths > 0, on_label, -jnp.inf))


def _log_sum(*terms):
    """log Σ exp; where all are -inf it is -inf, with gradient 0."""
    m = lax.stop_gradient(functools.reduce(jnp.maximum, terms))
    m = jnp.where(m == -jnp.inf, 0, m)
    s = sum(jnp.exp(t - m) for t in terms)
    return jnp.where(s == 0, -jnp.inf, jnp.log(jnp.where(s == 0, 1, s)) + m)
