"""The report of a check: one line for each leaf, the cause where it is wrong, and the rule to blame."""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Leaf(NamedTuple):
    """One differentiated array and what the oracles say of its hand-written gradient."""

    path: str
    shape: tuple[int, ...]
    norm: float
    error: float
    jvp_error: float
    order: float
    verdict: str  # "ok", "WRONG", "not finite" or "not judged"
    note: str
    worst: tuple[int, ...]

    @property
    def ok(self) -> bool:
        """Whether independent oracles agree with it."""
        return self.verdict == "ok"


class Report(NamedTuple):
    """`ok`, `str(report)` a table, `assert_ok()`."""

    head: str
    leaves: list[Leaf]
    findings: list[str]
    blame: list
    notes: list[str]

    @property
    def ok(self) -> bool:
        """Whether every leaf agrees, every value is the formula's, and no rule is to blame."""
        return not self.findings and not self.blame and all(leaf.ok for leaf in self.leaves)

    def assert_ok(self) -> "Report":
        """Raise an AssertionError that holds the table unless all is well."""
        if not self.ok:
            raise AssertionError(str(self))
        return self

    def __str__(self):
        rows = [("leaf", "shape", "|hand|", "hand vs auto", "vs jvp", "order", "verdict")]
        for leaf in self.leaves:
            order = {-1.0: "kink", np.inf: "exact"}.get(leaf.order, "-" if np.isnan(leaf.order) else f"{leaf.order:.2f}")
            rows.append(
                (
                    leaf.path,
                    str(leaf.shape),
                    f"{leaf.norm:.2e}",
                    f"{leaf.error:.1e}",
                    f"{leaf.jvp_error:.0e}",
                    order,
                    f"{leaf.verdict}  {leaf.note}".strip(),
                )
            )
        widths = [max(len(row[i]) for row in rows) for i in range(6)]
        table = ["  " + "  ".join([*(c.ljust(w) for c, w in zip(row, widths)), row[6]]).rstrip() for row in rows]
        lines = [self.head, *table, *(f"  finding: {f}" for f in self.findings)]
        if self.blame:
            lines.append(f"  blame: {self.blame[0]}")
            lines += [f"    also: {b}" for b in self.blame[1:4]]
        return "\n".join([*lines, *(f"  note: {n}" for n in self.notes)])


OF_WHOLE = 1e-3  # of a relative tolerance: what the norm of the whole gradient allows besides a leaf's own


def norm(x: np.ndarray) -> float:
    """The L2 norm, also of numbers whose squares are beyond float64; what is not finite counts as nothing."""
    x = np.nan_to_num(np.abs(x).astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(np.max(np.abs(x), initial=0.0))
    return largest * float(np.linalg.norm(x / largest)) if largest else 0.0


def in_64_bits(x) -> np.ndarray:
    return np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64)


def difference(hand: np.ndarray, auto: np.ndarray) -> np.ndarray:
    """hand - auto, and 0 where both are NaN or the same infinity."""
    with np.errstate(invalid="ignore", over="ignore"):
        return np.where((np.isnan(hand) & np.isnan(auto)) | (hand == auto), 0.0, hand - auto)


def cause(hand: np.ndarray, auto: np.ndarray, sizes: Iterable[int] = ()) -> str:
    """What the relation of a wrong gradient to the right one suggests."""
    hand, auto = in_64_bits(hand), in_64_bits(auto)
    if not np.all(np.isfinite(hand)):
        return "hand is not finite where auto is" if np.all(np.isfinite(auto)) else "neither is finite, at different places"
    if not np.any(hand):
        return "hand is zero: a cotangent that was dropped"
    if not np.any(auto):
        return "auto is zero, hand is not"

    def same(a, b):
        return a.shape == b.shape and norm(a - b) <= 1e-6 * norm(b)

    size = norm(auto)
    ratio = np.vdot(auto / size, hand / size) / np.vdot(auto / size, auto / size)
    if abs(ratio.imag) > 1e-6 * abs(ratio):
        return (
            f"hand = {ratio:.6g} x auto: a phase"
            if same(hand, ratio * auto)
            else "no single cause: complex numbers apart in size and phase"
        )
    ratio = float(ratio.real)
    if ratio and same(hand, ratio * auto):
        return f"hand = {_number(ratio)} x auto: {_factor(ratio, {*auto.shape, *sizes})}"
    if auto.ndim >= 2 and same(np.swapaxes(hand, -1, -2), auto):
        return "hand is the transpose of auto: a layout"
    k = int(np.argmax(np.abs(hand - auto)))
    at = tuple(int(i) for i in np.unravel_index(k, auto.shape))
    return f"no single cause; worst at {at}: hand {hand.flat[k]:.6g}, auto {auto.flat[k]:.6g}"


def _number(ratio: float) -> str:
    return f"{ratio:.6g}"


def _factor(ratio: float, sizes) -> str:
    if abs(ratio + 1) < 1e-6:
        return "a sign"
    for n in sorted({2, *(s for s in sizes if s > 1)}):
        if abs(ratio - n) < 1e-6 * n:
            return f"a missing factor 1/{n}"
        if abs(ratio * n - 1) < 1e-6:
            return f"a missing factor {n}"
    return "a missing factor" if ratio > 0 else "a sign and a factor"
