"""What is wrong with a training, read off its health by rules with named thresholds, on the host."""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..program.modules import owner_of
from .health import Health

_NAMES = ("modules", "parameters", "sizes", "without_rule")  # of the fields of Health, those that are not numbers of a step


@dataclasses.dataclass(frozen=True)
class Thresholds:
    """Where each verdict begins. `dataclasses.replace(Thresholds(), dead=0.9)` changes one.

    `tests/inspect/trainings.py` holds the trainings, sick and healthy, by which they were set.

    Attributes:
        patience: a verdict needs this many steps in a row, up to the last one; non-finite values need one.
        vanishing: of the last module's delta, what must reach one of the first ones. Halved from layer to layer, ten layers pass.
        exploding: times the last module's delta, or its gradient over weights, that none may exceed.
        cause: share of that loss or growth, in logarithms, that one module must make to be named; else the first is. Of two alike: a half.
        dead: share of a module's ReLU units that are off for every example. With one example at a time half of them are so in good health.
        saturated: share of a module's sigmoid or tanh values where they are flat. Of tanh at inputs of variance 1 it is a twentieth.
        update_small: norm of the update over that of the weights: below, a weight needs a million steps to change by its own size.
        update_large: the same, as geometric mean over `patience` steps; 1e-3 is usual, and Adam's first steps reach a tenth.
        finished: a gradient below this share of its own largest has done its work; its update may be small.
        unchanged: steps in a row in which a tensor does not change at all; warm-up and a unit that wakes up take fewer.
        noise_window: steps over which the direction of the gradient is compared, and the loss must fall.
        noise: |mean gradient|^2 over mean |gradient|^2 in that window, times its length: 1 for random directions, the length for one.
        noise_progress: share of the loss that the second half of that window must gain, else the noise is to blame.
        noise_gained: a loss that has fallen by this share since the beginning is excused: the noise did not keep it from learning.
        noise_spread: how far the loss must swing in that window, as standard deviation over mean: on a plateau it does not.
        uphill: cosine of a module's update with its gradient above which it goes up; steepest descent has -1, momentum swings around it.
        uphill_window: steps over which an update that goes up now must have gone up on the whole: what has momentum comes down again.
        uphill_share: by how much, as a share of all that the module went down before: weight decay balances a small gradient in the end.
        diverging: times its lowest, as means over `patience` steps, that the loss may reach, where it is also above all of its first ones.
        overfitting: share by which the validation loss rises above its lowest, while the training loss falls.
        weight_floor: root mean square below which weights count as this large in a ratio: those that start at zero. Usual for 400 inputs.
    """

    patience: int = 5
    vanishing: float = 1e-3
    exploding: float = 1e3
    cause: float = 0.65
    dead: float = 0.8
    saturated: float = 0.6
    update_small: float = 1e-6
    update_large: float = 0.3
    finished: float = 1e-2
    unchanged: int = 10
    noise_window: int = 20
    noise: float = 2.0
    noise_progress: float = 0.02
    noise_gained: float = 0.1
    noise_spread: float = 0.15
    uphill: float = 0.1
    uphill_window: int = 50
    uphill_share: float = 0.01
    diverging: float = 3.0
    overfitting: float = 0.1
    weight_floor: float = 0.05


class Verdict(NamedTuple):
    """One thing that is wrong: what, in which module, since which step, how it shows, what usually helps; `also` in these modules."""

    kind: str
    module: str
    since: int
    evidence: str
    advice: str
    also: tuple[str, ...] = ()

    def __str__(self):
        at = f' in "{self.module}"' if self.module else ""
        return f"{self.kind}{at} since step {self.since}: {self.evidence}. {self.advice}"


ADVICE = {
    "no backward rule": "bpjax.grad says what to write there.",
    "non-finite": "bpjax.find_nan names the equation. Usual: a lower learning rate, a loss on logits, an epsilon under log and sqrt.",
    "vanishing": "Usual: ReLU with Kaiming initialisation, normalisation, residual connections, a larger initial scale.",
    "exploding": "Usual: clip gradients (optax.clip_by_global_norm), a smaller initial scale, orthogonal recurrent weights, normalisation.",
    "dead ReLU": "Usual: a lower learning rate, a smaller negative bias, Kaiming initialisation, leaky ReLU.",
    "saturated": "Usual: a smaller initial scale, normalised inputs, normalisation before the activation, ReLU.",
    "update too small": "Usual: a higher learning rate, an adaptive optimizer, a look at what is frozen.",
    "update too large": "Usual: a lower learning rate, warm-up, gradient clipping.",
    "update goes up the gradient": "Usual: the sign of the update or of the loss (to maximise, negate the loss), a negative learning rate.",
    "diverging": "Usual: a lower learning rate, warm-up, gradient clipping, another look at the sign of the loss and of the update.",
    "unchanged tensor": "Usual: a stop_gradient, a module that the loss does not reach, dead units before it, a frozen optimizer.",
    "noisy gradient": "Usual: a larger batch, a lower learning rate, momentum, a look at the labels.",
    "overfitting": "Usual: early stopping, weight decay, dropout, more data, a smaller model.",
}


