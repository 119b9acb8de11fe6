"""The four steps in a real browser: see, find, label, take home."""

import sqlite3
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bssl_tf
from bssl_tf.deploy import TfliteBackbone
from tests.atlas.browsing import Window, browsing
from tests.atlas.conftest import HOSTILE, PHOTOS
from tests.atlas.serving import serving


@pytest.fixture(scope="module")
def browser():
    with browsing() as started:
        yield started


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    return tmp_path_factory.mktemp("browser") / "session"


@pytest.fixture(scope="module")
def server(digits, session):
    with serving(digits, session) as started:
        yield started


@pytest.fixture(scope="module")
def window(browser, server):
    opened = Window(browser, server.url)
    yield opened
    assert not opened.errors and not opened.foreign


@pytest.fixture(scope="module")
def names(window, server):
    return server.get("api/names?photos=" + ",".join(map(str, range(PHOTOS + 1))))


def photos_of(digits, names, digit):
    return [photo for photo, name in enumerate(names) if digits.truth[name] == digit]


def test_see_a_map_with_clusters_and_thumbnails(window):
    page = window.page
    assert page.evaluate("window.atlas.model.count") == PHOTOS + 1
    drawn = "(() => { const c = document.querySelector('#canvas'); const d = c.getContext('2d').getImageData(0, 0,"
    drawn += (
        " c.width, c.height).data; const seen = new Set(); for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 250)"
    )
    drawn += " seen.add(d[i] + ' ' + d[i + 1] + ' ' + d[i + 2]); return seen.size; })()"
    assert page.evaluate(drawn) >= 3  # the clusters' colours
    page.focus("#canvas")
    for _ in range(8):
        page.keyboard.press("+")
    window.until("[...window.atlas.map.images.values()].some(image => image.naturalWidth > 0)")
    page.keyboard.press("0")
    assert page.evaluate("window.atlas.map.view.zoom") == 1


def test_find_neighbours_of_the_same_class(window, digits, names):
    zeros = photos_of(digits, names, "0")
    window.click_photo(zeros[0])
    found = window.gallery()
    assert found[0] == zeros[0] and Counter(digits.truth[names[photo]] for photo in found[:10])["0"] >= 8
    window.page.click("text=1-bit code")
    window.until("document.querySelector('#gallery .photo:nth-child(2) .note').textContent.endsWith('bits')")
    assert Counter(digits.truth[names[photo]] for photo in window.gallery()[:10])["0"] >= 6
    window.page.click("text=Cosine")


def test_find_the_like_of_a_file_from_the_disk(window, digits, names):
    window.page.set_input_files("#file", digits.folder / "00007.png")
    window.until("document.querySelector('#controls').textContent.includes('00007.png')")
    window.until("document.querySelectorAll('#gallery .photo').length > 10")
    assert {names[photo] for photo in window.gallery()[:2]} == {"00007.png", HOSTILE}


def test_hostile_names_are_text(window):
    page = window.page
    window.add_class("a&lt;'quoted' onerror=x")
    assert page.inner_text("#class-list .name") == "a&lt;'quoted' onerror=x"
    page.click("#tab-clean")
    window.until("document.querySelectorAll('#gallery .photo').length > 10")
    window.until("[...document.querySelectorAll('.photo')].some(each => each.title.includes('<img src=x'))")
    page.click("text=Skipped (2)")
    window.until("document.querySelector('#page').textContent.includes('broken.png')")
    assert page.title() == "Photo atlas"
    assert page.locator("img[src='x']").count() == 0 and page.locator("[onerror]").count() == 0
    page.keyboard.press("u")
    window.until("window.atlas.model.classes.length === 0")


def test_label_three_photos_of_each_of_two_classes_by_clicks(window, digits, names):
    page = window.page
    for key, digit in ((1, "0"), (2, "1")):
        window.add_class(f"digit {digit}")
        photos = photos_of(digits, names, digit)
        window.click_photo(photos[0])
        others = [photo for photo in window.gallery()[1:] if digits.truth[names[photo]] == digit][:2]
        for photo in others:
            page.click(f"#gallery [data-photo='{photo}']")
        page.keyboard.press(str(key))
        window.until(f"window.atlas.model.labels.filter(label => label != null).length === {3 * key}")
    window.until("window.atlas.model.predictions !== null")
    place = "window.atlas.model.predictions.class_ids[window.atlas.model.predictions.classes[{}]]"
    ids = page.evaluate("window.atlas.model.classes.map(each => each.id)")
    for class_id, digit in zip(ids, "01", strict=True):
        given = [page.evaluate(place.format(photo)) for photo in photos_of(digits, names, digit)]
        assert np.mean(np.array(given) == class_id) > 0.8
    page.click("#tab-label")
    window.until("document.querySelectorAll('#gallery .photo').length >= 24")
    assert "2202.02794" in page.inner_text("#controls") or "1901.05954" in page.inner_text("#controls")


