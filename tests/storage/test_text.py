"""Text files as editors and shells of several systems write them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseshift.storage.text import TextEncodingError, decode, read_text

TEXT = "name: Größe [a]\nlist: [1, 2]\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_every_encoding_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.yaml").write_bytes(TEXT.encode(encoding))
    assert read_text(tmp_path / "a.yaml") == TEXT


def test_another_encoding_is_named_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes("name: Größe".encode("latin-1"))
    with pytest.raises(TextEncodingError, match=r"a\.yaml: is not text in UTF-8 .*save it as UTF-8"):
        read_text(tmp_path / "a.yaml")
    assert read_text(tmp_path / "a.yaml", otherwise="latin-1") == "name: Größe"


@given(st.text(alphabet=st.characters(min_codepoint=1, exclude_categories=["Cs"])))
def test_utf8_and_marked_utf16_come_back(text: str) -> None:
    if not text.startswith("\ufeff"):
        assert decode(text.encode("utf-16"), Path("x")) == text
        assert decode(text.encode(), Path("x")) == text


def test_an_empty_file_is_empty_text() -> None:
    assert decode(b"", Path("x")) == ""
