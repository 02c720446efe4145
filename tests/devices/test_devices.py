"""Gradients on eight devices are those of JAX, in value and in type; see `programs`."""

import json
import os
import pathlib
import subprocess
import sys

import pytest

PROGRAMS = pathlib.Path(__file__).with_name("programs.py")
AT_LEAST = {"checked": 40, "unchecked": 40, "around": 11, "explicit": 43, "layers": 185}  # rows: so that none is left out in silence

# XLA:CPU gives n devices n threads. Where a few thousand small programs with collectives are queued up, two of them each hold some of
# those threads and wait for ever (plain JAX too: `reshard` in a loop, on two busy cores), so there are more.
ENVIRONMENT = {**os.environ, "NPROC": "32"}


@pytest.mark.parametrize("kind", [pytest.param(k, marks=pytest.mark.slow if k == "layers" else ()) for k in AT_LEAST])
def test_on_eight_devices(kind):
    done = subprocess.run([sys.executable, "-W", "error::UserWarning", PROGRAMS, kind], capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 0, done.stderr[-3000:]
    rows = list(map(json.loads, done.stdout.splitlines()))
    assert len(rows) >= AT_LEAST[kind]
    assert [row for row in rows if not (row["error"] < 1e-10 and row["same_type"])] == []
