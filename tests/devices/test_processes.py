"""Two processes that train together, over loopback, have the losses of one; see `processes`."""

import json
import pathlib
import socket
import subprocess
import sys

import numpy as np

PROGRAM = pathlib.Path(__file__).with_name("processes.py")


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def trained(processes: int) -> list[dict]:
    port = free_port()
    started = [
        subprocess.Popen(
            [sys.executable, PROGRAM, str(i), str(processes), str(port)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for i in range(processes)
    ]
    try:
        said = [p.communicate(timeout=120) for p in started]
    finally:
        for p in started:
            p.kill()
    assert all(p.returncode == 0 for p in started), said
    return [json.loads(out.splitlines()[-1]) for out, _ in said]


def test_two_processes_have_the_losses_of_one():
    (alone,) = trained(1)
    both = trained(2)
    assert [(r["devices"], r["processes"]) for r in (alone, *both)] == [(8, 1), (8, 2), (8, 2)]
    assert both[0]["losses"] == both[1]["losses"]
    np.testing.assert_allclose(both[0]["losses"], alone["losses"], rtol=1e-6)
    assert alone["losses"][-1] < 0.9 * alone["losses"][0]
