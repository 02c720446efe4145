"""Every Python block of the README and of docs/ runs; the commands name scripts that exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [block for page in PAGES for block in re.findall(r"^```(\w+)\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)]


PYTHON = [code for language, code in BLOCKS if language == "python"]
SCRIPTS = sorted({script for language, code in BLOCKS if language == "bash" for script in re.findall(r"python (\S+)", code)})


@pytest.mark.parametrize("code", PYTHON, ids=lambda code: code.strip().splitlines()[-1][:40])
def test_python_block_runs(code):
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("script", SCRIPTS)
def test_command_names_a_script_that_exists(script):
    assert (ROOT / script).is_file()
