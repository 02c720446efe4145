"""What a compiled program does when it is run once, read off its text: kernels, the bytes that they move, products, collectives."""

import functools
import math
import re
from collections import Counter
from typing import NamedTuple

COLLECTIVES = ("all-gather", "all-reduce", "reduce-scatter", "all-to-all", "collective-permute")
_LAUNCHED = {"fusion", "custom-call", "copy", "copy-start", "sort", "scatter", "dot", "convolution", "reduce", "rng-bit-generator"}
_COMPUTATION = re.compile(r"^(ENTRY )?%?([\w.\-]+) .*\{$")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?([\w.\-]+) = (\(.*?\)|\S+) ([a-z][\w\-]*)\((.*)$")
_CALLED = re.compile(r"(?:body|to_apply|calls|true_computation|false_computation|branch_computations)=(\{[^}]*\}|%?[\w.\-]+)")
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')
_TYPE = re.compile(r"\b([a-z]+)(\d+)?\w*\[([\d,]*)\]")
_PIECES = {"dynamic-slice", "slice", "gather"}  # of their first operand they read what they give


class Work(NamedTuple):
    """Of one run: kernels launched, bytes that they read and write, operations of products, and how often each collective is run, and the
    bytes of its results. A loop counts as often as it has steps, once where that is not known; of branches the one that launches most."""

    launches: int
    moved: int
    products: int
    collectives: dict
    sent: dict
    busy: float = 0.0  # seconds, if each kernel moves its bytes at `bandwidth` or does its products at `peak`, whichever takes longer

    def seconds(self, of_launch: float = 3e-6) -> float:
        """A model of the time, no measurement: the kernels one after the other, and what it costs to launch each."""
        return self.busy + self.launches * of_launch


class _Instruction(NamedTuple):
    name: str
    types: list[tuple[int, list[int]]]  # bytes of a value and the sizes, of each array of the result
    opcode: str
    operands: list[str]
    attributes: str

    @property
    def bytes(self) -> int:
        return sum(each * math.prod(sizes) for each, sizes in self.types)


def work(text: str, bandwidth: float = math.inf, peak: float = math.inf) -> Work:
    """Of `compiled.as_text()`; bytes and operations a second of the device."""
    program, entry = _computations(text)

    @functools.cache
    def of(name: str) -> tuple[int, int, int, Counter, Counter, float]:
        launches = moved = products = 0
        busy = 0.0
        counts, sent = Counter(), Counter()
        named = {i.name: i for i in program.get(name, ())}
        for i in named.values():
            kind = i.opcode.removesuffix("-start")
            called = [c for group in _CALLED.findall(i.attributes) for c in re.findall(r"[\w.\-]+", group)]
            if kind in COLLECTIVES:
                counts[kind] += 1
                sent[kind] += i.bytes
                launches += 1
            elif i.opcode in _LAUNCHED:
                launches += 1
                bytes_moved = _moved(i, named, program.get(called[0], ()) if i.opcode == "fusion" and called else ())
                multiplied = _products(i, named) + sum(of(c)[2] for c in called)
                moved, products, busy = moved + bytes_moved, products + multiplied, busy + max(bytes_moved / bandwidth, multiplied / peak)
            else:
                found = [of(c) for c in called]
                if i.opcode == "conditional" and found:
                    found = [max(found, key=lambda each: each[0])]
                times = int(trips[1]) if (trips := _TRIPS.search(i.attributes)) else 1
                launches, moved, products = (a + times * sum(f[k] for f in found) for k, a in enumerate((launches, moved, products)))
                busy += times * sum(f[5] for f in found)
                products += _products(i, named)
                for total, k in ((counts, 3), (sent, 4)):
                    for f in found:
                        total.update({kind: times * n for kind, n in f[k].items()})
        return launches, moved, products, counts, sent, busy

    launches, moved, products, counts, sent, busy = of(entry)
    return Work(launches, moved, products, dict(counts), dict(sent), busy)


def _computations(text: str) -> tuple[dict[str, list[_Instruction]], str]:
    """The instructions of each computation, and the name of that which is run."""
    found: dict[str, list[_Instruction]] = {}
    entry = name = ""
    for line in re.sub(r"/\*.*?\*/", "", text).splitlines():
        if head := _COMPUTATION.match(line):
            name = head[2]
            found[name] = []
            entry = name if head[1] else entry
        elif instruction := _INSTRUCTION.match(line):
            inside = re.match(r"[^()]*(?:\([^()]*\)[^()]*)*", instruction[4])
            operands = inside[0] if inside else ""
            types = [
                (max(int(bits or 8) // 8, 1), [int(n) for n in dims.split(",") if n]) for _, bits, dims in _TYPE.findall(instruction[2])
            ]
            attributes = instruction[4][len(operands) :]
            names = re.findall(r"%([\w.\-]+)", operands) if instruction[3] != "parameter" else [operands]
            found[name].append(_Instruction(instruction[1], types, instruction[3], names, attributes))
    return found, entry


def _moved(i: _Instruction, named: dict, inside) -> int:
    """The bytes that a kernel reads and writes: of what it takes pieces of, those; of what it changes in place, what it writes."""
    read = {k: named[n].bytes if n in named else 0 for k, n in enumerate(i.operands)}
    written, of_name = i.bytes, {each.name: each for each in inside}
    parameters = {each.name: int(each.operands[0]) for each in inside if each.opcode == "parameter"}
    users: dict[str, list] = {}
    for each in inside:
        for k, n in enumerate(each.operands):
            users.setdefault(n, []).append((each, k))
    for name, number in parameters.items():
        uses = users.get(name, [])
        if uses and all(k == 0 and (u.opcode in _PIECES or u.opcode == "dynamic-update-slice") for u, k in uses):
            read[number] = sum(u.bytes for u, _ in uses if u.opcode in _PIECES)
    for each in inside:
        if each.opcode == "dynamic-update-slice" and each.operands[0] in parameters and len(each.operands) > 1:
            written += of_name[each.operands[1]].bytes - each.bytes
    return sum(read.values()) + max(written, 0)


def _products(i: _Instruction, named: dict) -> int:
    """Twice the multiplications of a product of matrices or a convolution."""
    shapes = [named[n].types[0][1] if n in named and named[n].types else [] for n in i.operands]
    if i.opcode == "dot" or (i.opcode == "custom-call" and "lhs_contracting_dims" in i.attributes):
        along = re.search(r"lhs_contracting_dims=\{([\d,]*)\}", i.attributes)
        over = math.prod(shapes[0][int(k)] for k in along[1].split(",") if k) if along and shapes else 1
        return 2 * math.prod(i.types[0][1]) * over
    labels = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", i.attributes)
    if not labels or len(shapes) < 2:
        return 0
    is_filter, is_input = "BackwardFilter" in i.attributes, "BackwardInput" in i.attributes
    image = shapes[1] if is_filter else shapes[0] if is_input else i.types[0][1]
    kernel = i.types[0][1] if is_filter else shapes[1]
    return 2 * math.prod(image) * math.prod(kernel) // max(kernel[labels[2].index("o")], 1)
