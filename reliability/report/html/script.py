"""The chart library's script, as the page carries it."""

from __future__ import annotations

import re

import numpy as np

from reliability.errors import MissingExtraError
from reliability.evaluate.storage.cache import Cache, Job
from reliability.versions import installed

EXTRA = "html"
_PACKAGE = "vl-convert-python"
_SNIPPET = "window.vegaEmbed = vegaEmbed;"
"""All that the page's own script asks of the library."""


def chart_script(cache: Cache) -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that may stand inside a page; bundled once, then cached.

    Raises:
        MissingExtraError: The package that brings it is not installed.
    """
    payload = {"kind": "chart script", _PACKAGE: _version(), "snippet": _SNIPPET}
    stored = cache.get([Job(payload, _bundle)])[0]["script"]
    return inert(stored.tobytes().decode())


def inert(script: str) -> str:
    """A script that cannot end the element it stands in.

    The two signs below only ever stand in its strings and regular expressions, where the
    backslash changes nothing.
    """
    text = re.sub(r"</(?=script)", r"<\\/", script, flags=re.IGNORECASE)
    return text.replace("<!--", r"<\!--").replace("\r\n", "\n")


def _version() -> str:
    try:
        return installed(_PACKAGE)
    except ModuleNotFoundError as error:
        raise missing_extra(_PACKAGE) from error


def missing_extra(package: str) -> MissingExtraError:
    """The error for a page that cannot be written here."""
    return MissingExtraError(
        where="report.html", what=f"the page needs the package {package}, which is not installed",
        next=f'pip install "quant-reliability[{EXTRA}]"',
    )  # fmt: skip


def _bundle() -> dict[str, np.ndarray[tuple[int], np.dtype[np.uint8]]]:
    try:
        import vl_convert
    except ImportError as error:
        raise missing_extra(_PACKAGE) from error
    try:
        script = vl_convert.javascript_bundle(_SNIPPET)
    except ValueError as error:
        raise MissingExtraError(
            where="report.html", what=f"{_PACKAGE} cannot bundle the chart library here", got=error,
            next=f'install it anew: pip install --force-reinstall "quant-reliability[{EXTRA}]"',
        ) from error  # fmt: skip
    return {"script": np.frombuffer(script.encode(), dtype=np.uint8)}
