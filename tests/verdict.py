"""How a gradient by hand is compared with one by JAX, and mistakes that the comparison must find."""

import itertools

import jax
import numpy as np


def on_device(arrays, dtype=None):
    """NumPy's arrays as JAX's; `jnp.asarray` would compile a program for each shape, which is a third of the tests' time."""
    return tuple(jax.device_put(np.asarray(a, dtype)) for a in arrays)


def norm(x):
    return float(np.linalg.norm(np.asarray(x, np.float64).ravel()))


def difference(hand, auto, dy_size=1.0, relative=1e-10, absolute=1e-13):
    """What is wrong with a list of gradients, or None: each leaf in the L2 norm, a leaf that is zero in truth by the whole."""
    whole = max([dy_size, *(norm(a) for a in auto)])
    for i, (h, a) in enumerate(zip(hand, auto, strict=True)):
        if h.shape != a.shape or h.dtype != a.dtype:
            return f"gradient {i}: {h.dtype}{h.shape}, where JAX has {a.dtype}{a.shape}"
        if not norm(h - a) <= relative * norm(a) + absolute * whole:
            return f"gradient {i}: off by {norm(h - a)} of {norm(a)}"
    return None


def assert_same(hand, auto, dy_size=1.0, **tolerances):
    wrong = difference([np.asarray(h) for h in hand], [np.asarray(a) for a in auto], dy_size, **tolerances)
    assert wrong is None, wrong


def _first(change):
    """A mistake in the first gradient that it changes and that is not zero in truth, such as a bias before a norm."""

    def plant(grads):
        whole = max(map(norm, grads), default=0.0)
        for i, g in enumerate(grads):
            wrong = change(g)
            if wrong is not None and norm(g) > 1e-12 * whole and norm(wrong - g) > 1e-7 * norm(g):
                return [*grads[:i], wrong, *grads[i + 1 :]]
        return None

    return plant


def _swapped(grads):
    for i, j in itertools.combinations(range(len(grads)), 2):
        if grads[i].shape == grads[j].shape and norm(grads[i] - grads[j]) > 1e-7 * max(map(norm, grads)):
            grads = list(grads)
            grads[i], grads[j] = grads[j], grads[i]
            return grads
    return None


MISTAKES = {
    "scaled": _first(lambda g: g * 1.001),
    "sign": _first(lambda g: -g),
    "zeroed": _first(np.zeros_like),
    "missing mean": _first(lambda g: g * g.shape[0] if g.ndim and g.shape[0] > 1 else None),
    "transposed": _first(lambda g: g.swapaxes(-1, -2) if g.ndim > 1 and g.shape[-1] == g.shape[-2] > 1 else None),
    "reversed": _first(lambda g: np.flip(g)),
    "swapped": _swapped,
}


def planted_and_caught(auto, dy_size, record_property):
    """Plant every mistake that changes this gradient, and count those that the comparison finds."""
    auto = [np.asarray(a) for a in auto]
    wrong = {kind: plant(auto) for kind, plant in MISTAKES.items()}
    shown = [kind for kind, grads in wrong.items() if grads is not None]
    missed = [kind for kind in shown if difference(wrong[kind], auto, dy_size) is None]
    record_property("planted", len(shown))
    record_property("caught", len(shown) - len(missed))
    return missed
