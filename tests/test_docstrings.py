"""The examples in docstrings run, and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import bpjax
from bpjax.engine import RULES, Op

MODULES = [bpjax.__name__, *(m.name for m in pkgutil.walk_packages(bpjax.__path__, "bpjax."))]


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.setitem(RULES, "tanh", RULES["tanh"])  # an example declares it anew
    failed, _ = doctest.testmod(module)
    assert failed == 0, f"{failed} examples of {name} do not print what they say"


def test_every_op_has_an_example():
    ops = {name: value for name, value in vars(bpjax.functional).items() if isinstance(value, Op)}
    assert ops and not [name for name, op in ops.items() if ">>>" not in op.__doc__]
