"""Each floor knows only those under it, there is no circle among the files, and nothing imports what is private to another floor."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "bpjax"
UNDER = {
    "program": (),
    "engine": ("program",),
    "rules": ("engine", "program"),
    "functional": ("engine", "program"),
    "nn": ("functional", "engine", "program"),
    "check": ("engine", "program"),
    "inspect": ("nn", "functional", "engine", "program"),
    "models": ("nn", "functional"),
    "training": ("inspect", "engine"),
    "interop": ("nn",),
}
FILES = {".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in PACKAGE.rglob("*.py")}


def imported(name: str) -> set[str]:
    """The files of bpjax that a file imports, as names relative to the package."""
    tree, found = ast.parse(FILES[name].read_text()), set()
    base = name.split(".")[:-1]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            start = [*base[: len(base) - node.level + 1], *(node.module.split(".") if node.module else [])]
            found |= {resolved(".".join([*start, alias.name])) or resolved(".".join(start)) for alias in node.names}
        elif isinstance(node, ast.ImportFrom | ast.Import):
            names = [node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not any(n.split(".")[0] == "bpjax" for n in names), f"{name}: import from inside by a relative name"
    return found - {None, "__init__"}


def resolved(name: str) -> str | None:
    return next((n for n in (name, f"{name}.__init__".lstrip(".")) if n in FILES), None)


IMPORTS = {name: imported(name) for name in FILES if name != "__init__"}


@pytest.mark.parametrize("floor", UNDER)
def test_a_floor_knows_only_those_under_it(floor):
    seen = {other.split(".")[0] for name in IMPORTS if name.split(".")[0] == floor for other in IMPORTS[name]}
    assert seen - {floor} <= set(UNDER[floor])


def test_every_floor_is_told():
    assert {name.split(".")[0] for name in IMPORTS} == set(UNDER)


def test_there_is_no_circle_among_the_files():
    """A package's own __init__ imports its files, and they do not import it."""
    left = dict(IMPORTS)
    while ready := [name for name, others in left.items() if not others & left.keys()]:
        for name in ready:
            del left[name]
    assert not left


def test_what_is_private_is_used_on_its_floor_and_by_nn():
    for name, others in IMPORTS.items():
        for other in others:
            if any(part.startswith("_") and part != "__init__" for part in other.split(".")):
                assert name.split(".")[0] in (other.split(".")[0], "nn"), f"{name} imports {other}"