def test_lasso_undo_and_redo(window):
    page = window.page
    page.keyboard.press("m")
    page.keyboard.press("0")
    box = page.locator("#canvas").bounding_box()
    page.keyboard.press("l")
    page.mouse.move(box["x"] + 60, box["y"] + 5)
    page.mouse.down()
    for x, y in ((0.93, 0.01), (0.93, 0.97), (0.02, 0.97), (0.02, 0.02)):
        page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=4)
    page.mouse.up()
    window.until("window.atlas.model.selection.size > 200")
    page.keyboard.press("g")
    page.keyboard.press("1")
    window.until("window.atlas.model.labels.filter(label => label != null).length > 200")
    page.keyboard.press("u")
    window.until("window.atlas.model.labels.filter(label => label != null).length === 6")
    page.keyboard.press("Shift+U")
    window.until("window.atlas.model.labels.filter(label => label != null).length > 200")
    page.keyboard.press("u")
    window.until("window.atlas.model.labels.filter(label => label != null).length === 6")


def test_two_windows_do_not_overwrite_each_other(window, browser, server):
    other = Window(browser, server.url)
    free = other.page.evaluate("window.atlas.model.labels.findIndex(label => label == null)")
    for each in (window, other):  # both have seen the same, and hear nothing of each other for a while
        each.page.evaluate("window.atlas.hold(true)")
    other.click_photo(free)
    other.page.keyboard.press("2")
    other.until(f"window.atlas.model.labels[{free}] != null")
    window.click_photo(free)
    window.page.keyboard.press("1")
    window.until("document.querySelector('#messages').textContent.includes('Another window has labelled')")
    expected = other.page.evaluate(f"window.atlas.model.labels[{free}]")
    window.until(f"window.atlas.model.labels[{free}] === {expected}")
    other.page.keyboard.press("u")
    other.until(f"window.atlas.model.labels[{free}] == null")
    window.page.evaluate("window.atlas.hold(false)")
    window.until(f"window.atlas.model.labels[{free}] == null")
    window.errors = [error for error in window.errors if "409" not in error]
    other.page.close()


def test_accuracy_opens_the_photos_of_a_cell(window):
    page = window.page
    page.click("#tab-results")
    window.until("document.querySelectorAll('.matrix button.right, .matrix button.wrong').length > 0")
    lines = page.inner_text("#controls").splitlines()
    assert any("95\u00a0% interval" in line for line in lines) and not {"false", "null", "undefined"}.intersection(
        lines
    )
    button = page.locator(".matrix button:not(:disabled)").first
    count = int(button.inner_text())
    button.click()
    window.until(f"document.querySelectorAll('#gallery .photo').length === {count}")


def test_random_checks_of_a_class_without_other_labels_count_as_wrong(window):
    page = window.page
    window.add_class("rare")
    page.click("#tab-label")
    page.click("text=Random check")
    window.until("document.querySelector('#controls').textContent.includes('that have no label')")
    window.until("document.querySelectorAll('#gallery .photo').length === 24")
    page.click("#gallery .photo >> nth=0")
    page.keyboard.press("3")
    window.until("window.atlas.model.accuracy?.unbiased === true")
    page.click("#tab-results")
    window.until("document.querySelector('#untrained') !== null")
    assert "Too few labels to train on: rare. Random checks of them count as wrong." in page.inner_text("#untrained")
    assert "0 of 1 held-out photos" in page.inner_text("#controls")
    assert page.locator(".matrix tbody tr").count() == 3 and page.locator(".matrix tbody td").count() == 6
    page.click(".matrix button.wrong")
    window.until("document.querySelectorAll('#gallery .photo').length === 1")
    for count in (3, 2):
        page.keyboard.press("u")
        window.until(
            f"window.atlas.model.labels.filter(label => label != null).length === 6 && "
            f"window.atlas.model.classes.length === {count}"
        )
    page.click("#tab-label")
    page.click("text=Label next")


