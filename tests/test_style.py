"""The code is as ruff and pyright want it."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def said_by(*command):
    result = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True, cwd=ROOT)
    return "" if result.returncode == 0 else result.stdout + result.stderr


def test_ruff_has_nothing_to_say():
    assert said_by("ruff", "check", "--no-cache", ".") == ""


def test_the_code_is_formatted():
    assert said_by("ruff", "format", "--no-cache", "--check", ".") == ""


def test_pyright_has_nothing_to_say():
    """Of the floors named in pyproject.toml."""
    assert said_by("pyright", "--pythonpath", sys.executable) == ""


def test_an_editor_shows_the_signature_of_an_op(tmp_path):
    """`op` is generic: what it makes takes the formula's arguments and returns its result."""
    code = """
import bpjax

@bpjax.op(static=("power",))
def raised(x: float, power: int = 2) -> float:
    return x**power

reveal_type(raised.__call__)
raised(2.0, strength=3)
"""
    (tmp_path / "shown.py").write_text(code)
    shown = said_by("pyright", "--pythonpath", sys.executable, str(tmp_path / "shown.py"))
    assert '"(x: float, power: int = 2) -> float"' in shown and 'No parameter named "strength"' in shown
