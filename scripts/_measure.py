"""Time and memory of compiled functions: interleaved, medians, ratios."""

import statistics
import time

import jax


def compiled(f, *args):
    return jax.jit(f).lower(*args).compile()


def temporary_bytes(program):
    """What the program needs beside its inputs and outputs."""
    return program.memory_analysis().temp_size_in_bytes


def medians(calls, rounds, repeat=1):
    """Median seconds of each call, and the median of its ratio to the last call; one of each in turn, so that drift falls on all."""
    seconds = [[] for _ in calls]
    for call in calls:
        jax.block_until_ready(call())
    for i in range(rounds):
        order = list(range(len(calls)))
        for k in order if i % 2 else reversed(order):
            start = time.perf_counter()
            for _ in range(repeat):
                out = calls[k]()
            jax.block_until_ready(out)
            seconds[k].append((time.perf_counter() - start) / repeat)
    ratios = [statistics.median(a / b for a, b in zip(s, seconds[-1])) for s in seconds]
    return [statistics.median(s) for s in seconds], ratios


def hand_against_auto(loss, params, *data, rounds=30, repeat=20):
    """(bytes of hand, bytes of auto, seconds of hand, seconds of auto, ratio of times) for a loss's value and gradient."""
    import bpjax

    programs = [compiled(value_and_grad(loss), params, *data) for value_and_grad in (bpjax.value_and_grad, jax.value_and_grad)]
    (hand, auto), (ratio, _) = medians([lambda p=p: p(params, *data) for p in programs], rounds, repeat)
    return *map(temporary_bytes, programs), hand, auto, ratio
