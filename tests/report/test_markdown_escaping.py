"""Text from elsewhere is shown as it is and does nothing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.report.escape import block, code, escape, unbroken


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("worst_group_accuracy", "worst_group_accuracy"),
        ("_emphasis_", r"\_emphasis\_"),
        ("a|b", r"a\|b"),
        ("<img src=x>", "&lt;img src=x&gt;"),
        ("&lt;", "&amp;lt;"),
        ("`x`", r"\`x\`"),
        ("**b** ~~s~~ $x$", r"\*\*b\*\* \~\~s\~\~ \$x\$"),
        ("[a](b)", r"\[a\](b)"),
        ("c:\\|", r"c:\\\|"),
        ("two\nlines\r\nand\ttabs\x00\u2028end", "two lines and tabs end"),
        ("http://x.y www.z", r"http\://x.y www\.z"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text())
def test_escaped_text_is_one_line_without_bare_pipes_or_tags(text: str) -> None:
    line = escape(text)
    assert len(line.splitlines()) <= 1
    stripped = line.replace("\\\\", "")
    for sign in "|`*[]":
        assert stripped.count(sign) == stripped.count("\\" + sign)
    assert "<" not in line
    assert ">" not in line


@given(st.text(alphabet="`a\n "))
def test_nothing_inside_closes_its_fence_or_span(text: str) -> None:
    fence, *inside, end = block(text).split("\n")
    assert fence.removesuffix("text") == end
    assert not any(line.strip().startswith(end) for line in inside)
    span = code(text)
    ticks = len(span) - len(span.lstrip("`"))
    assert "`" * ticks not in span[ticks:-ticks].strip("` ") or ticks == 0


def test_a_figure_does_not_wrap() -> None:
    assert unbroken("1.00 pp") == "1.00\N{NO-BREAK SPACE}pp"
