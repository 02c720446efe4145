"""The scripts' command lines, and what scripts/train does, without making an environment."""

import importlib.machinery
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import _environment
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
    ["--lr -1", "--lr fast", "--lr nan", "--epochs 0", "--batch 2000", "--seed -1", "--model gpt", "--what", "--watch 0"],
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
    assert all(f"--{o}" in text for o in "model gradient optimizer lr epochs batch seed watch out accelerator".split())


def test_split_is_stratified_and_held_out():
    (x, labels), (test_x, test_labels) = train.digits(0)
    assert x.shape == (1437, 8, 8) and test_x.shape == (360, 8, 8)
    assert np.ptp(np.bincount(test_labels)) <= 3
    assert len(np.unique(np.concatenate([x, test_x]).reshape(1797, 64), axis=0)) == 1797


@pytest.mark.parametrize("model", ["mlp", "rnn"])
def test_train_writes_curves_metrics_and_parameters(model, tmp_path, capsys):
    train.main(train.options(["--model", model, "--epochs", "2", "--out", str(tmp_path / "run")]))
    out = capsys.readouterr().out
    assert "device:" in out and "first step" in out and "last step" in out and "predictions in which the two runs differ" in out
    assert {p.name for p in (tmp_path / "run").iterdir()} == {"curves.png", "metrics.jsonl", "params-hand.npz", "params-auto.npz"}
    rows = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [(r["gradient"], r["epoch"]) for r in rows] == [("hand", 1), ("hand", 2), ("auto", 1), ("auto", 2)]


@pytest.mark.parametrize("model, wanted", [("mlp", 0.97), ("cnn", 0.98), ("rnn", 0.97)])
def test_digits_are_learned_by_hand_gradients_as_by_automatic_ones(model, wanted):
    """Mean accuracy over five splits by hand; and from one seed, the two derivatives' runs differ in at most two predictions."""
    environment = {name: value for name, value in os.environ.items() if name != "XLA_FLAGS"}
    command = [sys.executable, str(ROOT / "tests" / "trained_digits.py"), model]
    found = json.loads(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)
    assert np.mean(found["accuracies"]) >= wanted, found
    assert found["differing"] <= 2


