"""Makes the screenshots of README and docs from a running installation.

Run ``python tools/screenshots.py http://127.0.0.1:5000`` while ``make run`` runs. The picture must be free to
publish; the default one is the example picture of the front page (see its NOTICE).
"""

import argparse
import io
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, StorageState, sync_playwright

PROJECT = Path(__file__).parents[1]
EXAMPLE = PROJECT / "src/flask_detector/web/static/example.jpg"
FOLDER = PROJECT / "docs/screenshots"


@dataclass(frozen=True)
class Shot:
    """One screenshot: the file's name, the window's size in CSS pixels, the colours."""

    name: str
    width: int
    height: int
    scheme: Literal["light", "dark"]
    full_page: bool = False


SHOTS = (
    Shot("result.webp", 1280, 760, "light"),
    Shot("result-dark.webp", 1280, 760, "dark"),
    Shot("result-phone.webp", 390, 844, "light", full_page=True),
)


def main() -> None:
    """Send the picture once, then take each screenshot of its result."""
    parser = argparse.ArgumentParser(description="Make the screenshots of README and docs.")
    parser.add_argument("url", help="the address of a running installation, such as http://127.0.0.1:5000")
    parser.add_argument("--picture", type=Path, default=EXAMPLE, help="a picture that is free to publish")
    parser.add_argument("--chromium", default=shutil.which("chromium") or shutil.which("google-chrome"))
    arguments = parser.parse_args()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=arguments.chromium, args=["--no-sandbox"])
        sender = browser.new_context()
        address = send(sender, arguments.url, arguments.picture)
        for shot in SHOTS:
            take(browser, sender.storage_state(), address, shot)
            print(FOLDER / shot.name)
        browser.close()


def send(sender: BrowserContext, url: str, picture: Path) -> str:
    """Send a picture as a user does; return its result's address, which only the sender can open."""
    page = sender.new_page()
    page.goto(url)
    page.set_input_files("#picture", picture)
    page.get_by_role("button", name="Detect objects").click()
    page.locator(".result-shapes").wait_for()
    page.close()
    return page.url


def take(browser: Browser, sender: StorageState, address: str, shot: Shot) -> None:
    """Take one screenshot, at two device pixels for each CSS pixel."""
    page = browser.new_page(
        viewport={"width": shot.width, "height": shot.height},
        color_scheme=shot.scheme,
        device_scale_factor=2,
        reduced_motion="reduce",
        storage_state=sender,
    )
    page.goto(address)
    page.locator(".result-shapes").wait_for()
    page.wait_for_load_state("networkidle")
    taken = io.BytesIO(page.screenshot(full_page=shot.full_page))
    Image.open(taken).save(FOLDER / shot.name, quality=82, method=6)
    page.close()


if __name__ == "__main__":
    main()
