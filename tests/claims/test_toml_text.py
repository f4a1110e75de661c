"""Single values of a TOML file are changed where they stand; nothing else is."""

from __future__ import annotations

import pytest

from reliability.claims.toml_text import TomlText, toml_list, toml_string
from reliability.errors import ThresholdError
from reliability.toml_tables import parse_toml

TEXT = '''# Ours.
schema = 1

[run]
recipes = [
  "a",  # kept
  "b",
]

# About the first.
[[bound]]
claim = "one"
margin = 0.010  # a note with "quotes" # and more
reason = """
margin = 3
[[bound]]
"""

# About the second.
[[bound]]
  claim = "two"
  margin = 1e-2
  reason = "a # in a string"

[[bound]]
claim = "three"
applies.task = "id"
margin = 5
'''


@pytest.fixture
def document() -> TomlText:
    return TomlText(TEXT, "t.toml")


def test_without_a_change_the_text_stays_as_it_was(document: TomlText) -> None:
    assert document.result() == TEXT


def test_only_the_line_of_a_value_changes_and_its_note_stays(document: TomlText) -> None:
    document.replace("bound", 1, "margin", "0.0042")
    assert document.result() == TEXT.replace("margin = 0.010  #", "margin = 0.0042  #")


def test_a_key_inside_a_string_is_no_key_and_a_header_inside_one_no_table(document: TomlText) -> None:
    document.replace("bound", 2, "margin", "7")
    document.replace("bound", 3, "margin", "8")
    assert [bound["margin"] for bound in parse_toml(document.result())["bound"]] == [0.01, 7, 8]
    assert '\nmargin = 3\n[[bound]]\n"""' in document.result()


def test_a_value_over_several_lines_is_replaced_as_a_whole(document: TomlText) -> None:
    document.replace("run", 1, "recipes", '["c"]')
    document.replace("bound", 1, "reason", '"short"')
    parsed = parse_toml(document.result())
    assert parsed["run"] == {"recipes": ["c"]}
    assert parsed["bound"][0] == {"claim": "one", "margin": 0.01, "reason": "short"}
    assert len(parsed["bound"]) == 3


def test_comments_stand_above_a_value_in_its_indentation_and_give_way_to_later_ones(document: TomlText) -> None:
    document.replace("bound", 2, "margin", None, ["first", "second"])
    once = document.result()
    assert '  claim = "two"\n  # proposal: first\n  # proposal: second\n  margin = 1e-2\n' in once
    again = TomlText(once, "t.toml")
    again.replace("bound", 2, "margin", "2", ["third"])
    assert again.result() == TEXT.replace("  margin = 1e-2", "  # proposal: third\n  margin = 2")


def test_a_table_goes_with_the_comments_above_it_and_leaves_those_below(document: TomlText) -> None:
    document.remove("bound", 1)
    assert document.result() == TEXT[: TEXT.index("# About the first.")] + TEXT[TEXT.index("# About the second.") :]


def test_more_is_put_at_the_end_after_an_empty_line(document: TomlText) -> None:
    assert document.result("[x]\n") == f"{TEXT}\n[x]\n"


def test_windows_line_ends_stay() -> None:
    document = TomlText("[a]\r\nx = 1\r\ny = 2\r\n", "t.toml")
    document.replace("a", 1, "x", "3", ["why"])
    assert document.result() == "[a]\r\n# proposal: why\r\nx = 3\r\ny = 2\r\n"


@pytest.mark.parametrize(
    ("text", "table", "index", "key"),
    [
        ("bound = [{margin = 1}]\n", "bound", 1, "margin"),
        (TEXT, "bound", 4, "margin"),
        (TEXT, "bound", 3, "gate"),
        (TEXT, "bound", 3, "task"),
    ],
)
def test_what_does_not_stand_on_a_line_of_its_own_is_refused(text: str, table: str, index: int, key: str) -> None:
    with pytest.raises(ThresholdError, match="single values"):
        TomlText(text, "t.toml").replace(table, index, key, "1")


def test_a_line_that_is_no_toml_is_named() -> None:
    with pytest.raises(ThresholdError) as caught:
        TomlText("a = 1\nb = \n", "t.toml")
    assert caught.value.where == "t.toml, line 2"


@pytest.mark.parametrize("text", ["plain", 'a "b" \\', "\x00\x1b\x7f\n\t", "☃ \u2028 \U0001f600", ""])
def test_any_text_survives_as_a_string_on_one_line(text: str) -> None:
    written = toml_string(text)
    assert "\n" not in written
    assert parse_toml(f"x = {written}\ny = {toml_list([text, 'b'])}") == {"x": text, "y": [text, "b"]}
