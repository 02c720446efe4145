"""What is compiled for an H100 needs no more launches and no more bytes than the committed table, and reaches its goals."""

import importlib.util

import pytest

from benchmarks import hardware
from bpjax.inspect import targets

needs_wheels = pytest.mark.skipif(
    importlib.util.find_spec("jax_cuda12_plugin") is None, reason="scripts/test --hardware installs what compiles for an H100"
)
pytestmark = pytest.mark.filterwarnings("ignore:Transparent hugepages")


def test_every_model_has_its_row():
    assert set(hardware.committed()) == set(hardware.MODELS)


@pytest.mark.parametrize("name", hardware.GOALS)
def test_the_table_reaches_its_goals(name):
    assert [round(r, 2) <= goal for r, goal in zip(hardware.committed()[name].ratios(), hardware.GOALS[name])] == [True, True]


@needs_wheels
@pytest.mark.parametrize("name", hardware.MODELS)
def test_no_row_is_worse_than_the_table(name):
    row, before = hardware.measured(name), hardware.committed()[name]
    assert row.launches[0] <= before.launches[0] and row.bytes[0] <= before.bytes[0], (row, before)


def test_attention_takes_memory_that_grows_with_the_length():
    short, long = (hardware.committed()[f"GPT (1, {n}, 1024)"].bytes[0] for n in (4096, 8192))
    assert long <= 2.2 * short


def test_another_target_is_refused():
    with pytest.raises(ValueError, match="target must be one of h100"):
        targets.device("h1000")
