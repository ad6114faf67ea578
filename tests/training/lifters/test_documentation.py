"""The page about lifters states what the code says."""

import re
from pathlib import Path

from poseshift.training.lifters.registry import describe

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/lifters.md").read_text(encoding="utf-8")


def test_table_holds_the_numbers_that_describe_gives() -> None:
    row = re.compile(r"^\| `([\w-]+)` \|[^|]*\| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \|", re.MULTILINE)
    written = {
        name: tuple(int(number.replace(",", "")) for number in numbers)
        for name, *numbers in row.findall(PAGE)
    }
    assert written == {one.name: (one.frames, one.parameters, one.multiply_adds) for one in describe()}


def test_code_on_the_page_is_the_code() -> None:
    blocks = re.findall(r'```python title="([^"]+)"\n(.*?)```', PAGE, re.DOTALL)
    assert {path for path, _ in blocks} == {
        "training/lifters/simple_baseline.py",
        "training/lifters/registry.py",
    }
    for path, code in blocks:
        assert code in (ROOT / path).read_text(encoding="utf-8")
