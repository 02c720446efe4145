"""Monitor: what it records, and how it hands it out."""

import json
import struct

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from matplotlib.figure import Figure

from bpjax import inspect
from bpjax.inspect import Monitor, Thresholds
from bpjax.models.digits import MODELS, classification_loss
from bpjax.training import create_state, make_train_step, run_steps

STEPS = 12
key = jax.random.key(0)
images = jax.random.normal(key, (STEPS, 8, 8, 8)), jax.random.randint(key, (STEPS, 8), 0, 10)


@pytest.fixture(scope="module")
def metrics():
    """Of twelve steps of a CNN in one scan."""
    model = MODELS["cnn"](2)
    return run_steps(classification_loss(model), optax.sgd(0.1), watch=True)(create_state(model, key, optax.sgd(0.1)), images)[1]


@pytest.fixture
def monitor(metrics):
    monitor = Monitor()
    monitor.record(metrics["health"])
    monitor.record_validation(2.5, 3)
    monitor.record_validation(2.25)
    return monitor


def assert_same(one, other):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), one, other)


def test_a_scan_is_recorded_step_by_step(monitor, metrics):
    assert [step for step, _ in monitor.history] == list(range(STEPS))
    np.testing.assert_array_equal([health.value for _, health in monitor.history], metrics["loss"])
    assert monitor.history[0][1].delta.shape == (3,)
    assert monitor.validation == [(3, 2.5), (STEPS - 1, 2.25)]


def test_single_steps_are_recorded_as_those_of_a_scan(monitor):
    model, single = MODELS["cnn"](2), Monitor()
    step, state = make_train_step(classification_loss(model), watch=True), create_state(model, key, optax.sgd(0.1))
    for i in range(STEPS):
        state, metrics = step(state, jax.tree.map(lambda a: a[i], images))
        single.record(metrics["health"])
    assert [step for step, _ in single.history] == [step for step, _ in monitor.history]
    for (_, one), (_, other) in zip(single.history, monitor.history):
        assert_same(one, other)


def test_steps_are_numbered_as_they_are_given(metrics):
    monitor = Monitor()
    monitor.record(metrics["health"], step=100)
    monitor.record(jax.tree.map(lambda a: a[0], metrics["health"]))
    monitor.record(jax.tree.map(lambda a: a[0], metrics["health"]), step=500)
    assert [step for step, _ in monitor.history] == [*range(100, 100 + STEPS), 100 + STEPS, 500]


def test_examples_under_vmap_are_recorded_one_by_one():
    watched = jax.vmap(inspect.health(lambda p, x: jnp.sum(jnp.tanh(p["a"]["w"] * x))), (None, 0))
    monitor = Monitor()
    monitor.record(watched({"a": {"w": jnp.ones(3)}}, jnp.ones((4, 3))).health)
    assert len(monitor.history) == 4 and monitor.history[0][1].value.shape == ()


def test_the_table_has_a_row_for_each_module_by_depth(monitor):
    above, head, *rows = monitor.table().splitlines()
    assert above.startswith(f"health at steps {STEPS - 5} to {STEPS - 1}, loss ")
    assert head.split() == ["module", "|delta|", "gain", "|grad|/|w|", "|update|/|w|", "dead", "saturated", "non-finite", "verdict"]
    assert [row.split()[0] for row in rows[:3]] == ["conv1", "conv2", "fc"]
    recent = [health for _, health in monitor.history[-5:]]
    assert rows[1].split()[1] == f"{np.median([h.delta[1] for h in recent]):.2e}"
    assert rows[1].split()[2] == f"{np.median([h.outgoing[1] / h.incoming[1] for h in recent]):.2e}"
    assert rows[0].split()[2] == "-"


def test_the_table_holds_the_verdicts():
    monitor = Monitor(Thresholds(patience=2))
    params = {"a": {"w": jnp.ones((3, 3)), "b": jnp.full(3, -99.0)}, "c": {"w": jnp.ones(3)}}

    def loss(p, x):
        return jnp.sum(jax.nn.relu(x @ p["a"]["w"] + p["a"]["b"]) @ p["c"]["w"])

    for _ in range(3):
        monitor.record(inspect.health(loss)(params, jnp.ones((2, 3))).health)
    (row,) = [row for row in monitor.table().splitlines() if row.split()[0] == "a"]
    assert "100%" in row and row.endswith("dead ReLU")
    assert str(next(v for v in monitor.verdicts() if v.kind == "dead ReLU")) in monitor.table()


