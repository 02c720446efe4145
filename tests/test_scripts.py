"""The scripts' command lines, and what scripts/train does, without making an environment."""

import importlib.machinery
import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent


def load(name):
    loader = importlib.machinery.SourceFileLoader(f"script_{name}", str(ROOT / "scripts" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


train = load("train")


@pytest.mark.parametrize(
    "arguments",
    ["--lr -1", "--lr fast", "--lr nan", "--epochs 0", "--batch 2000", "--seed -1", "--model gpt", "--what"],
)
def test_train_tells_a_bad_value_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        train.options(arguments.split())
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert arguments.split()[0] in error


def test_train_help_explains_every_option(capsys):
    with pytest.raises(SystemExit):
        train.options(["--help"])
    text = capsys.readouterr().out
    assert all(f"--{o}" in text for o in "model gradient optimizer lr epochs batch seed out accelerator".split())


def test_split_is_stratified_and_held_out():
    (x, labels), (test_x, test_labels) = train.digits(0)
    assert x.shape == (1437, 8, 8) and test_x.shape == (360, 8, 8)
    assert np.ptp(np.bincount(test_labels)) <= 3
    assert len(np.unique(np.concatenate([x, test_x]).reshape(1797, 64), axis=0)) == 1797


@pytest.mark.parametrize("model", sorted(train.RECIPES))
def test_train_writes_curves_metrics_and_parameters(model, tmp_path, capsys):
    train.main(train.options(["--model", model, "--epochs", "2", "--out", str(tmp_path / "run")]))
    out = capsys.readouterr().out
    assert "device:" in out and "first step" in out and "last step" in out and "predictions in which the two runs differ" in out
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"curves.png", "metrics.jsonl", "params-hand.npz", "params-auto.npz"}
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(r["gradient"], r["epoch"]) for r in rows] == [("hand", 1), ("hand", 2), ("auto", 1), ("auto", 2)]


@pytest.mark.parametrize("model, wanted", [("mlp", 0.97), ("cnn", 0.98)])
def test_digits_are_learned_by_hand_gradients_on_five_splits(model, wanted):
    import bpjax
    from bpjax.models.digits import MODELS

    lr, epochs = train.RECIPES[model]
    net = MODELS[model]()
    found = []
    for seed in range(5):
        *_, rows = train.fit(
            net, bpjax.value_and_grad, train.make_optimizer("sgd", lr), train.digits(seed), epochs=epochs, batch=32, seed=seed
        )
        found.append(rows[-1]["test_accuracy"])
    assert np.mean(found) >= wanted, found


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_hand_and_automatic_runs_differ_in_at_most_two_predictions(model):
    import jax

    import bpjax
    from bpjax.models.digits import MODELS

    lr, epochs = train.RECIPES[model]
    net, data = MODELS[model](), train.digits(0)
    a, b = (
        train.predictions(
            net, train.fit(net, gradient, train.make_optimizer("sgd", lr), data, epochs=epochs, batch=32, seed=0)[1], data[1][0]
        )
        for gradient in (bpjax.value_and_grad, jax.value_and_grad)
    )
    assert (a != b).sum() <= 2
