"""Text from data, files and errors, made inert for GitHub's Markdown."""

from __future__ import annotations

import re

_NO_BREAK = "\N{NO-BREAK SPACE}"
_SPECIAL = re.compile(r"([\\`*\[\]|~$])|(?<![^\W_])_|_(?![^\W_])")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


def escape(text: object) -> str:
    """One line of text that Markdown shows as it is.

    Conventions:
        White space and control characters become single spaces. Underscores inside a
        word are left alone, since Markdown does so too.

    >>> escape("a|b <i> `x`")
    'a\\\\|b &lt;i&gt; \\\\`x\\\\`'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(text)).split())
    for sign, entity in _ENTITIES.items():
        line = line.replace(sign, entity)
    line = _SPECIAL.sub(lambda match: "\\" + match.group(0), line)
    # A bare address would otherwise become a link that a class name or a path has set.
    return line.replace("://", "\\://").replace("www.", "www\\.")


def unbroken(text: str) -> str:
    """A figure that a narrow table does not wrap."""
    return text.replace(" ", _NO_BREAK)


def code(text: object) -> str:
    """Text as a code span outside tables; backticks inside it are kept.

    >>> code("a`b")
    '`` a`b ``'
    """
    line = " ".join(str(text).split())
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if "`" in line else ""
    return f"{ticks}{pad}{line}{pad}{ticks}"


def block(text: str) -> str:
    """Several lines as a fenced block that nothing inside can close."""
    fence = "`" * max(3, _longest_run(text) + 1)
    return f"{fence}text\n{text.rstrip()}\n{fence}"


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)
