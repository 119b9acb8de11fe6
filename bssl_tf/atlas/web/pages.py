"""Handlers: each takes numbers and text out of a request, asks the `Atlas`, and gives JSON or pictures."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from bssl_tf.atlas.progress import NotReady, Progress
from bssl_tf.atlas.store import Conflict
from bssl_tf.atlas.web.requests import class_of, number, values_of, whole
from bssl_tf.errors import UserError

if TYPE_CHECKING:
    from bssl_tf.atlas.atlas import Atlas
    from bssl_tf.atlas.finding import Hit

STATIC = Path(__file__).parent / "static"
DOWNLOADS = {
    "labels.csv": "text/csv",
    "classifier.tflite": "application/octet-stream",
    "finetuned.tflite": "application/octet-stream",
    "classifier.md": "text/markdown",
    "finetuned.md": "text/markdown",
}
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_MOST_LISTED = 200


class Pages:
    """Handlers: (request, body) → what JSON can hold, or a response.

    Args:
        progress: how far the atlas is.
        photos: name of the folder of photos.

    Attributes:
        opened: the atlas, as soon as there is one.
    """

    def __init__(self, progress: Progress, photos: str):
        self.progress, self._folder = progress, photos
        self.opened: Atlas | None = None
        self._static = {file.name: file.read_bytes() for file in STATIC.iterdir() if file.suffix in _TYPES}

    @property
    def atlas(self) -> "Atlas":
        if self.opened is None:
            raise NotReady(f"The atlas is not ready: {self.progress.step.phase}.")
        return self.opened

    # Files

    def index(self, request: Request, body: bytes) -> Response:
        return Response(self._static["index.html"], media_type="text/html")

    def static(self, request: Request, body: bytes) -> Response:
        name = request.path_params["name"]
        if name not in self._static:
            return Response("There is no such file.", 404)
        return Response(self._static[name], media_type=_TYPES[Path(name).suffix])

    def thumbnail(self, request: Request, body: bytes) -> Response:
        return _picture(self.atlas.thumbnails.get(self.atlas.photos, request.path_params["photo"]))

    def picture(self, request: Request, body: bytes) -> Response:
        return _picture(self.atlas.photos.picture(request.path_params["photo"]))

    def download(self, request: Request, body: bytes) -> Response:
        name = request.path_params["name"]
        if name not in DOWNLOADS or not (self.atlas.exports / name).is_file():
            return Response("There is no such file.", 404)
        return FileResponse(self.atlas.exports / name, media_type=DOWNLOADS[name], filename=name)

    # What there is

    def state(self, request: Request, body: bytes) -> dict[str, Any]:
        progress = {**self.progress.as_dict(), "folder": self._folder}
        if not progress["ready"]:
            return progress
        return {
            **progress,
            "map": self.atlas.map_id,
            "revision": self.atlas.store.revision,
            "can_export": self.atlas.run is not None,
            "job": self.atlas.jobs.state().as_dict(),
        }

    def map(self, request: Request, body: bytes) -> dict[str, Any]:
        layout = self.atlas.layout
        positions = np.rint(layout.positions * 65535).astype(int)
        return {
            "map": self.atlas.map_id,
            "x": positions[:, 0].tolist(),
            "y": positions[:, 1].tolist(),
            "clusters": layout.clusters.tolist(),
            "skipped": len(self.atlas.photos.report.skipped),
        }

    def labels(self, request: Request, body: bytes) -> dict[str, Any]:
        since, store, numbers = number(request, "since", 0, 2**60, 0), self.atlas.store, self.atlas.photos.numbers
        revision = store.revision  # first: what changes meanwhile comes again, rather than never
        changed = store.labels_since(since).items()
        return {
            "revision": revision,
            "classes": [{"id": class_id, "name": name} for class_id, name in store.classes().items()],
            "labels": [[numbers[path], label and label.class_id] for path, label in changed if path in numbers],
        }

    def predictions(self, request: Request, body: bytes) -> dict[str, Any]:
        predictions = self.atlas.predictions()
        if predictions is None:
            return {"class_ids": []}
        return {
            "class_ids": predictions.labelled.class_ids,
            "classes": predictions.classes.tolist(),
            "confidence": np.rint(100 * predictions.confidence).astype(int).tolist(),
        }

    def accuracy(self, request: Request, body: bytes) -> dict[str, Any] | None:
        accuracy = self.atlas.accuracy()
        return accuracy.as_dict() if accuracy is not None else None

    def names(self, request: Request, body: bytes) -> list[str]:
        numbers = [int(text) for text in request.query_params.get("photos", "").split(",")[:500] if text.isdecimal()]
        return [self.atlas.photos.name(number) for number in numbers if number < len(self.atlas.photos)]

    # Finding

    def similar(self, request: Request, body: bytes) -> list[list[float]]:
        measure, count = request.query_params.get("by", "cosine"), number(request, "count", 1, _MOST_LISTED, 48)
        return _hits(self.atlas.similar_to(request.path_params["photo"], measure, count))

    def search(self, request: Request, body: bytes) -> list[list[float]]:
        measure, count = request.query_params.get("by", "cosine"), number(request, "count", 1, _MOST_LISTED, 48)
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "dropped"
            file.write_bytes(body)
            try:
                return _hits(self.atlas.similar_to_file(file, measure, count))
            except UserError as error:
                raise UserError(str(error).replace(f"--query={file}", "The dropped file")) from None

    def near_duplicates(self, request: Request, body: bytes) -> list[list[Any]]:
        return [[pair.first, pair.second, pair.cosine, pair.identical] for pair in self.atlas.near_duplicates]

    def outliers(self, request: Request, body: bytes) -> list[list[float]]:
        return _hits(self.atlas.outliers)

    def skipped(self, request: Request, body: bytes) -> list[list[str]]:
        from bssl_tf.data.sources.folder_scan import printable

        return [[printable(path), reason] for path, reason in self.atlas.photos.report.skipped]

    def suggestions(self, request: Request, body: bytes) -> dict[str, Any]:
        photos, rule = self.atlas.suggestions(number(request, "count", 1, _MOST_LISTED, 24))
        return {"photos": photos, "rule": rule}

    def check(self, request: Request, body: bytes) -> dict[str, Any]:
        return {"photos": self.atlas.random_photos(number(request, "count", 1, _MOST_LISTED, 24))}

    # Changing

    def label(self, request: Request, body: bytes) -> dict[str, int]:
        values = values_of(body, photos=list, source=str, seen=int, window=str, map=str)
        if values["map"] != self.atlas.map_id:
            raise Conflict("The atlas was started again with other photos: load this page again.")
        class_id = class_of(values)
        paths = self.atlas.paths_of([whole(photo) for photo in values["photos"]])
        options = {name: values[name] for name in ("source", "seen", "window")}
        return {"revision": self.atlas.store.label(paths, class_id, **options)}

    def add_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = values_of(body, name=str, window=str)
        return {"id": self.atlas.store.add_class(values["name"], values["window"])}

    def rename_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = values_of(body, **{"class": int}, name=str, window=str)
        self.atlas.store.rename_class(values["class"], values["name"], values["window"])
        return {"revision": self.atlas.store.revision}

    def remove_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = values_of(body, **{"class": int}, window=str)
        self.atlas.store.remove_class(values["class"], values["window"])
        return {"revision": self.atlas.store.revision}

    def undo(self, request: Request, body: bytes) -> dict[str, str]:
        return {"action": self.atlas.store.undo(values_of(body, window=str)["window"])}

    def redo(self, request: Request, body: bytes) -> dict[str, str]:
        return {"action": self.atlas.store.redo(values_of(body, window=str)["window"])}

    # Taking home

    def export_csv(self, request: Request, body: bytes) -> dict[str, Any]:
        return {"file": str(self.atlas.export_csv()), "photos": len(self.atlas.store.labels())}

    def export_tree(self, request: Request, body: bytes) -> dict[str, Any]:
        folder, count = self.atlas.export_tree(values_of(body, form=str)["form"])
        return {"folder": str(folder), "photos": count}

    def export_classifier(self, request: Request, body: bytes) -> dict[str, Any]:
        return self.atlas.export_classifier()

    def finetune(self, request: Request, body: bytes) -> dict[str, Any]:
        values = values_of(body, steps=int, layers=str)
        if not 1 <= values["steps"] <= 100_000 or values["layers"] not in ("head", "whole", "layerwise"):
            raise UserError("Fine-tuning takes 1 to 100 000 steps, of head, whole or layerwise.")
        self.atlas.start_finetuning(values["steps"], values["layers"])
        return self.atlas.jobs.state().as_dict()

    def cancel(self, request: Request, body: bytes) -> dict[str, Any]:
        self.atlas.jobs.cancel()
        return self.atlas.jobs.state().as_dict()


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})


def _hits(hits: Iterable["Hit"]) -> list[list[float]]:
    return [[hit.photo, hit.score] for hit in hits]