def verdicts(
    history: Sequence[tuple[int, Health]], validation: Sequence[tuple[int, float]] = (), thresholds: Thresholds = Thresholds()
) -> list[Verdict]:
    """What is wrong at the end of `history`: (step, health) pairs in order, with (step, loss) pairs on data that is not trained on."""
    if not history:
        return []
    steps = np.array([step for step, _ in history])
    series = Series([h for _, h in history], thresholds)
    if unruled := history[-1][1].without_rule:
        evidence = f"{', '.join(unruled[:3])}: the gradients before it are not known"
        return [Verdict("no backward rule", "", int(steps[-1]), evidence, ADVICE["no backward rule"])]
    found = [*_nonfinite(steps, series)]
    if found:  # after a NaN nothing else can be read; what led to it can
        before = [h for step, h in history if step < found[0].since]
        patience = dataclasses.replace(thresholds, patience=min(thresholds.patience, len(before)))
        found += _uphill(steps[: len(before)], Series(before, patience), patience) if before else []
    else:
        found = [
            *_passing(steps, series, thresholds),
            *_units(steps, series, thresholds),
            *_updates(steps, series, thresholds),
            *_unchanged(steps, series, thresholds),
            *_noise(steps, series, thresholds),
            *_diverging(steps, series, thresholds),
        ]
        found = _but_uphill(found)
    found = _together(found)
    return [*found, *_overfitting(steps, series, validation, thresholds)]


def _but_uphill(found: Sequence[Verdict]) -> list[Verdict]:
    """Without what would advise a lower learning rate for an update that goes up the gradient."""
    kind, large = "update goes up the gradient", ("update too large", "noisy gradient")
    uphill = {v.module for v in found if v.kind == kind}
    return [v for v in found if not (v.kind in large and v.module in uphill or v.kind == "diverging" and uphill)]


def _together(found: Sequence[Verdict]) -> list[Verdict]:
    """One verdict of each kind: that of the first module, or of the one named as the cause, with the others in its evidence."""
    kinds: dict[str, list[Verdict]] = {}
    for v in found:
        kinds.setdefault(v.kind, []).append(v)
    merged = []
    for first, *others in kinds.values():
        modules = list(dict.fromkeys(v.module for v in others if v.module != first.module))
        so = f"; so it is in {', '.join(modules[:3])}{f' and {len(modules) - 3} more' if len(modules) > 3 else ''}" if modules else ""
        merged.append(first._replace(evidence=first.evidence + so, also=tuple(modules)))
    return merged


class Series:
    """The history as arrays over steps (T) and modules (M), and the ratios that the rules read."""

    def __init__(self, healths: Sequence[Health], t: Thresholds):
        self.modules, self.parameters = healths[-1].modules, healths[-1].parameters
        for field in dataclasses.fields(Health):
            if field.name not in _NAMES:
                setattr(self, field.name, np.stack([np.asarray(getattr(h, field.name), np.float64) for h in healths]))
        of: dict[str, list[int]] = {m: [] for m in self.modules}
        for p, name in enumerate(self.parameters):
            of.get(owner_of(name), []).append(p)
        self.of = list(of.values())  # of each module the numbers of its parameters
        floor = np.array([np.sqrt(np.sum(np.array(healths[-1].sizes)[k])) * t.weight_floor for k in self.of])
        self.weights = np.maximum(self.of_modules(self.weight), floor)
        with np.errstate(all="ignore"):
            self.gain = self.outgoing / self.incoming
            self.relative_gradient = self.of_modules(self.gradient) / self.weights
            self.relative_update = self.of_modules(self.update) / self.weights
            self.reaches = self.delta / self.delta[:, -1:]
            self.ascent = self._ascent()

    def _ascent(self):
        """Inner product of each module's update and gradient, (T, M): the change of the loss by the update, to first order."""
        each = np.nan_to_num(np.broadcast_to(self.alignment.reshape(len(self.update), -1), self.update.shape) * self.update * self.gradient)
        return np.stack([each[:, k].sum(1) for k in self.of], 1) if self.of else np.zeros((len(each), 0))

    def of_modules(self, of_parameters):
        norms = [np.sqrt(np.sum(of_parameters[:, k] ** 2, 1)) for k in self.of]
        return np.stack(norms, 1) if norms else np.zeros((len(of_parameters), 0))


