"""Gradients on eight devices are those of JAX, in value and in type; see `programs`."""

import json
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).with_name("programs.py")
AT_LEAST = {"checked": 40, "unchecked": 40, "around": 11, "explicit": 43, "layers": 185}  # rows: so that none is left out in silence


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if k == "layers" else ()) for k in AT_LEAST])
def test_on_eight_devices(kind):
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", PROGRAMS, kind], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = list(map(json.loads, done.stdout.splitlines()))
    assert len(rows) >= AT_LEAST[kind]
    assert [row for row in rows if not (row["error"] < 1e-10 and row["same_type"])] == []
