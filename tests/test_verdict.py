"""The comparison of gradients: what it must call wrong, what it must not, and how much it says it does not see."""

import itertools

import numpy as np
import pytest
from verdict import ZERO_IN_TRUTH, assert_same, assert_seen, beneath, difference, norm

_rng = np.random.default_rng(0)
MATRICES = [_rng.standard_normal((4, 4)), _rng.standard_normal((4, 4))]
GRADIENTS = {
    "matrices": MATRICES,
    "a vector and a number": [_rng.standard_normal(5), np.array(0.3)],
    "a row of 5e11": [np.concatenate([MATRICES[0], 5e11 * MATRICES[1]]).reshape(2, 4, 4)],
    "a number of 5e11 in a vector": [np.array([1.0, 5e11, -0.5])],
    "float32": [m.astype(np.float32) for m in MATRICES],
}


def swapped(grads):
    for i, j in itertools.combinations(range(len(grads)), 2):
        if grads[i].shape == grads[j].shape:
            grads[i], grads[j] = grads[j], grads[i]
    return grads


def in_smallest_row(change):
    """In the row that the others hide most easily."""

    def plant(grads):
        g = grads[0] if grads[0].ndim > 1 else grads[0].reshape(-1, 1)
        row = np.unravel_index(np.argmin(np.linalg.norm(g, axis=-1)), g.shape[:-1])
        g[row] = change(g[row])
        return grads

    return plant


MISTAKES = {
    "scaled": lambda grads: [g * g.dtype.type(1.001) for g in grads],
    "one row scaled": in_smallest_row(lambda g: g * 1.001),
    "one row zeroed": in_smallest_row(np.zeros_like),
    "one row of the other sign": in_smallest_row(lambda g: -g),
    "sign": lambda grads: [-g for g in grads],
    "transposed": lambda grads: [g.swapaxes(-1, -2) if g.ndim > 1 else g for g in grads],
    "reversed": lambda grads: [np.flip(g) for g in grads],
    "swapped": swapped,
    "NaN": in_smallest_row(lambda g: g * np.nan),
    "another shape": lambda grads: [g[None] for g in grads],
    "another type": lambda grads: [g.astype(np.complex64) for g in grads],
}


def planted(gradient, mistake):
    return MISTAKES[mistake]([g.copy() for g in GRADIENTS[gradient]])


def shows(gradient, mistake):
    return any(w.dtype != g.dtype or not np.array_equal(w, g) for w, g in zip(planted(gradient, mistake), GRADIENTS[gradient]))


@pytest.mark.parametrize(("gradient", "mistake"), [pair for pair in itertools.product(GRADIENTS, MISTAKES) if shows(*pair)])
def test_a_mistake_is_found(gradient, mistake):
    auto = GRADIENTS[gradient]
    assert difference(planted(gradient, mistake), auto, norm(np.ones(4))) is not None
    assert difference(auto, auto, norm(np.ones(4))) is None


def test_a_row_that_is_zero_but_for_rounding_is_not_accused():
    auto = [np.array([[1.0, 2.0], [0.0, 3e-17]]), np.array([0.0, -1e-17])]
    hand = [np.array([[1.0, 2.0], [2e-16, 0.0]]), np.array([3e-17, 0.0])]
    assert_same(hand, auto, 1.0)
    assert difference(hand, auto, 0.0) is not None  # without a cotangent nothing comes back at all


def test_tiny_numbers_are_compared_where_they_are_right_as_well():
    auto = [np.array([[1.0, 4e-18]])]
    wrong = [np.array([[1.0, 8e-18]])]
    assert_same(wrong, auto)
    assert difference(wrong, auto, entrywise=True) is not None
    assert_same([auto[0] * (1 + 1e-15)], auto, entrywise=True)


def test_the_worst_row_is_named():
    assert difference([np.eye(3)], [np.diag([1.0, 1.5, 3.0])]).endswith("2 of 3 rows, the worst, 2, by 2.0")


def test_how_much_is_not_seen():
    auto = [np.array([[1.0, 4e-18, 0.0], [1e-16, 5e11, 2.0]])]
    assert beneath(auto) == 3 / 5  # beside 5e11 not even 2 is seen
    assert beneath([auto[0].ravel()]) == 2 / 5
    assert beneath(auto, entrywise=True) == 0
    assert beneath([np.zeros(3)]) == beneath([np.zeros((0, 3))]) == beneath([]) == 0


def test_a_case_that_is_hardly_seen_fails():
    recorded = lambda name, value: None
    assert_seen("a case", [np.array([1.0, 2.0])], 1.0, recorded)
    with pytest.raises(AssertionError, match="50.0% of the gradient"):
        assert_seen("a case", [np.array([1.0, 1e-20])], 1.0, recorded)
    known, (allowed, _) = next(iter(ZERO_IN_TRUTH.items()))
    assert_seen(known, [np.array([1.0, 1e-20])], 1.0, recorded)
    with pytest.raises(AssertionError, match="66.7% of the gradient"):
        assert_seen(known, [np.array([1.0, 1e-20, 1e-20])], 1.0, recorded)
    assert allowed == 0.5