def first_nonfinite(health: Health) -> tuple[str, str] | None:
    """Where the first NaN or infinity of a step arises: ("forward" or "backward", the module), or None.

    The module may also be "the input", "the parameters of ..." or "the loss".
    """
    owner = [owner_of(name) for name in health.parameters]
    if float(health.nonfinite_input):
        return "forward", "the input"
    for name, module, norm in zip(health.parameters, owner, np.asarray(health.weight)):
        if not np.isfinite(norm):
            return "forward", module
    for module, count in zip(health.modules, np.asarray(health.nonfinite_forward)):
        if count:
            return "forward", module
    if not np.isfinite(health.value):
        return "forward", "the loss"
    columns = (np.asarray(c) for c in (health.delta, health.outgoing, health.nonfinite_backward))
    for i, (module, delta, outgoing, count) in reversed(list(enumerate(zip(health.modules, *columns)))):
        if not np.isfinite(delta):
            return "backward", "the loss" if i == len(health.modules) - 1 else module
        if not np.isfinite(outgoing) or count:
            return "backward", module
    return None


def _nonfinite(steps, s):
    for t, step in enumerate(steps):
        broken = first_nonfinite(_at(s, t))
        if broken:
            direction, module = broken
            yield Verdict("non-finite", module, int(step), f"NaN or infinity first in the {direction} pass", ADVICE["non-finite"])
            return


def _at(s, t):
    fields = {f.name: getattr(s, f.name)[t] for f in dataclasses.fields(Health) if f.name not in _NAMES}
    return Health(modules=s.modules, parameters=s.parameters, sizes=(), **fields)


def _since(steps, holds, patience) -> int | None:
    """The step since which `holds`, if it has for long enough up to the last one."""
    run = len(holds) - (np.flatnonzero(~holds)[-1] + 1 if not holds.all() else 0)
    return int(steps[len(holds) - run]) if run >= patience else None


def _passing(steps, s, t):
    """Vanishing and exploding: what of the last module's delta is left on the way to the first ones."""
    last = s.modules[-1] if s.modules else ""
    if len(s.modules) < 2:
        return
    with np.errstate(all="ignore"):
        best = np.maximum.accumulate(s.reaches, 1)  # what reaches this module or one before it: a residual path counts
        since = _since(steps, best[:, 0] < t.vanishing, t.patience)
        if since is not None and s.delta[-1, -1] > 0:
            lost = int(np.flatnonzero(best[-1] < t.vanishing)[-1])
            k, gain = _cause(s, best[-1], lost, t)
            how = f'"{s.modules[k]}" passes on {gain:.1e} of it' if k is not None else f"lost bit by bit, {lost + 1} modules below it"
            evidence = f'{s.reaches[-1, 0]:.1e} of the delta at "{last}" reaches "{s.modules[0]}"; {how}'
            yield Verdict("vanishing", s.modules[0 if k is None else k], since, evidence, ADVICE["vanishing"])
        over = np.fmax(s.reaches, s.relative_gradient / s.relative_gradient[:, -1:])
        since = _since(steps, over.max(1) > t.exploding, t.patience)
        if since is not None:
            first, at = np.flatnonzero(over[-1] > t.exploding)[[0, -1]]
            k, gain = _cause(s, over[-1], at, t)
            how = f'"{s.modules[k]}" multiplies it by {gain:.1e}' if k is not None else "it grows on the way"
            evidence = f'"{s.modules[at]}" has {over[-1, at]:.1e} times the delta or relative gradient of "{last}"; {how}'
            yield Verdict("exploding", s.modules[first if k is None else k], since, evidence, ADVICE["exploding"])


def _cause(s, left, low, t):
    """The module from `low` on whose gain alone makes most of `left[low]`, and that gain; (None, NaN) where none does."""
    gains = s.gain[-t.patience :, low:].copy()
    gains[:, 0] = (s.delta / s.incoming)[-t.patience :, low]  # of `low` itself what stands behind its parameters
    gains = np.median(gains, 0)
    below = left[[low, *range(low, len(left) - 1)]]  # a branch beside a residual path changes no more than is seen below it

    def share(x):
        return np.where(x == 0, 1.0, np.log(x) / np.log(left[low]))

    shares = np.minimum(share(gains), share(below))
    if np.all(np.isnan(shares)) or np.nanmax(shares) <= t.cause:
        return None, np.nan
    k = int(np.nanargmax(shares))
    return low + k, gains[k]


def _units(steps, s, t):
    for kind, share, limit, what in (
        ("dead ReLU", s.dead, t.dead, "of its units are off for every example"),
        ("saturated", s.saturated, t.saturated, "of its values stand where the activation is flat"),
    ):
        for m, module in enumerate(s.modules):
            since = _since(steps, share[:, m] > limit, t.patience)
            if since is not None:
                yield Verdict(kind, module, since, f"{share[-1, m]:.0%} {what}", ADVICE[kind])