def test_take_home_labels_and_a_classifier(window, digits, names, session, tmp_path):
    page = window.page
    page.click("#tab-home")
    page.click("text=Folder of links")
    window.until("document.querySelector('#controls').textContent.includes('--dataset=folder:')")
    page.click("text=Make classifier.tflite")
    window.until("document.querySelector(\"a[href='download/classifier.tflite']\") !== null", patience=180)
    with page.expect_download() as download:
        page.click("text=Download classifier.tflite")
    content = Path(download.value.path()).read_bytes()
    assert content == (session / "exports" / "classifier.tflite").read_bytes()
    # the file says what the page says
    classifier = TfliteBackbone(content)
    pixels = np.stack([np.asarray(Image.open(digits.folder / name))[..., np.newaxis] for name in names])
    logits = classifier.outputs(pixels, ("logits",))[0]
    shown = page.evaluate("window.atlas.model.predictions.classes")
    assert np.mean(logits.argmax(axis=1) == shown) == 1
    # evaluate.py reads the labels
    from bssl_tf.config.evaluation import EvaluationSettings
    from bssl_tf.config.training import DataSettings

    data = DataSettings(dataset=f"folder:{session / 'exports' / 'labels'}")
    results = bssl_tf.evaluate(models=[digits.model], settings=EvaluationSettings(protocols="linear"), data=data)
    assert [row.network for row in results.rows if "tflite" in row.network]


_CONTRASTS = """() => {
  const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
  const light = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const luminance = ([r, g, b]) => 0.2126 * light(r) + 0.7152 * light(g) + 0.0722 * light(b);
  const ground = (each) => {
    for (; each; each = each.parentElement) {
      const colour = numbers(getComputedStyle(each).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const each of document.querySelectorAll("body *")) {
    const hasText = [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!hasText || !each.checkVisibility() || each.closest(":disabled, .skip, #drop")) continue;
    const [a, b] = [numbers(getComputedStyle(each).color), ground(each)].map(luminance).sort((x, y) => y - x);
    found.push([(a + 0.05) / (b + 0.05), each.outerHTML.slice(0, 80)]);
  }
  return found;
}"""


def test_text_stands_out_in_both_themes(window):
    page = window.page
    for _ in range(2):
        for tab in ("look", "label", "clean", "results", "home"):
            page.click(f"#tab-{tab}")
            page.wait_for_timeout(400)  # colours fade in
            contrasts = page.evaluate(_CONTRASTS)
            assert len(contrasts) > 20
            assert [each for each in contrasts if each[0] < 4.5] == []
        page.click("#theme")


def test_nothing_moves_while_the_page_loads(browser, server):
    opened = Window(browser, server.url)
    opened.until("window.atlas.model.predictions !== null")
    shift = opened.page.evaluate(
        """() => new Promise((done) => { let sum = 0;
        new PerformanceObserver((list) => { for (const each of list.getEntries()) sum += each.value; })
          .observe({ type: "layout-shift", buffered: true });
        setTimeout(() => done(sum), 300); })"""
    )
    assert shift < 0.05
    opened.page.close()


def test_killed_and_started_again_nothing_is_lost(window, browser, digits, session, server):
    before = window.page.evaluate("window.atlas.model.labels")
    server.process.kill()
    server.process.wait()
    window.until("document.querySelector('#messages').textContent.includes('does not answer')")
    window.page.goto("about:blank")  # or it goes on asking
    window.errors.clear()
    with serving(digits, session) as again:
        assert again.token != server.token
        opened = Window(browser, again.url, 400, 800, "dark")
        assert opened.page.evaluate("window.atlas.model.labels") == before
        assert opened.page.evaluate("document.documentElement.scrollWidth") == 400
        assert opened.page.evaluate("document.documentElement.dataset.theme") == "dark"
        opened.page.keyboard.press("u")
        opened.until("window.atlas.model.labels.filter(label => label != null).length === 3")
        assert not opened.errors
        opened.page.close()
    kept = sqlite3.connect(session / "session.sqlite").execute("SELECT COUNT(*) FROM labels WHERE class NOTNULL")
    assert kept.fetchone()[0] == 3
