"""Pictures of the explorer for the README and the site, from the demo's warehouse.

``python -m docs.screenshots --warehouse warehouse`` writes ``docs/explore-*.png``. It needs Chromium and
``pip install playwright``.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

LAYER = "visual.layer4.0.act3:input:max"
PICTURES = {
    "explore-layer.png": (f"{{run}}/{LAYER}", 760),
    "explore-neuron.png": (f"{{run}}/{LAYER}/29", 1180),
    "explore-map.png": (f"{{run}}/{LAYER}/map", 900),
}
"""File, address and height in pixels."""


def main() -> None:
    """Serve the warehouse and draw each picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--warehouse", required=True, help="the demo's")
    warehouse = parser.parse_args().warehouse
    command = [
        sys.executable,
        "-m",
        "pipeline.cli",
        "explore",
        "--warehouse",
        warehouse,
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            found = re.search(r"http://\S+", server.stdout.readline())
            assert found is not None, "the explorer did not say where it is"
            draw(found[0].rstrip("/"))
        finally:
            server.terminate()


def draw(address: str) -> None:
    """Draw every picture of `PICTURES`.

    Args:
        address: Of the explorer.
    """
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(120_000)
        page.goto(address)
        run = page.locator("h2 a", has_text=re.compile("^demo$")).get_attribute("href")
        for name, (place, height_px) in PICTURES.items():
            page.set_viewport_size({"width": 1280, "height": height_px})
            page.goto(address + place.format(run=run))
            page.locator("[aria-busy=true]").first.wait_for(state="detached")
            page.wait_for_load_state("networkidle")
            page.screenshot(path=Path(__file__).parent / name)
        browser.close()


if __name__ == "__main__":
    main()