def test_a_training_that_is_stopped_keeps_what_it_has(tmp_path, monkeypatch):
    original, calls = train.predictions, []

    def interrupted(*args):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(train, "predictions", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train.main(train.options(["--epochs", "5", "--out", str(tmp_path)]))
    assert {p.name for p in tmp_path.iterdir()} == {"curves.png", "metrics.jsonl", "params-hand.npz"}
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 2


def test_an_output_folder_that_cannot_be_made_is_told_before_training(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        train.main(train.options(["--out", str(tmp_path / "file" / "folder")]))
    assert "cannot be written" in capsys.readouterr().err


def test_a_metric_that_is_not_finite_is_null():
    row = {"epoch": 3, "loss": float("nan"), "train_accuracy": float("-inf"), "test_accuracy": 0.25, "model": "mlp"}
    assert json.loads(train.json_line(row)) == {**row, "loss": None, "train_accuracy": None}


def test_the_metrics_of_a_run_that_diverges_are_json(tmp_path):
    def no_constant(name):
        raise AssertionError(f"{name} is not JSON")

    train.main(train.options(["--gradient", "hand", "--epochs", "2", "--lr", "1e30", "--out", str(tmp_path)]))
    rows = [json.loads(line, parse_constant=no_constant) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [row["loss"] for row in rows] == [None, None]


def test_a_run_takes_the_place_of_an_earlier_one_and_says_so(tmp_path, capsys):
    (tmp_path / "tensorboard").mkdir()
    for file in ("metrics.jsonl", "params-auto.npz", "health.jsonl", "tensorboard/events.out.tfevents.1", "notes.txt"):
        (tmp_path / file).write_text("old")
    train.main(train.options(["--gradient", "hand", "--epochs", "1", "--out", str(tmp_path)]))
    told = (
        "holds an earlier run, which this one replaces: health.jsonl, metrics.jsonl, params-auto.npz, tensorboard/events.out.tfevents.1\n"
    )
    assert told in capsys.readouterr().out
    assert {p.name for p in tmp_path.iterdir()} == {"curves.png", "metrics.jsonl", "params-hand.npz", "tensorboard", "notes.txt"}
    assert len((tmp_path / "metrics.jsonl").read_text().splitlines()) == 1 and not any((tmp_path / "tensorboard").iterdir())


@pytest.mark.skipif(os.name == "nt", reason="files are locked by fcntl")
def test_two_runs_at_once_do_not_write_into_one_folder(tmp_path, capsys):
    with train.claim(tmp_path) as first:
        print("the first run's", file=first, flush=True)
        with pytest.raises(SystemExit) as stopped:
            train.main(train.options(["--gradient", "hand", "--epochs", "1", "--out", str(tmp_path)]))
    assert stopped.value.code == 2 and "another run is writing to" in capsys.readouterr().err
    assert (tmp_path / "metrics.jsonl").read_text() == "the first run's\n"


INTERRUPTED = """
import os, runpy, signal, sys
sys.path.insert(0, os.path.dirname(sys.argv[1]))
import _environment
_environment.enter = lambda *extras: None
if sys.argv.pop(2) == "at once":
    import bpjax.training
    bpjax.training.create_state = lambda *arguments: os.kill(os.getpid(), signal.SIGINT)
sys.argv.pop(0)
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def started(when, folder):
    command = [sys.executable, "-c", INTERRUPTED, str(ROOT / "scripts" / "train"), when, "--epochs", "100000", "--out", str(folder)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT")
def test_ctrl_c_writes_the_parameters_that_there_are(tmp_path):
    process = started("after an epoch", tmp_path)
    while process.poll() is None and not ((tmp_path / "metrics.jsonl").exists() and (tmp_path / "metrics.jsonl").read_text()):
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    out, error = process.communicate()
    assert process.returncode == 130 and error.endswith("stopped\n") and "Traceback" not in error, error
    assert "params-hand.npz" in out and set(np.load(tmp_path / "params-hand.npz")) == {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}
    assert all(json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines())


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT")
def test_ctrl_c_before_the_first_epoch_is_done_leaves_nothing(tmp_path):
    process = started("at once", tmp_path)
    _, error = process.communicate()
    assert process.returncode == 130 and error.endswith("no epoch was finished: there is nothing to write\nstopped\n"), error
    assert not any(tmp_path.iterdir())


compare, explain = load("compare_gradients"), load("explain")
GOOD = "import jax.numpy as jnp\ndef loss(x): return jnp.sum(jnp.sin(x))\ndef example_args(): return (jnp.ones(3),)\n"


def compared(tmp_path, text, *options, script=compare, function="loss"):
    (tmp_path / "users.py").write_text(text)
    return script.main(script.options([f"{tmp_path / 'users.py'}:{function}", "--precision", "float32", *options]))


def test_compare_gradients_prints_the_report(tmp_path, capsys):
    assert compared(tmp_path, GOOD) == 0
    assert "argument 0" in capsys.readouterr().out


MISTAKES = {
    "a syntax error": ("def loss(x:", [], "SyntaxError"),
    "an import error": ("import no_such_module", [], "no_such_module"),
    "no arguments": ("def loss(x): return x", [], "has no example_args"),
    "no function": (GOOD.replace("loss", "other"), [], "has no function loss"),
    "argnums": (GOOD, ["--argnums", "5"], "argnums=5"),
    "too few": (GOOD.replace("(jnp.ones(3),)", "()"), [], "argnums=0"),
    "no tuple": (GOOD.replace("(jnp.ones(3),)", "jnp.ones(3)"), [], "must return a tuple"),
    "an error inside": (GOOD.replace("jnp.sin(x)", "nothing(x)"), [], "failed at line 2: NameError"),
}


@pytest.mark.parametrize("script", [compare, explain], ids=["compare_gradients", "explain"])
@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_the_users_file_is_told_in_one_line(tmp_path, capsys, script, mistake):
    text, options, words = MISTAKES[mistake]
    with pytest.raises(SystemExit) as stopped:
        compared(tmp_path, text, *options, script=script)
    error = capsys.readouterr().err
    assert stopped.value.code == 2 and error.count("\n") == 1 and words in error


def test_explain_prints_the_tables_and_writes_the_page(tmp_path, capsys):
    compared(tmp_path, GOOD, "--out", str(tmp_path / "page.html"), "--steps", "2", script=explain)
    out = capsys.readouterr().out
    assert "after 2 step(s)" in out and "dx = cos(x) dy" in out
    assert "dx = cos(x) dy" in (tmp_path / "page.html").read_text()


@pytest.mark.parametrize("arguments", ["--lr 0", "--lr nan", "--steps 0", "nothing", "nothing.py:loss"])
def test_explain_tells_a_bad_value_in_one_line(arguments, capsys):
    with pytest.raises(SystemExit) as stopped:
        explain.options(arguments.split())
    assert stopped.value.code == 2 and capsys.readouterr().err.count("\n") == 1


def test_explain_tells_a_page_that_cannot_be_written(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit):
        compared(tmp_path, GOOD, "--out", str(tmp_path / "file" / "page.html"), script=explain)
    assert "cannot be written" in capsys.readouterr().err


def test_train_shows_the_health_and_writes_it(tmp_path, capsys):
    train.main(train.options(["--gradient", "hand", "--epochs", "2", "--watch", "1", "--out", str(tmp_path / "run")]))
    out = capsys.readouterr().out
    assert out.count("health at steps") == 2 and "gain" in out and "fc1" in out
    rows = [json.loads(line) for line in (tmp_path / "run" / "health.jsonl").read_text().splitlines()]
    assert len(rows) == 2 * (1437 // 32) and set(rows[0]["modules"]) == {"fc1", "fc2"}
    assert (tmp_path / "run" / "health.png").read_bytes().startswith(b"\x89PNG")
    assert any((tmp_path / "run" / "tensorboard").iterdir())


def test_the_installed_package_is_found_beside_a_folder_of_its_name(tmp_path):
    """As the clone itself is one, in the folder above it."""
    (tmp_path / "bpjax").mkdir()
    command = [sys.executable, "-c", "import bpjax; print(bpjax.grad.__module__)"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.stdout.strip() == "bpjax.engine.derivatives", result.stderr


SICK = {  # the command line; the line with which it ends
    "watched": ("--gradient hand --watch 1 --lr 1e9", "hand: non-finite since step 3 in fc2: NaN or infinity first in the forward pass"),
    "from the first step on": ("--gradient hand --watch 1 --lr 1e38", "hand: non-finite since step 1 in fc2"),
    "not watched": ("--gradient auto --lr 1e9", "auto: non-finite: its loss since epoch 1"),
    "recurrent, trained twice": ("--model rnn --watch 2 --optimizer momentum --lr 1e38", "auto: non-finite: its loss since epoch 1"),
}


@pytest.mark.parametrize("name", SICK)
def test_a_training_that_diverges_ends_with_a_verdict_and_valid_files(name, tmp_path, capsys):
    line, words = SICK[name]
    assert train.main(train.options([*line.split(), "--epochs", "2", "--out", str(tmp_path)])) == 1
    assert words in capsys.readouterr().err.splitlines()[-1]
    rows = [json.loads(line, parse_constant=pytest.fail) for file in tmp_path.glob("*.jsonl") for line in file.read_text().splitlines()]
    assert any(row["loss"] is None for row in rows)
    wanted = {"curves.png", "metrics.jsonl"} | ({"health.jsonl", "health.png", "tensorboard"} if "watch" in line else set())
    assert wanted < {p.name for p in tmp_path.iterdir()}


def test_a_healthy_training_ends_with_status_0(tmp_path, capsys):
    assert train.main(train.options(["--gradient", "hand", "--epochs", "1", "--out", str(tmp_path)])) == 0
    assert "non-finite" not in capsys.readouterr().err


@pytest.fixture
def venv(tmp_path, monkeypatch):
    """A folder that stands for .venv, with a pip that only notes: what is installed, and what each extra of an accelerator brings."""
    installed, brings = {"pip", "requests"}, {"tpu": {"libtpu", "requests", "tqdm"}, "cuda12": {"jax-cuda12-plugin", "nvidia-cublas"}}

    def pip(command, *arguments, **options):
        if command == "uninstall":
            installed.difference_update(arguments)
        elif command == "install":
            extra = arguments[-1].partition("[")[2].rstrip("]")
            installed.update(brings.get(extra, {"jax"}))
        return subprocess.CompletedProcess(arguments, 0, stdout="".join(f"{name}==1\n" for name in sorted(installed)))

    monkeypatch.setattr(_environment, "_pip", pip)
    monkeypatch.setattr(_environment, "_make", lambda: None)
    monkeypatch.setattr(_environment, "VENV", tmp_path)
    monkeypatch.setattr(_environment, "PYTHON", Path(sys.executable))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    return installed


def test_what_is_installed_is_read_from_pip(monkeypatch):
    monkeypatch.setattr(_environment, "PYTHON", Path(sys.executable))
    assert {"jax", "numpy"} <= _environment._distributions()


def without_device(script, accelerator, monkeypatch):
    """What a script does where JAX finds no such device."""
    import jax

    def no_devices(*_):
        raise RuntimeError("Unable to initialize backend")

    monkeypatch.setattr(jax, "devices", no_devices)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(SystemExit) as stopped:
        train.choose_device(accelerator) if script == "train" else load("check_gpu").main(accelerator, 1)
    assert stopped.value.code == 2


@pytest.mark.parametrize(("script", "accelerator"), [("train", "tpu"), ("train", "cuda12"), ("check_gpu", "cuda12")])
def test_nothing_stays_behind_of_an_accelerator_that_is_not_there(script, accelerator, venv, tmp_path, monkeypatch):
    _environment.enter("scripts")
    before, files = set(venv), sorted(tmp_path.iterdir())
    _environment.enter("scripts", accelerator)
    assert venv > before
    without_device(script, accelerator, monkeypatch)
    assert venv == before and sorted(tmp_path.iterdir()) == files


def test_an_accelerator_that_was_found_before_stays(venv, monkeypatch):
    """It may be in use by another program."""
    _environment.enter("scripts", "cuda12")
    with monkeypatch.context() as m:
        m.setenv("JAX_PLATFORMS", "cpu")
        train.choose_device("cuda12")  # any device will do here
    there = set(venv)
    without_device("train", "cuda12", monkeypatch)
    assert venv == there


def test_what_was_installed_before_this_was_noted_goes_too(venv, tmp_path, monkeypatch):
    _environment.enter("scripts", "tpu")
    (tmp_path / "brought-tpu").unlink()
    without_device("train", "tpu", monkeypatch)
    assert "libtpu" not in venv and "requests" in venv and not (tmp_path / "installed-tpu").exists()


def test_every_library_whose_programs_are_tested_is_pinned(monkeypatch):
    monkeypatch.setattr(_environment, "HAS_LIBRARIES", True)
    pinned = {line.split("==")[0] for line in _environment._constraints().splitlines()}
    assert set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]["libraries"]) <= pinned
