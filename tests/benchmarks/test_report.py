"""The benchmark measures a small model, and says what it measured."""

import json

import numpy as np
import pytest

from benchmarks import measure, report
from benchmarks.workloads import WORKLOADS

MLP = next(w for w in WORKLOADS if w.kind == "mlp")._replace(sizes={"activation": "relu", "layers": 3, "width": 16, "batch": 32})


@pytest.fixture(scope="module")
def rows():
    return measure.rows_of(MLP, ["hand", "jax.grad", "checkpoint: dots", "NumPy"], 2, 10.0, 1e9, with_peak=False)


def test_a_row_for_each_competitor(rows):
    hand, auto, checkpoint, numpy = rows
    assert hand.bytes_ratio == hand.time_ratio == 1.0 and 0 < auto.bytes_ratio < 1
    assert hand.argument_bytes == auto.argument_bytes and hand.output_bytes == auto.output_bytes > 0
    assert 0 < hand.gradient_error < 1e-5 and 0 < auto.gradient_error < 1e-5
    assert hand.items_per_second == pytest.approx(32 / hand.milliseconds * 1e3) and hand.unit == "images"
    assert checkpoint.missing == "the model has no blocks to recompute" and "XOR" in numpy.missing


def test_the_peak_is_that_of_a_process_of_its_own():
    ballast = np.ones(2**26)
    xor = next(w for w in WORKLOADS if w.kind == "xor")
    assert 0 < measure.peak_bytes(xor, "NumPy") < ballast.nbytes


def test_what_is_written(rows, tmp_path):
    text = report.write(rows, "a machine", tmp_path)
    assert text == (tmp_path / "benchmark.md").read_text(encoding="utf-8")
    assert "the model has no blocks to recompute" in text and "≤ 0.60" in text
    assert [r["competitor"] for r in json.loads((tmp_path / "benchmark.json").read_text())["rows"]] == [r.competitor for r in rows]
    assert (tmp_path / "benchmark.png").stat().st_size > 1000


def test_a_goal_that_is_missed_is_told(rows):
    slow = rows[1]._replace(time_ratio=1.5)
    assert "1.50 | ≤ 1.00, not reached |" in report.markdown([rows[0], slow], "")


def test_the_growth_of_bytes_with_the_length_is_told(rows):
    short, long = (rows[0]._replace(workload=name, temporary_bytes=n) for name, n in ((report.SHORT, 100), (report.LONG, 230)))
    assert "grow 2.30 times (goal ≤ 2.2, not reached)" in report.markdown([short, long], "")
    assert "grow" not in report.markdown([short], "")
    assert {report.SHORT, report.LONG} <= {w.name for w in WORKLOADS}


def test_the_readme_gets_the_summary_between_its_marks(rows, tmp_path):
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{report._BEGIN}old\n{report._END}after\n", encoding="utf-8")
    report.put_into(readme, report.summary(rows, "a machine"))
    text = readme.read_text(encoding="utf-8")
    assert text.startswith("before\n") and text.endswith("after\n") and "old" not in text
    assert f"| {MLP.name} | {rows[1].bytes_ratio:.2f} |" in text
