"""How a gradient by hand is compared with one by JAX, and how much of a gradient such a comparison does not see."""

import jax
import numpy as np

# Gradients that are 0 in truth, of which both sides hold the rounding alone: by the beginning of the case's id, the share, and why.
ZERO_IN_TRUTH = {
    "nll_loss: one row": (0.5, "the mean of one row does not depend on the weight of its class"),
    "cosine_similarity: broadcast, an axis of both": (0.4, "a vector of one number has the cosine 1 or -1 with every other"),
    "scaled_dot_product_attention: causal, more keys than queries": (0.14, "the first query attends to one key, whatever its score"),
    "scaled_dot_product_attention: additive mask for all keys": (0.05, "a mask that is the same for all keys cancels in the softmax"),
    "multi_head_attention_forward": (0.05, "the bias of the keys cancels in the softmax"),
    "MultiheadAttention": (0.05, "the bias of the keys cancels in the softmax"),
    "Transformer": (0.05, "the bias of the keys cancels in the softmax"),
    "Repeat": (0.13, "a bias in front of a norm over the batch"),
}
TRACE = 0.01  # of the numbers of a gradient may lie beneath the tolerance


def on_device(arrays, dtype=None):
    """NumPy's arrays as JAX's; `jnp.asarray` would compile a program for each shape, which is a third of the tests' time."""
    return tuple(jax.device_put(np.asarray(a, dtype)) for a in arrays)


def norm(x):
    return float(np.linalg.norm(np.asarray(x, np.float64).ravel()))


def rows(a, entrywise=False):
    """A matrix of the rows of an array, along its last axis. The numbers of a vector may stand for different things: each is a row."""
    a = np.asarray(a, np.float64)
    return a.reshape(-1, 1) if a.ndim < 2 or entrywise else a.reshape(int(np.prod(a.shape[:-1])), a.shape[-1])


def tolerances(a, dy_size, relative=1e-10, absolute=1e-13, entrywise=False):
    """What each row of a gradient may be off by: a share of the row, and of the cotangent, whose terms may cancel in it."""
    return relative * np.linalg.norm(rows(a, entrywise), axis=1) + (0 if entrywise else absolute * dy_size)


def difference(hand, auto, dy_size=1.0, **options):
    """What is wrong with a list of gradients, or None. Row by row, so that a large row hides no other; `entrywise`, number by number,
    and nothing is forgiven because of the cotangent: for what is computed number by number, where tiny ones are right as well."""
    for i, (h, a) in enumerate(zip(hand, auto, strict=True)):
        if h.shape != a.shape or h.dtype != a.dtype:
            return f"gradient {i}: {h.dtype}{h.shape}, where JAX has {a.dtype}{a.shape}"
        off = np.linalg.norm(rows(h - a, options.get("entrywise", False)), axis=1)
        is_wrong = ~(off <= tolerances(a, dy_size, **options))
        if is_wrong.any():
            row = int(np.argmax(np.where(is_wrong, np.nan_to_num(off, nan=np.inf), -1)))
            return f"gradient {i}: off by {norm(h - a)} of {norm(a)}; {is_wrong.sum()} of {off.size} rows, the worst, {row}, by {off[row]}"
    return None


def assert_same(hand, auto, dy_size=1.0, **options):
    wrong = difference([np.asarray(h) for h in hand], [np.asarray(a) for a in auto], dy_size, **options)
    assert wrong is None, wrong


def beneath(auto, dy_size=1.0, **options):
    """How much of the gradients lies beneath the tolerance, where anything would pass: the share of the numbers that are not 0."""
    below = counted = 0
    for a in map(np.asarray, auto):
        size = np.abs(rows(a, options.get("entrywise", False)))
        below += np.sum((size > 0) & (size <= tolerances(a, dy_size, **options)[:, None]))
        counted += np.sum(size > 0)
    return float(below / counted) if counted else 0.0


def assert_seen(id, auto, dy_size, record_property, **options):
    """The comparison sees all of the gradient but a trace; the share that it does not is told at the end of the run."""
    share = beneath(auto, dy_size, **options)
    record_property("beneath", share)
    allowed = max([TRACE, *(known for beginning, (known, _) in ZERO_IN_TRUTH.items() if id.startswith(beginning))])
    assert share <= allowed, f"{share:.1%} of the gradient lies beneath the tolerance: give such numbers a case of their own"
