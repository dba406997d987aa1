"""Photographs the retrieval viewer of a page, T→I by `lcdh`: `python docs/picture.py PAGE.html PICTURE.png`.

It needs Playwright and a Chromium.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

SIZE = {"width": 1000, "height": 760}
COLOURS = 64  # a palette: half the bytes, and drawings have few colours


def photograph(page: Path, picture: Path) -> None:
    """Save the viewer, at the first query and 32 bits, as a PNG."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport=SIZE)
        tab.goto(page.resolve().as_uri())
        tab.wait_for_selector("#main:not([hidden])")
        tab.get_by_role("radio", name="T→I").last.click()
        tab.get_by_label("Method", exact=True).select_option("lcdh")
        tab.get_by_label("Bits", exact=True).last.select_option("32")
        tab.locator("#retrieval").screenshot(path=picture)
        browser.close()
    with Image.open(picture) as taken:
        taken.convert("RGB").quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    photograph(*map(Path, sys.argv[1:]))