def test_an_empty_monitor_says_so(tmp_path):
    assert Monitor().verdicts() == []
    assert Monitor().table() == "no steps were recorded"
    with pytest.raises(ValueError, match="no steps"):
        Monitor().draw(tmp_path / "health.png")
    Monitor().write_json_lines(tmp_path / "health.jsonl")
    assert (tmp_path / "health.jsonl").read_text() == ""


def test_json_lines_hold_every_statistic(monitor, tmp_path):
    monitor.write_json_lines(tmp_path / "health.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "health.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(STEPS))
    for line, (_, health) in zip(lines, monitor.history):
        assert line["loss"] == float(health.value)
        assert tuple(line["modules"]) == health.modules
        for i, statistics in enumerate(line["modules"].values()):
            for name in ("delta", "incoming", "outgoing", "dead", "nonfinite_forward", "nonfinite_backward"):
                number = float(getattr(health, name)[i])
                assert statistics[name] == (number if np.isfinite(number) else None)
            assert statistics["saturated"] is None
            assert statistics["gain"] == pytest.approx(health.outgoing[i] / health.incoming[i])


def scalars(file):
    """{(tag, step): value} of a TensorBoard file: records of length, checksum, content, checksum."""
    from tensorboardX.proto import event_pb2

    data, found = file.read_bytes(), {}
    while data:
        (length,) = struct.unpack("<Q", data[:8])
        event = event_pb2.Event.FromString(data[12 : 12 + length])
        found |= {(value.tag, event.step): value.simple_value for value in event.summary.value}
        data = data[16 + length :]
    return found


def test_tensorboard_scalars_can_be_read_again(monitor, tmp_path):
    monitor.write_tensorboard(tmp_path)
    (file,) = tmp_path.iterdir()
    found = scalars(file)
    for step, health in monitor.history:
        assert found["loss", step] == health.value
        for i, module in enumerate(health.modules):
            assert found[f"delta/{module}", step] == health.delta[i]
    assert found["validation_loss", 3] == 2.5
    assert found["validation_loss", STEPS - 1] == 2.25
    assert ("saturated/fc", 0) not in found


@pytest.mark.parametrize("steps", [1, STEPS])
def test_the_picture_is_a_png(steps, metrics, tmp_path):
    monitor = Monitor()
    monitor.record(jax.tree.map(lambda a: a[:steps], metrics["health"]))
    monitor.record_validation(2.0)
    monitor.draw(tmp_path / "health.png")
    png = (tmp_path / "health.png").read_bytes()
    width, height = struct.unpack(">II", png[16:24])
    assert png[:8] == b"\x89PNG\r\n\x1a\n" and width > 500 and height > 200


def test_a_net_of_one_module_can_be_shown(tmp_path):
    monitor = Monitor()
    for _ in range(6):
        monitor.record(inspect.health(lambda p: jnp.sum(p["a"]["w"] ** 2 @ jnp.ones(2)))({"a": {"w": jnp.ones(2)}}).health)
    assert monitor.verdicts() == []
    assert "a" in monitor.table()
    monitor.draw(tmp_path / "health.png")


def test_a_function_in_which_no_data_meets_a_parameter_has_an_empty_table(tmp_path):
    monitor = inspect.Monitor()
    monitor.record(inspect.health(lambda p: jnp.sum(p["a"]["w"] ** 2))({"a": {"w": jnp.ones(3)}}).health)
    monitor.draw(tmp_path / "health.png")
    assert len(monitor.table().splitlines()) == 2 and not monitor.verdicts()


def ends(*losses):
    """The health of a step of which the loss, and with it every delta, is each of these in turn."""
    params, monitor = {"a": {"w": jnp.eye(2)}, "b": {"w": jnp.ones(2)}}, Monitor()
    for loss in losses:
        scaled = inspect.health(lambda p, scale=loss: scale * jnp.sum(jnp.ones((1, 2)) @ p["a"]["w"] @ p["b"]["w"] / 2))
        monitor.record(scaled(params).health)
        monitor.record_validation(loss)
    return monitor


