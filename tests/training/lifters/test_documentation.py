"""The page about lifters states what the code says."""

import re
from pathlib import Path

from poseshift.flows.commands.listing import shipped_listing

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/lifters.md").read_text(encoding="utf-8")


def test_table_holds_the_numbers_that_the_command_lists() -> None:
    """They are those of the networks: another test compares the listing with what is counted."""
    row = re.compile(r"^\| `([\w-]+)` \|[^|]*\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", re.MULTILINE)
    written = {
        name: tuple(int(number.replace(",", "")) for number in numbers)
        for name, *numbers in row.findall(PAGE)
    }
    assert written == {
        one.name: (one.frames, one.parameters, one.multiply_adds) for one in shipped_listing().lifters
    }


def test_code_on_the_page_is_the_code() -> None:
    blocks = re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL)
    assert {path for path, _ in blocks} == {
        "training/lifters/simple_baseline.py",
        "training/lifters/registry.py",
    }
    for path, code in blocks:
        assert code in (ROOT / path).read_text(encoding="utf-8")
