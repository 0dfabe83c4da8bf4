from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator import docs


def test_all_generated_blocks_are_current():
    assert [path.name for path in docs.stale(docs.ROOT)] == [], "run: python -m orchestrator.docs"


@pytest.mark.parametrize("name", ["lifecycle-diagram", "phases", "states", "transitions"])
def test_every_block_of_the_life_of_a_job_stands_in_a_document(name: str):
    texts = [(docs.ROOT / document).read_text(encoding="utf-8") for document in ("README.md", "docs/lifecycle.md")]
    assert sum(text.count(f"<!-- generated: {name} -->") for text in texts) == 1


def test_only_what_stands_between_markers_is_rewritten():
    text = (
        "before\n<!-- generated: a -->\nold\n<!-- /generated -->\nbetween\n"
        "<!-- generated: b -->\n<!-- /generated -->\nafter\n"
    )
    assert docs.rewritten(text, {"a": lambda: "new\nlines", "b": lambda: r"\1"}) == (
        "before\n<!-- generated: a -->\nnew\nlines\n<!-- /generated -->\nbetween\n"
        "<!-- generated: b -->\n\\1\n<!-- /generated -->\nafter\n"
    )


def test_a_marker_without_a_block_is_an_error_that_names_the_blocks():
    with pytest.raises(ValueError, match="no generated block is named 'c'; there are a, b"):
        docs.rewritten("<!-- generated: c -->\n<!-- /generated -->", {"a": str, "b": str})


@pytest.mark.parametrize(
    "text",
    [
        "<!-- generated: a -->\nnever closed",
        "<!-- generated: a -->\n<!-- generated: a -->\n<!-- /generated -->",
        "<!-- generated: a b -->\n<!-- /generated -->",
    ],
)
def test_a_block_that_is_not_closed_or_misnamed_is_an_error(text: str):
    with pytest.raises(ValueError, match="are well-formed and closed"):
        docs.rewritten(text, {"a": str})


def test_check_tells_what_is_stale_and_writes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    readme = tmp_path / "README.md"
    readme.write_text("<!-- generated: phases -->\nold\n<!-- /generated -->\n", encoding="utf-8")
    assert docs.main(["--check"], root=tmp_path) == 1
    assert "README.md is not current" in capsys.readouterr().err
    assert "old" in readme.read_text(encoding="utf-8")

    assert docs.main([], root=tmp_path) == 0
    assert capsys.readouterr().out == "README.md rewritten\n"
    assert "old" not in readme.read_text(encoding="utf-8")
    assert docs.main(["--check"], root=tmp_path) == 0


def test_an_error_names_the_document(tmp_path: Path):
    (tmp_path / "README.md").write_text("<!-- generated: nothing -->\n<!-- /generated -->\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"README\.md: no generated block is named 'nothing'"):
        docs.main([], root=tmp_path)
