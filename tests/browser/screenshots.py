"""Pictures of a run's page for its documentation: python tests/browser/screenshots.py RUN_FOLDER OUT_FOLDER."""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
VIEWS = {
    "overview": (1280, 860, "light", "h1"),
    "cases": (1280, 860, "light", "#cases"),
    "charts": (1280, 860, "dark", "#roc"),
    "pictures": (1280, 720, "light", "#flips"),
    "phone": (390, 844, "dark", "#cases"),
}
"""Name to width, height, colour scheme and what stands at the top."""


def main(run: Path, out: Path) -> None:
    """Open the page once for each view and write it as WebP."""
    out.mkdir(parents=True, exist_ok=True)
    chromium = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium)
        for name, (width, height, scheme, top) in VIEWS.items():
            size = {"width": width, "height": height}
            page = browser.new_page(viewport=size, color_scheme=scheme, reduced_motion="reduce")
            page.goto((run / "report.html").resolve().as_uri())
            page.locator(top).evaluate("element => element.tagName === 'H1' || element.scrollIntoView()")
            page.wait_for_timeout(2500)
            picture = Image.open(io.BytesIO(page.screenshot()))
            picture.save(out / f"{name}.webp", quality=82, method=6)
            page.close()
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