def _updates(steps, s, t):
    with np.errstate(all="ignore"):
        gradient = s.of_modules(s.gradient)
        finished = gradient < t.finished * np.fmax.accumulate(gradient)
        usual = np.exp(_trailing(np.log(s.relative_update), t.patience))
    yield from _uphill(steps, s, t)
    for m, module in enumerate(s.modules):
        ratio = s.relative_update[:, m]
        small = (ratio < t.update_small) & (ratio > 0) & ~finished[:, m]
        for kind, holds in (("update too large", usual[:, m] > t.update_large), ("update too small", small)):
            since = _since(steps, holds, t.patience)
            if since is not None:
                yield Verdict(kind, module, since, f"the update is {ratio[-1]:.1e} of the weights", ADVICE[kind])


def _uphill(steps, s, t):
    """Updates that have gone up the gradient, at each of the last steps and on the whole."""
    gradient, update = s.of_modules(s.gradient), s.of_modules(s.update)
    with np.errstate(all="ignore"):
        cosine = s.ascent / (gradient * update)
        has_done_its_work = (gradient < t.finished * np.fmax.accumulate(gradient)) & (s.value < s.value[0])[:, None]
        rises = s.ascent[-t.uphill_window :].sum(0) > t.uphill_share * np.abs(np.minimum(s.ascent, 0)).sum(0)
    for m, module in enumerate(s.modules):
        since = _since(steps, (cosine[:, m] > t.uphill) & ~has_done_its_work[:, m], t.patience)
        if since is not None and rises[m]:
            evidence = f"the inner product of its update and its gradient is positive, their cosine {cosine[-1, m]:.2f}"
            yield Verdict("update goes up the gradient", module, since, evidence, ADVICE["update goes up the gradient"])


def _diverging(steps, s, t):
    n = t.patience
    if len(steps) < 2 * n:
        return
    means = np.array([s.value[i : i + n].mean() for i in range(len(steps) - n + 1)])
    low = int(np.argmin(means))
    if means[-1] - means[low] > (t.diverging - 1) * abs(means[low]) and s.value[-n:].min() > s.value[:n].max():
        evidence = f"the loss rose from {means[low]:.3g} to {means[-1]:.3g}, above all of its first values"
        yield Verdict("diverging", "", int(steps[low + n - 1]), evidence, ADVICE["diverging"])


def _trailing(x, n):
    """Means over each step and those before it, `n` together."""
    return np.stack([x[max(i - n, 0) : i].mean(0) for i in range(1, len(x) + 1)])


def _unchanged(steps, s, t):
    change = np.where(np.isnan(s.update), s.gradient, s.update)
    for p, name in enumerate(s.parameters):
        since = _since(steps, change[:, p] == 0, t.unchanged)
        if since is not None:
            evidence = f'"{name}" has not changed'
            yield Verdict("unchanged tensor", owner_of(name), since, evidence, ADVICE["unchanged tensor"])


def _noise(steps, s, t):
    n = t.noise_window
    if len(steps) < n:
        return
    sketch, value = s.sketch[-n:], s.value[-n:]
    first, before, after = (x.mean() for x in (s.value[: t.patience], value[: n // 2], value[n // 2 :]))
    falls = after < before - t.noise_progress * abs(before) or after < first - t.noise_gained * abs(first)
    if falls or value.std() < t.noise_spread * abs(value.mean()):
        return
    for m, module in reversed(list(enumerate(s.modules))):
        part = sketch[:, s.of[m]].reshape(n, -1)
        power = (part**2).sum(1).mean()
        ratio = n * (part.mean(0) ** 2).sum() / power if power else np.inf
        if ratio < t.noise:
            evidence = f"over {n} steps its gradients keep {ratio:.1f} times the direction of random ones, and the loss does not fall"
            yield Verdict("noisy gradient", module, int(steps[-n]), evidence, ADVICE["noisy gradient"])
            return


def _overfitting(steps, s, validation, t):
    if len(validation) < 2:
        return
    at, losses = np.array([step for step, _ in validation]), np.array([loss for _, loss in validation], np.float64)
    if np.isnan(losses[-1]) or not np.isfinite(losses).any():
        return
    best = int(np.nanargmin(losses))

    def trained(step):  # the training loss, smoothed, up to a step
        return np.mean(s.value[steps <= step][-5:]) if np.any(steps <= step) else np.nan

    if losses[-1] > (1 + t.overfitting) * losses[best] and trained(at[-1]) < trained(at[best]):
        evidence = (
            f"the validation loss rose from {losses[best]:.3g} to {losses[-1]:.3g} "
            f"while the training loss fell from {trained(at[best]):.3g} to {trained(at[-1]):.3g}"
        )
        yield Verdict("overfitting", "", int(at[best]), evidence, ADVICE["overfitting"])
