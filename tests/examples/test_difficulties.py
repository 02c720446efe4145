"""The three difficulties: the trouble shows, the report names it without being told, and each cure makes report and network well.

The seeds of an example share a test, since they share its compiled programs.
"""

import pytest

from examples import exploding, overfitting, vanishing

pytestmark = pytest.mark.slow

SEEDS = range(3)


def test_twenty_sigmoid_layers_vanish_and_each_cure_lets_them_learn(tmp_path):
    for seed in SEEDS:
        results = vanishing.compare(seed)
        for name, result in results.items():
            if name == "sigmoid":
                (verdict,) = [v for v in result.monitor.verdicts() if v.kind == "vanishing"]
                assert verdict.module == "first" and result.test < 0.15, (seed, verdict, result.test)
            else:
                assert not result.kinds and result.test > 0.8, (seed, name, result.kinds, result.test)
    vanishing.draw(results, tmp_path / "vanishing.png")
    assert_picture(tmp_path / "vanishing.png")


def test_large_weights_explode_and_each_cure_lets_them_learn(tmp_path):
    for seed in SEEDS:
        results = exploding.compare(seed)
        sick, clipped, smaller = (results[name] for name in ("large weights", "large weights, clipped", "smaller weights"))
        assert "exploding" in exploding.kinds(sick.start) and sick.test < 0.2, (seed, sick.test)
        assert "exploding" in exploding.kinds(clipped.start), seed  # clipping bounds the step, and what it bounds is still there
        assert not exploding.kinds(smaller.start), seed
        for result in (clipped, smaller):
            assert not exploding.kinds(result.end) and result.test > 0.8, (seed, exploding.kinds(result.end), result.test)
    exploding.draw(results, tmp_path / "exploding.png")
    assert_picture(tmp_path / "exploding.png")


def test_a_large_net_overfits_100_digits_and_each_cure_stops_it(tmp_path):
    for seed in SEEDS:
        results = overfitting.compare(seed)
        sick = results["no cure"]
        assert "overfitting" in sick.kinds and sick.train[1] == 1, seed
        for name, result in results.items():
            if result is not sick:
                assert not result.kinds, (seed, name, result.kinds)
                assert result.test[0] < 0.9 * sick.test[0] and result.test[1] > sick.test[1] - 0.03, (seed, name, result.test, sick.test)
    overfitting.draw(results, tmp_path / "overfitting.png")
    assert_picture(tmp_path / "overfitting.png")


def assert_picture(file):
    content = file.read_bytes()
    assert content.startswith(b"\x89PNG") and len(content) > 20_000
