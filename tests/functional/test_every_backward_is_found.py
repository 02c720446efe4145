"""`grep '@NAME.def_backward'`, or `grep '(NAME'` at a recipe, finds the backward of every op."""

import importlib
import inspect
import pkgutil
import re

import pytest

import bpjax.functional
from bpjax.engine import Op
from bpjax.engine.sweep import source_of

MODULES = [importlib.import_module(m.name) for m in pkgutil.walk_packages(bpjax.functional.__path__, "bpjax.functional.")]
OPS = {(m, name): op for m in MODULES for name, op in vars(m).items() if isinstance(op, Op) and op.__module__ == m.__name__}


def test_every_op_is_looked_at():
    public = {op for op in vars(bpjax.functional).values() if isinstance(op, Op)}
    assert public and public <= set(OPS.values())


@pytest.mark.parametrize(("module", "name"), OPS, ids=[name for _, name in OPS])
def test_the_name_stands_above_the_backward(module, name):
    """Above the one that runs: of a recipe, the slope, whose line errors name, too."""
    backward = OPS[module, name].declared("backward")
    assert source_of(backward).startswith(f"{module.__file__}:")
    decorators = inspect.getsource(inspect.unwrap(backward)).split("\ndef ")[0]
    assert re.search(rf"^@({name}\.def_backward\b|from_(output|input|mask)\({name}\b)", decorators, re.MULTILINE), decorators
