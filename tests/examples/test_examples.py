"""Each example runs as a function, and what it claims is true."""

import ast
import runpy
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from examples import any_jax_code, by_hand, hessian_vector, lean_layers, looking, own_layer, worked_example, xor

RIGHT = {
    "a1": 0.21, "a2": 0.315, "y3": 0.552308, "y4": 0.578105, "a3": 0.685987, "y5": 0.665074, "error": -0.165074, "delta5": -0.036770,
    "delta3": -0.002728, "delta4": -0.008071, "new w23": 0.878743, "new w13": 0.279691, "new w11": 0.199045, "new w12": 0.297175,
    "new w21": 0.198091, "new w22": 0.294350, "then y3": 0.551895, "then y4": 0.576899, "then y5": 0.659554, "then error": -0.159554,
}  # fmt: skip


def test_worked_example_gives_the_right_quantities_to_six_digits():
    found = worked_example.quantities()
    assert {name: round(value, 6) for name, value in found.items()} == RIGHT
    assert set(worked_example.ARTICLE) == set(RIGHT)


def test_worked_example_reaches_its_limits_after_74_and_132_updates():
    assert worked_example.updates_until(0.01, 0.001) == [74, 132]


@pytest.mark.parametrize("module", [worked_example, xor, by_hand, own_layer, any_jax_code, hessian_vector], ids=lambda m: m.__name__)
def test_example_runs(module, capsys):
    module.main()
    assert capsys.readouterr().out


@pytest.fixture
def data(x64):
    return jnp.array(xor.X, float), jnp.array(xor.Y, float)


def test_xor_written_out_is_the_gradient_of_half_the_sum_of_squares(data):
    p = xor.initial(jax.random.key(3))
    expected = jax.grad(lambda p: jnp.sum((data[1] - xor.feedforward(p, data[0])[1]) ** 2) / 2)(p)
    for gradient in (xor.explicit, *xor.GRADIENTS.values()):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-15), gradient(p, *data), expected)


def test_xor_ends_within_a_tenth_of_its_targets_from_19_of_20_seeds(data):
    starts = jax.vmap(lambda seed: xor.initial(jax.random.key(seed)))(jnp.arange(20))
    ends, _, _ = jax.vmap(lambda p: xor.train(p, *data, 10_000, 0.1, xor.GRADIENTS["bpjax.grad"]))(starts)
    outputs = jax.vmap(lambda p: xor.feedforward(p, data[0])[1])(ends)
    assert (jnp.abs(outputs - data[1]).max((1, 2)) < 0.1).sum() >= 19


@pytest.mark.parametrize("name", xor.GRADIENTS)
def test_xor_takes_the_10000_steps_of_plain_numpy(data, name):
    start = xor.initial(jax.random.key(0))
    _, losses, weights = xor.train(start, *data, 10_000, 0.1, xor.GRADIENTS[name], record=_flat)
    expected = []
    xor.train_in_numpy(start, *map(np.asarray, data), 10_000, 0.1, lambda p, value: expected.append((value, _flat_numpy(p))))
    np.testing.assert_allclose(losses, [value for value, _ in expected], rtol=0, atol=1e-9)
    np.testing.assert_allclose(weights, np.stack([p for _, p in expected]), rtol=0, atol=1e-9)


def _flat(p):
    return jnp.concatenate([w.ravel() for w in jax.tree.leaves(p)])


def _flat_numpy(p):
    return np.concatenate([p[name].ravel() for name in sorted(p)])


def test_xor_printout_has_the_epochs_of_the_article(capsys):
    network = xor.NeuralNetwork(2, 4, 1)
    network.train(jnp.array(xor.X, float), jnp.array(xor.Y, float), 10_000, 0.1)
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()] == ["Epoch 0", "Epoch 4000", "Epoch 8000"]


def test_by_hand_equals_jax_grad(x64):
    params, x, labels = by_hand.example_args()
    value, gradient = by_hand.loss_and_gradient(params, x, labels)
    expected_value, expected = jax.value_and_grad(by_hand.loss)(params, x, labels)
    np.testing.assert_allclose(value, expected_value, rtol=1e-12)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-15), gradient, expected)


def test_by_hand_learns():
    losses = by_hand.train()[1]
    assert losses[-1] < losses[0] / 4


def test_own_layer_is_right_and_its_planted_mistake_is_blamed():
    right, wrong = own_layer.reports()
    right.assert_ok()
    assert not wrong.ok
    assert "swish" in str(wrong)
    assert own_layer.reports()[0].ok  # the mistake was taken back


def test_hessian_vector_products_are_equal(x64):
    args = hessian_vector.example()
    exact = jax.jvp(lambda w: jax.grad(hessian_vector.loss)(w, *args[2:]), (args[0],), (args[1],))[1]
    for way in hessian_vector.WAYS:
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12), jax.jit(way)(*args), exact)


def test_guided_back_propagation_shows_the_digit(tmp_path, capsys):
    looking.main(tmp_path / "looking.png")
    assert (tmp_path / "looking.png").read_bytes().startswith(b"\x89PNG")
    images, labels = (jnp.array(a[:100]) for a in (looking.load_digits().images / 16, looking.load_digits().target))
    found = looking.maps(looking.trained(images.astype(jnp.float32), labels), images.astype(jnp.float32), labels)
    likeness = {name: np.mean([np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(shown, images)]) for name, shown in found.items()}
    assert likeness["guided back-propagation"] > likeness["gradient"] + 0.1


def test_lean_layers_save_bytes_in_untouched_models():
    assert all(after < before for before, after in lean_layers.main().values())


ROOT = Path(__file__).parent.parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_an_example_runs_in_the_environment_of_scripts_train_or_says_what_it_needs(file):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    installed = {line.split(">")[0] for line in (*project["dependencies"], *project["optional-dependencies"]["scripts"])}
    freely = [node for node in ast.parse(file.read_text()).body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {name.split(".")[0] for node in freely for name in ([node.module] if hasattr(node, "module") else [a.name for a in node.names])}
    needed = names - {"bpjax", "examples"} - set(sys.stdlib_module_names)
    assert all(installed & set(packages_distributions()[name]) for name in needed), needed


@pytest.mark.parametrize("library", ["equinox", "flax"])
@pytest.mark.parametrize("example", ["any_jax_code", "lean_layers"])
def test_an_example_that_lacks_a_library_says_how_to_install_it(example, library, monkeypatch):
    monkeypatch.setitem(sys.modules, library, None)  # so that its import fails
    with pytest.raises(SystemExit) as stopped:
        runpy.run_path(str(ROOT / "examples" / f"{example}.py"), run_name="__main__")
    assert stopped.value.code == f"this example needs {library}: {sys.executable} -m pip install equinox flax"
