"""The examples in docstrings run, and print what they say."""

import doctest
import importlib
import pkgutil

import pytest

import bpjax
from bpjax.engine import RULES, Op

MODULES = [bpjax.__name__, *(m.name for m in pkgutil.walk_packages(bpjax.__path__, "bpjax."))]


class _Finder(doctest.DocTestFinder):
    """Finds the examples of ops too, which are no functions."""

    def _find(self, tests, obj, name, module, source_lines, globs, seen):
        super()._find(tests, obj, name, module, source_lines, globs, seen)
        for attribute, value in vars(obj).items() if obj is module else ():
            if isinstance(value, Op) and value.__module__ == module.__name__:
                tests.append(self._get_test(value, f"{name}.{attribute}", module, globs, source_lines))


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name, monkeypatch):
    module = importlib.import_module(name)
    monkeypatch.setitem(RULES, "tanh", RULES["tanh"])  # an example declares it anew
    tests = [t for t in _Finder().find(module, name) if t is not None and t.examples]
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    for test in tests:
        runner.run(test)
    assert runner.failures == 0, f"{runner.failures} examples of {name} do not print what they say"


def test_every_op_has_an_example():
    ops = {name: value for name, value in vars(bpjax.functional).items() if isinstance(value, Op)}
    assert ops and not [name for name, op in ops.items() if ">>>" not in op.__doc__]
