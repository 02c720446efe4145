"""Verdicts: planted trainings, sick and healthy; each rule at its threshold; where the first NaN arises."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from trainings import TRAININGS, is_named, train

from bpjax import inspect
from bpjax.inspect import Health, Thresholds, first_nonfinite, verdicts
from bpjax.training import TrainState, run_steps

# ---- planted trainings ----


def outcomes():
    """Of every training its losses and verdicts; those that share a compiled program one after the other, two at a time."""
    groups: dict = {}
    for training in TRAININGS:
        run = training.make()
        groups.setdefault((run.loss, run.optimizer.transformation), []).append(training)
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda group: [(training, *train(training)) for training in group], groups.values())
        return [outcome for group in done for outcome in group]


@pytest.mark.slow
def test_every_sick_training_is_named_and_at_most_one_healthy_one_accused(capsys):
    done = outcomes()
    sick = [(training, found) for training, _, found in done if training.planted]
    healthy = [(training, found) for training, _, found in done if not training.planted]
    missed = [f"{training.name}: {set((v.kind, v.module) for v in found)}" for training, found in sick if not is_named(training, found)]
    accused = [f"{training.name}: {found[0]}" for training, found in healthy if found]
    rising = [training.name for training, losses, _ in done if not training.planted and not np.mean(losses[-10:]) < np.mean(losses[:10])]
    with capsys.disabled():
        print(f"\n{len(sick) - len(missed)} of {len(sick)} sick trainings named, {len(accused)} of {len(healthy)} healthy ones accused")
        print(*accused, *missed, sep="\n")
    assert len(sick) >= 32 and len(healthy) >= 32 and len({training.name for training in TRAININGS}) == len(TRAININGS)
    assert not missed
    assert len(accused) <= 1, accused
    assert not rising


# ---- each rule, on histories that were made up ----

MODULES = ("a", "b", "c")
FIELDS = ("delta", "incoming", "outgoing", "dead", "saturated", "nonfinite_forward", "nonfinite_backward")


def health(t=0, modules=MODULES, **columns):
    """In good health, but for the given columns: numbers, or one for each module. The loss falls."""
    usual = dict.fromkeys(FIELDS, 1.0) | dict.fromkeys(("dead", "saturated", "nonfinite_forward", "nonfinite_backward"), 0.0)
    usual |= {"weight": 10.0, "gradient": 1.0, "update": 0.01, "alignment": -1.0}
    n = len(modules)
    values = {name: np.broadcast_to(np.asarray(columns.pop(name, value), np.float32), n) for name, value in usual.items()}
    values |= {"value": np.float32(0.9**t), "nonfinite_input": np.float32(0), "sketch": np.ones((n, 8), np.float32)} | columns
    return Health(modules=tuple(modules), parameters=tuple(f"{m}.w" for m in modules), sizes=(100,) * n, **values)


def history(steps=8, **columns):
    return [(t, health(t, **columns)) for t in range(steps)]


def found(history, kind, thresholds=Thresholds(), validation=()):
    return [v for v in verdicts(history, validation, thresholds) if v.kind == kind]


def directions(share):
    """Twenty gradients of which the squared mean is `share` times what it is for random ones."""
    signs = np.resize([1.0, -1.0], 20) + np.sqrt(share / 20 / (1 - share / 20))
    return [np.repeat(s, 24).reshape(3, 8).astype(np.float32) for s in signs]


def noisy(share=1.0, swing=0.3, gain=0.0, progress=0.0):
    """Twenty steps before which there were five at a loss of 1 + gain; the second ten are lower by `progress`."""
    values = 1 + swing * np.resize([1.0, -1.0], 20) - progress * (np.arange(20) >= 10)
    before = [(t, health(t, value=np.float32((1 - progress) / (1 - gain)))) for t in range(5)]
    return before + [(t + 5, health(value=np.float32(values[t]), sketch=s)) for t, s in enumerate(directions(share))]


RULES = {  # the kind and the module; a history just past the threshold, and one just before it
    "vanishing, bit by bit": (
        ("vanishing", "a"),
        history(delta=[0.9e-3, 0.03, 1], incoming=[0.9e-3, 0.03, 1], outgoing=[0, 0.9e-3, 0.03]),
        history(delta=[1.1e-3, 0.03, 1], incoming=[1.1e-3, 0.03, 1], outgoing=[0, 1.1e-3, 0.03]),
    ),
    "vanishing, by one module": (
        ("vanishing", "b"),
        history(delta=[0.9e-3, 1, 1], incoming=[1e-3, 1, 1], outgoing=[0, 0.9e-3, 1]),
        history(delta=[1.1e-3, 1, 1], incoming=[1e-3, 1, 1], outgoing=[0, 1.1e-3, 1]),
    ),
    "vanishing, behind a module's parameters": (
        ("vanishing", "b"),
        history(delta=[0.9e-3, 0.9e-3, 1], incoming=[0.9e-3, 1, 1], outgoing=[0, 0.9e-3, 1]),
        history(delta=[1.1e-3, 1.1e-3, 1], incoming=[1.1e-3, 1, 1], outgoing=[0, 1.1e-3, 1]),
    ),
    "exploding, on the way": (
        ("exploding", "a"),
        history(delta=[1.1e3, 33, 1], incoming=[1.1e3, 33, 1], outgoing=[0, 1.1e3, 33], gradient=[33, 5, 1]),
        history(delta=[0.9e3, 30, 1], incoming=[0.9e3, 30, 1], outgoing=[0, 0.9e3, 30], gradient=[33, 5, 1]),
    ),
    "exploding, by one module": (
        ("exploding", "b"),
        history(delta=[1.1e3, 1, 1], incoming=[1.1e3, 1, 1], outgoing=[0, 1.1e3, 1]),
        history(delta=[0.9e3, 1, 1], incoming=[0.9e3, 1, 1], outgoing=[0, 0.9e3, 1]),
    ),
    "exploding, in a module's own gradient": (("exploding", "b"), history(gradient=[1, 1.1e3, 1]), history(gradient=[1, 0.9e3, 1])),
    "dead ReLU": (("dead ReLU", "b"), history(dead=[np.nan, 0.81, 0.2]), history(dead=[np.nan, 0.79, 0.2])),
    "saturated": (("saturated", "a"), history(saturated=[0.61, np.nan, 0]), history(saturated=[0.59, np.nan, 0])),
    "update too small": (("update too small", "c"), history(update=[0.1, 0.1, 0.9e-5]), history(update=[0.1, 0.1, 1.1e-5])),
    "update too large": (("update too large", "b"), history(update=[0.1, 3.1, 0.1]), history(update=[0.1, 2.9, 0.1])),
    "update goes up the gradient": (
        ("update goes up the gradient", "b"),
        history(alignment=[-1, 0.11, 0]),
        history(alignment=[-1, 0.09, 0]),
    ),
    "update goes up the gradient, on the whole": (
        ("update goes up the gradient", "c"),
        [(t, health(t, alignment=[-1, -1, -1 if t < 24 else 1])) for t in range(49)],
        [(t, health(t, alignment=[-1, -1, -1 if t < 26 else 1])) for t in range(49)],
    ),
    "diverging": (
        ("diverging", ""),
        [(t, health(value=np.float32(1.0 if t < 9 else 3.1))) for t in range(15)],
        [(t, health(value=np.float32(1.0 if t < 9 else 2.9))) for t in range(15)],
    ),
    "unchanged tensor": (("unchanged tensor", "b"), history(10, update=[1, 0, 1]), history(9, update=[1, 0, 1])),
    "unchanged tensor without updates": (
        ("unchanged tensor", "b"),
        history(10, update=np.nan, gradient=[1, 0, 1]),
        history(10, update=np.nan, gradient=[1, 1e-30, 1]),
    ),
    "noisy gradient": (("noisy gradient", "c"), noisy(share=1.9), noisy(share=2.1)),
    "noisy gradient and the loss's swing": (("noisy gradient", "c"), noisy(swing=0.16), noisy(swing=0.14)),
    "noisy gradient and the window's progress": (("noisy gradient", "c"), noisy(progress=0.01), noisy(progress=0.03)),
    "noisy gradient and the progress before": (("noisy gradient", "c"), noisy(gain=0.09), noisy(gain=0.11)),
    "weights that start at zero": (
        ("update too large", "b"),
        history(weight=[10, 0, 10], update=[0.1, 0.16, 0.1]),
        history(weight=[10, 0, 10], update=[0.1, 0.14, 0.1]),
    ),
    "a gradient that has not done its work": (
        ("update too small", "c"),
        [(t, health(t, gradient=1.0 if t == 0 else 1.1e-2, update=0.01 if t == 0 else [0.1, 0.1, 0.9e-5])) for t in range(8)],
        [(t, health(t, gradient=1.0 if t == 0 else 0.9e-2, update=0.01 if t == 0 else [0.1, 0.1, 0.9e-5])) for t in range(8)],
    ),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_verdict_begins_at_its_threshold(rule):
    (kind, module), past, before = RULES[rule]
    (verdict,) = found(past, kind)
    assert verdict.module == module
    assert not found(before, kind)


def test_nothing_is_said_of_good_health():
    assert verdicts(history(50)) == []
    assert verdicts([]) == []


VALIDATION = {"rises": ([1.0, 1.11], True), "rises a little": ([1.0, 1.09], False), "falls": ([1.0, 0.5], False), "once": ([1.0], False)}


@pytest.mark.parametrize("name", VALIDATION)
def test_overfitting_is_a_validation_loss_that_rises_while_training_falls(name):
    losses, is_overfitting = VALIDATION[name]
    validation = list(zip((3, 9), losses))
    assert [v.since for v in found(history(10), "overfitting", validation=validation)] == ([3] if is_overfitting else [])


def test_a_validation_loss_that_rises_with_the_training_loss_is_no_overfitting():
    rising = [(t, health(value=np.float32(1 + t))) for t in range(10)]
    assert not found(rising, "overfitting", validation=[(3, 1.0), (9, 5.0)])


ONSETS = {
    "vanishing": {"delta": [1e-4, 1, 1]}, "exploding": {"gradient": [1e4, 1, 1]}, "dead ReLU": {"dead": [0, 1, 0]},
    "saturated": {"saturated": [1, 0, 0]}, "update too small": {"update": 1e-8}, "update too large": {"update": 1e16},
    "unchanged tensor": {"update": 0}, "update goes up the gradient": {"alignment": [1, -1, -1], "gradient": [9, 1, 1]},
}  # fmt: skip


@pytest.mark.parametrize("kind", ONSETS)
def test_since_is_the_step_at_which_it_began(kind):
    steps = [(100 + t, health(t, **(ONSETS[kind] if t >= 7 else {}))) for t in range(20)]
    assert found(steps, kind)[0].since == 107


@pytest.mark.parametrize("kind", ONSETS)
def test_a_verdict_waits_for_its_patience(kind):
    patience = Thresholds().unchanged if kind == "unchanged tensor" else Thresholds().patience
    steps = [health(t, **(ONSETS[kind] if t >= 7 else {})) for t in range(7 + patience)]
    assert found(list(enumerate(steps)), kind)
    assert not found(list(enumerate(steps[:-1])), kind)


@pytest.mark.parametrize("kind", ONSETS)
def test_a_training_that_recovered_is_not_accused(kind):
    steps = [(t, health(t, **(ONSETS[kind] if t < 15 else {}))) for t in range(15 + 2 * Thresholds().patience)]
    assert found(steps[:15], kind)
    assert not found(steps, kind)


CHANGED = {
    "vanishing": ("vanishing", 1e-5), "exploding": ("exploding", 1e5), "dead ReLU": ("dead", 1.0), "saturated": ("saturated", 1.0),
    "update too small": ("update_small", 1e-12), "update too large": ("update_large", 1e18), "unchanged tensor": ("unchanged", 30),
    "update goes up the gradient": ("uphill", 1.1),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHANGED)
def test_a_threshold_can_be_changed(kind):
    name, value = CHANGED[kind]
    steps = history(20, **ONSETS[kind])
    assert found(steps, kind)
    assert not found(steps, kind, dataclasses.replace(Thresholds(), **{name: value}))


def test_patience_can_be_changed():
    steps = history(3, dead=1.0)
    assert not found(steps, "dead ReLU")
    assert found(steps, "dead ReLU", Thresholds(patience=3))


def test_modules_with_the_same_verdict_stand_together():
    (verdict,) = found(history(dead=[0.0, 0.9, 1.0]), "dead ReLU")
    assert verdict.module == "b" and verdict.also == ("c",)
    assert str(verdict).startswith('dead ReLU in "b" since step 0: 90% of its units')


def test_a_share_of_one_module_decides_whether_it_is_the_cause():
    steps = history(delta=[0.9e-3, 0.03, 1], incoming=[0.9e-3, 0.03, 1], outgoing=[0, 0.9e-3, 0.03])
    assert found(steps, "vanishing")[0].module == "a"
    assert found(steps, "vanishing", Thresholds(cause=0.4))[0].module in ("b", "c")


def test_one_large_step_is_not_an_update_too_large():
    steps = [(t, health(t, update=1e3 if t == 7 else 0.01)) for t in range(12)]
    assert not any(found(steps[:n], "update too large") for n in range(1, 13))


def test_a_residual_path_keeps_a_delta_from_vanishing():
    assert not found(history(delta=[1, 1e-6, 1]), "vanishing")


def test_a_branch_beside_a_residual_path_is_not_the_cause():
    deltas = {"delta": [1e-4, 1e-2, 1e-5, 1], "incoming": [1e-4, 1e-2, 1, 1], "outgoing": [0, 1e-4, 1e-5, 1e-2]}
    assert found(history(modules="abcd", **deltas), "vanishing")[0].module == "a"
    deltas = {"delta": [1e-8, 1e-2, 1e-5, 1], "incoming": [1e-8, 1e-2, 1, 1], "outgoing": [0, 1e-8, 1e-5, 1e-2]}
    assert found(history(modules="abcd", **deltas), "vanishing")[0].module == "b"


def test_after_a_nan_nothing_else_is_said():
    steps = [(t, health(t, dead=1.0, nonfinite_forward=[0, float(t >= 7), 0])) for t in range(9)]
    assert [(v.kind, v.module, v.since) for v in verdicts(steps)] == [("non-finite", "b", 7)]


def test_what_led_to_a_nan_is_said_beside_it():
    steps = [(t, health(t, alignment=1.0, nonfinite_forward=[0, float(t >= 7), 0])) for t in range(9)]
    assert [(v.kind, v.module, v.since) for v in verdicts(steps)] == [("non-finite", "b", 7), ("update goes up the gradient", "a", 0)]


def test_an_update_that_goes_up_is_not_told_to_be_smaller():
    steps = [(t, health(value=np.float32(2.0**t), alignment=[1, -1, -1], update=[9, 9, 0.1])) for t in range(20)]
    found = {v.kind: (v.module, *v.also) for v in verdicts(steps)}
    assert found == {"update goes up the gradient": ("a",), "update too large": ("b",)}


def wrong_sign(optimizer, which=None):
    """Updates of the optimizer with the other sign, of all modules or of some."""
    flip = lambda path, u: -u if which is None or jax.tree_util.keystr(path).split("'")[1] in which else u
    flipped = optax.stateless(lambda updates, params: jax.tree_util.tree_map_with_path(flip, updates))
    return optax.chain(optimizer, flipped)


UPHILL = {  # an optimizer of which the sign is wrong; the modules that are named; how many steps
    "SGD": (wrong_sign(optax.sgd(2e-3)), ("a", "b", "c"), 12),
    "SGD, until it is NaN": (wrong_sign(optax.sgd(0.1)), ("b", "c"), 60),
    "momentum": (wrong_sign(optax.sgd(3e-4, momentum=0.9)), ("a", "b", "c"), 12),
    "Adam, one module of three": (wrong_sign(optax.adam(1e-3), "b"), ("b",), 12),
    "a negative learning rate": (optax.adamw(-1e-3), ("a", "b", "c"), 12),
    "the right sign": (optax.sgd(0.01), (), 40),
    "momentum that swings": (optax.sgd(1e-3, momentum=0.98), (), 150),
}


@pytest.mark.parametrize("name", UPHILL)
def test_an_update_with_the_wrong_sign_is_named(name):
    optimizer, modules, number = UPHILL[name]
    square = lambda params, batch, *, buffers, rng, train: (10 * jnp.mean((chained(params, X) - TARGETS) ** 2), (buffers, {}))
    state = TrainState(params=PARAMS, buffers={}, opt_state=optimizer.init(PARAMS), step=jnp.array(0), rng=jax.random.key(0))
    monitor = inspect.Monitor()
    monitor.record(run_steps(square, optimizer, watch=True)(jax.tree.map(jnp.copy, state), jnp.zeros(number))[1]["health"])
    uphill = [(v.module, *v.also) for v in monitor.verdicts() if v.kind == "update goes up the gradient"]
    assert uphill == ([modules] if modules else [])
    if modules:
        assert "update goes up the gradient" in monitor.table() and "update too large" not in monitor.table()


# ---- where the first NaN arises ----

PARAMS = {name: {"w": jnp.eye(4) + 0.1, "b": jnp.full(4, 0.1)} for name in MODULES}
X = jnp.linspace(-1, 1, 12).reshape(3, 4)
TARGETS = jnp.cos(5 * X)


def chained(params, x):
    return ((jnp.tanh(x @ params["a"]["w"] + params["a"]["b"])) @ params["b"]["w"] + params["b"]["b"]) @ params["c"]["w"] + params["c"]["b"]


def net(special=None, end=jnp.mean):
    def loss(params, x):
        for name, layer in params.items():
            x = x @ layer["w"] + layer["b"]
            x = jnp.tanh(special(x) if name == spoilt else x)
        return end(x)

    spoilt, special = special or ("", None)
    return loss


def origin(loss, params=PARAMS, x=X):
    return first_nonfinite(jax.jit(lambda p, x: inspect.health(loss)(p, x).health)(params, x))


@pytest.mark.parametrize("bad", [jnp.nan, jnp.inf])
def test_the_input_is_named(bad):
    assert origin(net(), x=X.at[1, 2].set(bad)) == ("forward", "the input")


@pytest.mark.parametrize("module", MODULES)
def test_the_module_of_a_bad_parameter_is_named(module):
    params = {**PARAMS, module: {**PARAMS[module], "b": jnp.array([0, jnp.nan, 0, 0])}}
    assert origin(net(), params) == ("forward", module)


@pytest.mark.parametrize("special", [lambda x: jnp.log(x - 9), lambda x: (x - x) / (x - x), lambda x: jnp.exp(x + 900) * 0])
@pytest.mark.parametrize("module", MODULES[:-1])
def test_the_module_whose_forward_breaks_is_named(module, special):
    assert origin(net((module, special))) == ("forward", module)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_whose_own_output_overflows_is_named(module):
    params = {**PARAMS, module: {**PARAMS[module], "w": jnp.full((4, 4), 3e38)}}
    assert origin(net(), params, X + 9) == ("forward", module)


def test_the_loss_is_named():
    assert origin(net(end=lambda x: jnp.log(x - 9).mean())) == ("forward", "the loss")
    assert origin(net(end=lambda x: jnp.sqrt(x - x).mean())) == ("backward", "the loss")


@pytest.mark.parametrize("module", MODULES[:-1])
def test_the_module_whose_backward_breaks_is_named(module):
    assert origin(net((module, lambda x: x + jnp.sqrt(x - x)))) == ("backward", module)


def test_nothing_is_named_where_all_is_finite():
    assert origin(net()) is None


class Equinox(eqx.Module):
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    special: object

    def __call__(self, x):
        return self.second(jnp.tanh(self.special(self.first(x)))).sum()


EQUINOX = {"log": (lambda x: jnp.log(x - 99), "forward"), "sqrt": (lambda x: x + jnp.sqrt(x - x), "backward")}


@pytest.mark.parametrize("name", EQUINOX)
def test_a_module_of_equinox_is_named(name):
    special, direction = EQUINOX[name]
    k1, k2 = jax.random.split(jax.random.key(0))
    model = Equinox(eqx.nn.Linear(4, 5, key=k1), eqx.nn.Linear(5, 2, key=k2), special)
    params, static = eqx.partition(model, eqx.is_inexact_array)
    assert origin(lambda p, x: jax.vmap(eqx.combine(p, static))(x).mean(), params) == (direction, "first")
