"""nn.summary: a row for each module, whose numbers add up."""

import jax.numpy as jnp
import pytest

from bpjax import nn

x = jnp.ones((5, 4))


def by_path(model, *inputs, **options):
    return {row.module: row for row in nn.summary(model, *inputs, **options).rows}


def deep():
    return nn.Sequential(nn.Sequential(nn.Linear(4, 3), nn.Tanh()), nn.Linear(3, 2, bias=False))


def test_rows():
    rows = by_path(deep(), x)
    assert [name for name in rows if name[0] != "("] == ["0", "0.0", "0.1", "1"] and list(rows)[-1] == "(everything)"
    assert {name: row.kind for name, row in rows.items() if name[0] != "("} == {
        "0": "Sequential", "0.0": "Linear", "0.1": "Tanh", "1": "Linear",
    }  # fmt: skip
    assert [rows[name].parameters for name in ("0", "0.0", "0.1", "1", "(everything)")] == [15, 15, 0, 6, 21]
    assert rows["(everything)"].kind == "Sequential"


def test_shapes():
    rows = by_path(deep(), x.astype(jnp.float32))
    assert [rows[name].output for name in ("0", "0.0", "0.1", "1", "(everything)")] == [
        "float32[5, 3]", "float32[5, 3]", "float32[5, 3]", "float32[5, 2]", "float32[5, 2]",
    ]  # fmt: skip
    assert by_path(nn.RNN(4, 3), jnp.ones((6, 2, 4)))["(everything)"].output == "float32[6, 2, 3], float32[1, 2, 3]"


def test_numbers_add_up():
    rows = by_path(deep(), x)
    whole, outside = rows.pop("(everything)"), [row for name, row in rows.items() if name[0] == "("]
    for column in ("parameters", "forward", "backward", "saved_hand", "saved_auto"):
        assert getattr(rows["0"], column) == getattr(rows["0.0"], column) + getattr(rows["0.1"], column)
        assert getattr(whole, column) == sum(getattr(row, column) for row in (rows["0"], rows["1"], *outside))
    products = 2 * 5 * 4 * 3 + 2 * 5 * 3 * 2
    assert whole.forward >= products and whole.saved_hand <= whole.saved_auto


def test_a_row_begins_with_its_own_path_alone():
    rows = by_path(nn.Sequential(*(nn.Linear(4, 4) for _ in range(11))), x)
    assert rows["1"].parameters == rows["10"].parameters == 20 and rows["(everything)"].parameters == 220


def test_a_model_without_parameters():
    rows = by_path(nn.Sequential(nn.Flatten(), nn.ReLU()), jnp.ones((2, 3, 4)))
    assert [rows[name].output for name in ("0", "1", "(everything)")] == ["float32[2, 12]"] * 3
    assert rows["(everything)"].parameters == 0


def test_a_lazy_model_takes_its_sizes():
    model = nn.Sequential(nn.LazyLinear(3), nn.ReLU())
    rows = by_path(model, x)
    assert rows["0"].kind == "Linear" and rows["0"].parameters == 15


def test_training_or_not():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5))
    trained, evaluated = (by_path(model, x, train=train)["(everything)"] for train in (True, False))
    assert trained.saved_auto > evaluated.saved_auto


def test_a_tied_parameter_is_counted_once():
    model = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    model[1].weight = model[0].weight
    assert by_path(model, x)["(everything)"].parameters == 16


def test_integers_go_in():
    assert by_path(nn.Embedding(10, 3), jnp.array([1, 2]))["(everything)"].parameters == 30


def test_printing():
    lines = str(nn.summary(deep(), x)).splitlines()
    assert lines[0].split() == ["module", "kind", "output", "parameters", *"FLOPs forward FLOPs backward saved, hand saved, auto".split()]
    assert len(lines) == 1 + len(nn.summary(deep(), x).rows) and lines[1].startswith("0 ")
    assert "1,000,000" in str(nn.summary(nn.Linear(1000, 1000, bias=False), jnp.ones(1000)))


def test_refused():
    with pytest.raises(ValueError, match="expected input with last dimension 4"):
        nn.summary(nn.Linear(4, 3), jnp.ones((5, 3)))
