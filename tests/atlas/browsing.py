"""A real browser, and a window of it with the atlas."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator
from typing import Any

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
_PATIENCE = 60


@contextlib.contextmanager
def browsing() -> Iterator[Any]:
    """A browser without a window. Where there is none, tests are skipped; with BSSL_REQUIRE_BROWSER they fail."""
    found = os.environ.get("BSSL_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        if os.environ.get("BSSL_REQUIRE_BROWSER"):
            pytest.fail(f"BSSL_REQUIRE_BROWSER is set, but there is none of {', '.join(BROWSERS)}.")
        pytest.skip(f"there is none of {', '.join(BROWSERS)}")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield started
        started.close()


class Window:
    """One window of the browser with the atlas in it."""

    def __init__(self, browser, url, width=1280, height=800, theme="light"):
        self.page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
        self.errors, self.foreign, self.posts = [], [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", lambda line: line.type == "error" and self.errors.append(line.text))
        self.page.on("request", lambda request: request.method == "POST" and self.posts.append(request.url[-20:]))
        self.page.on("request", lambda request: request.url.startswith(url) or self.foreign.append(request.url))
        self.page.set_default_timeout(1000 * _PATIENCE)
        self.page.goto(url)
        self.until("document.querySelector('#waiting').hidden", patience=180)

    def until(self, condition, patience=_PATIENCE):
        deadline = time.monotonic() + patience
        while not self.page.evaluate(condition):
            assert time.monotonic() < deadline, (condition, self.errors, self.posts)
            time.sleep(0.05)

    def at(self, photo):
        x, y = self.page.evaluate(f"window.atlas.map.toScreen({photo})")
        ratio = self.page.evaluate("Math.min(2, devicePixelRatio)")
        return {"x": x / ratio, "y": y / ratio}

    def click_photo(self, photo):
        """A click on its point, from near enough that no other is nearer."""
        page = self.page
        page.evaluate(
            f"""(() => {{ const map = window.atlas.map, model = window.atlas.model;
            map.view = {{ x: model.x[{photo}] / 65535, y: model.y[{photo}] / 65535, zoom: 60 }}; map.draw(); }})()"""
        )
        page.locator("#canvas").click(position=self.at(photo))
        self.until(f"window.atlas.model.focus === {photo}")
        self.until("document.querySelectorAll('#gallery .photo').length > 10")

    def gallery(self):
        return self.page.eval_on_selector_all("#gallery .photo", "all => all.map(each => Number(each.dataset.photo))")

    def add_class(self, name):
        """With nothing selected, as a new class would label that at once."""
        count = self.page.locator("#class-list .class").count()
        self.page.evaluate("document.activeElement.blur()")
        self.page.keyboard.press("Escape")
        self.page.fill("#class-name", name)
        self.page.press("#class-name", "Enter")
        self.until(f"document.querySelectorAll('#class-list .class').length === {count + 1}")
        self.page.evaluate("document.activeElement.blur()")

    def labels(self):
        return self.page.evaluate("window.atlas.model.labels.filter(label => label != null).length")