@pytest.mark.parametrize(
    "losses", [[jnp.nan], [jnp.nan] * 9, [jnp.inf, -jnp.inf] * 3, [1.0] * 6 + [jnp.nan], [jnp.nan, 1.0], [1e38, jnp.inf]]
)
def test_a_training_that_is_not_finite_is_told_and_written(losses, tmp_path):
    monitor, at = ends(*losses), next(i for i, loss in enumerate(losses) if not np.isfinite(loss))
    assert [(v.kind, v.since) for v in monitor.verdicts()] == [("non-finite", at)]
    assert "non-finite" in monitor.table()
    monitor.write_json_lines(tmp_path / "health.jsonl")
    rows = [json.loads(line, parse_constant=pytest.fail) for line in (tmp_path / "health.jsonl").read_text().splitlines()]
    assert [row["loss"] is None for row in rows] == [not np.isfinite(loss) for loss in losses]
    monitor.write_tensorboard(tmp_path / "board")
    (file,) = (tmp_path / "board").iterdir()
    assert all(np.isfinite(value) for value in scalars(file).values())
    monitor.draw(tmp_path / "health.png")
    assert (tmp_path / "health.png").stat().st_size > 1000


def drawn(monitor, file, monkeypatch):
    """The panels of the picture by title, and the figure."""
    figures, save = [], Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *args, **kwargs: (figures.append(figure), save(figure, *args, **kwargs)))
    monitor.draw(file)
    figures[0].draw_without_rendering()
    panels = {panel.get_title(loc="left") or panel.get_ylabel(): panel for panel in figures[0].axes}
    return *(next(p for title, p in panels.items() if title.startswith(words)) for words in ("what reaches", "what each", "loss")), figures[
        0
    ]


def sigmoids(depth, steps, path="fc{}"):
    layers = {path.format(i): {"w": jax.random.normal(jax.random.key(i), (8, 8)) / 8**0.5} for i in range(depth)}

    def loss(params, x):
        for layer in params.values():
            x = jax.nn.sigmoid(x @ layer["w"])
        return x.sum()

    monitor, health = Monitor(), jax.jit(inspect.health(loss))(layers, jnp.ones((4, 8))).health
    for _ in range(steps):
        monitor.record(health)
    return monitor, health


def test_the_picture_shows_what_reaches_each_module(tmp_path, monkeypatch):
    monitor, health = sigmoids(20, 12, "fc{:02}")
    reaches, gain, _, _ = drawn(monitor, tmp_path / "health.png", monkeypatch)
    colours = reaches.collections[0]
    powers = np.log10(health.delta / health.delta[-1])
    np.testing.assert_allclose(np.asarray(colours.get_array()).reshape(20, 12)[:, 0], powers, rtol=1e-4, atol=1e-6)
    assert powers[0] < -8 and colours.get_clim()[0] <= powers[0]  # the scale holds the first one
    assert [label.get_text() for label in reaches.get_yticklabels()] == [f"fc{i:02}" for i in range(20)]
    shades = [np.array(colours.cmap(colours.norm(power))) for power in powers]
    assert np.linalg.norm(shades[0] - shades[10]) > 0.3 and np.linalg.norm(shades[10] - shades[19]) > 0.3
    gains = np.asarray(gain.collections[0].get_array()).reshape(20, 12)[1:, 0]
    np.testing.assert_allclose(gains, np.log10((health.outgoing / health.incoming)[1:]), rtol=1e-4)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 400])
@pytest.mark.parametrize(
    ("modules", "path"), [(1, "fc{}"), (3, "fc{}"), (3, "encoder.layers.{}.attention.output.projection"), (150, "m{}")]
)
def test_labels_and_ticks_fit(modules, path, steps, tmp_path, monkeypatch):
    monitor, _ = sigmoids(modules, 1, path)
    monitor.history = [(t, monitor.history[0][1]) for t in range(steps)]
    reaches, gain, loss, figure = drawn(monitor, tmp_path / "health.png", monkeypatch)
    for panel in (reaches, gain, loss):
        low, high = panel.get_xlim()
        ticks = [t for t in panel.get_xticks() if low <= t <= high]
        assert ticks and all(t == int(t) for t in ticks) and len(ticks) >= min(steps, 3)
        assert_apart([label.get_window_extent() for t, label in zip(panel.get_xticks(), panel.get_xticklabels()) if low <= t <= high])
    names = [label.get_window_extent() for label in reaches.get_yticklabels()]
    assert len(names) == modules if modules <= 3 else 20 <= len(names) < modules
    assert_apart(names)
    assert all(box.x0 >= 0 for box in names)
    titles = [panel._left_title.get_window_extent() for panel in (reaches, gain)]
    assert titles[0].x1 < titles[1].x0 and titles[1].x1 < figure.bbox.x1


def assert_apart(boxes):
    assert not any(a.overlaps(b) for a, b in zip(boxes, boxes[1:]))
