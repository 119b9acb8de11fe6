"""How long the photo atlas takes: from the command to the map, for each answer, and for each picture of the map.

    python -m benchmarks.atlas --model=runs/demo/digits.tflite --photos=runs/demo/photos

Starts the real command twice, without and with what the first start has kept; asks over HTTP as the page does; draws in
a browser, where there is one. Classes come from the table that `bssl_tf.atlas.demo_photos` writes beside the photos.
"""

import argparse
import csv
import http.client
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from rich.console import Console

from benchmarks.report import Result, Table

_COMMAND = "import sys; sys.argv[0] = 'bssl-atlas'; from bssl_tf.cli.atlas import run; run()"
_LABELS_A_CLASS = 10
_REPEATS = 5


class Started:
    """The atlas in a process of its own, with times since its start in seconds."""

    def __init__(self, model: Path, photos: Path, session: Path):
        flags = [f"--model={model}", f"--photos={photos}", f"--session={session}", "--nobrowser"]
        self.began, self.times = time.monotonic(), {}
        self.process = subprocess.Popen(
            [sys.executable, "-c", _COMMAND, *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=os.environ | {"PYTHONUNBUFFERED": "1"},
        )
        try:
            self._wait_for_the_map()
        except BaseException:
            self.end()
            raise

    def _wait_for_the_map(self) -> None:
        said = self.process.stdout.readline()
        found = re.search(r"http://\S+", said)
        if not found:
            raise SystemExit(f"bssl-atlas has not said where it answers, but: {said.strip() or 'nothing'}")
        self.url = found.group()
        self.times["page answers"] = self._since()
        phase = ""
        while phase != "ready":
            state = self.ask("api/state")
            if state["phase"] == "failed":
                raise SystemExit(state["error"])
            if state["phase"] != phase and phase:
                self.times[f"end of: {phase}"] = self._since()
            phase = state["phase"]
            time.sleep(0.05)
        self.times["map"] = self._since()

    def ask(self, path: str, values: dict[str, Any] | None = None) -> Any:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=600)
        if values is None:
            connection.request("GET", parts.path + path)
        else:
            body = json.dumps({"window": "benchmark", **values})
            connection.request("POST", parts.path + path, body, {"Origin": f"http://{parts.netloc}"})
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise SystemExit(f"{path}: {content.decode()}")
        return json.loads(content)

    def seconds(self, path: str) -> float:
        begun = time.monotonic()
        self.ask(path)
        return time.monotonic() - begun

    def memory(self) -> float:
        """The most memory that it has taken, MiB."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")  # of its children, too, that have ended

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _since(self) -> float:
        return time.monotonic() - self.began


def label(atlas: Started, truth: dict[str, str], count: int) -> None:
    """Make all classes, and label the first photos of each."""
    parts = (atlas.ask(f"api/names?photos={_numbers(start, count)}") for start in range(0, count, 500))
    names = [name for part in parts for name in part]
    map_id = atlas.ask("api/map")["map"]
    for name in sorted(set(truth.values())):
        chosen = [photo for photo, path in enumerate(names) if truth[path] == name][:_LABELS_A_CLASS]
        class_id = atlas.ask("api/classes/add", {"name": re.sub(r'[/\\:*?"<>|]', "-", name)})["id"]
        seen = atlas.ask("api/state")["revision"]
        values = {"photos": chosen, "class": class_id, "source": "picked", "seen": seen, "map": map_id}
        atlas.ask("api/label", values)


def _numbers(start: int, count: int) -> str:
    return ",".join(str(number) for number in range(start, min(start + 500, count)))


def drawing(url: str, browser: str) -> list[float]:
    """Milliseconds to draw the map while it is moved, 1280×800."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        page = started.new_page(viewport={"width": 1280, "height": 800})
        page.goto(url)
        page.wait_for_selector("#waiting", state="hidden", timeout=300_000)
        for step in range(120):
            page.evaluate(f"window.atlas.map.moveBy({3 if step % 2 else -3}, 1); window.atlas.map.draw()")
        times = page.evaluate("window.atlas.map.drawTimes")
        started.close()
        return times


def measured(model: Path, photos: Path, truth: dict[str, str]) -> dict[str, float]:
    """What is measured, and its number, for one folder."""
    result: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in ("first start", "later start"):
            atlas = Started(model, photos, Path(folder) / "session")
            try:
                result |= {f"{name}: {key}, s": value for key, value in atlas.times.items()}
                result[f"{name}: processor time, s"] = atlas.processor_seconds()
                result[f"{name}: largest memory, MiB"] = atlas.memory()
                if name == "later start":
                    result |= answers(atlas, truth)
            finally:
                atlas.end()
    return result


def answers(atlas: Started, truth: dict[str, str]) -> dict[str, float]:
    """Times of answers and of drawing, once the first photos of each class are labelled."""
    result: dict[str, float] = {}
    label(atlas, truth, len(truth))
    for what in ("predictions", "accuracy"):
        before = atlas.processor_seconds()
        result[f"{what} after {_LABELS_A_CLASS} labels a class, ms"] = 1000 * atlas.seconds(f"api/{what}")
        result[f"{what}: processor time, ms"] = 1000 * (atlas.processor_seconds() - before)
    for what, path in (("what to label next", "suggestions"), ("neighbours by cosine", "similar/0")):
        result[f"{what}, ms"] = 1000 * statistics.median(atlas.seconds(f"api/{path}") for _ in range(_REPEATS))
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser:
        times = sorted(drawing(atlas.url, browser))
        result["a picture of the map, 1280×800, median, ms"] = statistics.median(times)
        result["a picture of the map, slowest of 20, ms"] = times[int(0.95 * len(times))]
    return result


def first_photos(folder: Path, photos: Path, names: list[str]) -> Path:
    """A folder of some of the photos, as links that are files."""
    folder.mkdir()
    for name in names:
        os.link(photos / name, folder / name)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--photos", type=Path, required=True)
    parser.add_argument("--counts", default="1000,20000", help="numbers of photos, separated by commas")
    arguments = parser.parse_args()
    with open(arguments.photos.with_suffix(".csv"), newline="") as file:
        truth = {row["path"]: row["class"] for row in csv.DictReader(file)}
    columns = {}
    for count in map(int, arguments.counts.split(",")):
        names = sorted(truth)[:count]
        with tempfile.TemporaryDirectory(dir=arguments.photos.parent) as folder:
            photos = first_photos(Path(folder) / "photos", arguments.photos, names)
            columns[f"{len(names)} photos"] = measured(arguments.model, photos, {name: truth[name] for name in names})
    rows = [(what, *(column.get(what) for column in columns.values())) for what in next(iter(columns.values()))]
    notes = (f"{arguments.model.name}, {arguments.photos.name}. Times of a start are since the command.",)
    result = Result("atlas", [Table("The photo atlas", ("", *columns), rows, notes)])
    result.show(Console())
    result.save()


if __name__ == "__main__":
    main()
