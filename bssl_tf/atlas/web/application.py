"""Routes: each takes numbers and text out of a request, asks the `Atlas`, and gives JSON or pictures."""

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from bssl_tf.atlas.progress import NotReady, Progress
from bssl_tf.atlas.store import Conflict
from bssl_tf.atlas.web.guard import Guard
from bssl_tf.errors import UserError

if TYPE_CHECKING:
    from bssl_tf.atlas.atlas import Atlas

STATIC = Path(__file__).parent / "static"
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_LARGEST_UPLOAD = 64 * 2**20
_LARGEST_MESSAGE = 8 * 2**20
_MOST_LISTED = 200
_DOWNLOADS = {
    "labels.csv": "text/csv",
    "classifier.tflite": "application/octet-stream",
    "finetuned.tflite": "application/octet-stream",
    "classifier.md": "text/markdown",
    "finetuned.md": "text/markdown",
}


class TooLarge(UserError):
    """A request body is larger than anything the page sends."""


def application(pages: "Pages", token: str, hosts: Sequence[str]) -> Starlette:
    """The ASGI application.

    Args:
        pages: what it shows.
        token: first part of every path.
        hosts: names of this server, with port.
    """
    gets = {
        "/": pages.index,
        "/static/{name}": pages.static,
        "/thumbnail/{photo:int}": pages.thumbnail,
        "/picture/{photo:int}": pages.picture,
        "/download/{name}": pages.download,
        "/api/state": pages.state,
        "/api/map": pages.map,
        "/api/labels": pages.labels,
        "/api/predictions": pages.predictions,
        "/api/suggestions": pages.suggestions,
        "/api/check": pages.check,
        "/api/similar/{photo:int}": pages.similar,
        "/api/near_duplicates": pages.near_duplicates,
        "/api/outliers": pages.outliers,
        "/api/skipped": pages.skipped,
        "/api/names": pages.names,
    }
    posts = {
        "/api/search": pages.search,
        "/api/label": pages.label,
        "/api/classes/add": pages.add_class,
        "/api/classes/rename": pages.rename_class,
        "/api/classes/remove": pages.remove_class,
        "/api/undo": pages.undo,
        "/api/redo": pages.redo,
        "/api/export/csv": pages.export_csv,
        "/api/export/tree": pages.export_tree,
        "/api/export/classifier": pages.export_classifier,
        "/api/finetune": pages.finetune,
        "/api/finetune/cancel": pages.cancel,
    }
    routes = [Route(path, _answer(handler), methods=["GET"]) for path, handler in gets.items()]
    routes += [Route(path, _answer(handler), methods=["POST"]) for path, handler in posts.items()]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, hosts=hosts)])


def _answer(handler: Callable[[Request, bytes], Any]) -> Callable:
    """Run a handler in a thread; expected errors become JSON with a sentence."""

    async def answer(request: Request) -> Response:
        try:
            limit = _LARGEST_UPLOAD if request.url.path.endswith("/search") else _LARGEST_MESSAGE
            body = await _body(request, limit) if request.method == "POST" else b""
            given = await run_in_threadpool(handler, request, body)
        except Conflict as error:
            return JSONResponse({"error": str(error), "conflict": True}, 409)
        except NotReady as error:
            return JSONResponse({"error": str(error)}, 503)
        except TooLarge as error:
            return JSONResponse({"error": str(error)}, 413)
        except (UserError, FloatingPointError, OSError) as error:
            return JSONResponse({"error": str(error)}, 400)
        return given if isinstance(given, Response) else JSONResponse(given)

    return answer


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"That is more than {limit // 2**20} MiB.")
        parts.append(part)
    return b"".join(parts)


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
        if name not in _DOWNLOADS or not (self.atlas.exports / name).is_file():
            return Response("There is no such file.", 404)
        return FileResponse(self.atlas.exports / name, media_type=_DOWNLOADS[name], filename=name)

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
        since, store, numbers = _number(request, "since", 0, 2**60, 0), self.atlas.store, self.atlas.photos.numbers
        revision = store.revision  # first: what changes meanwhile comes again, rather than never
        changed = store.labels_since(since).items()
        return {
            "revision": revision,
            "classes": [{"id": class_id, "name": name} for class_id, name in store.classes().items()],
            "labels": [[numbers[path], label and label.class_id] for path, label in changed if path in numbers],
        }

    def predictions(self, request: Request, body: bytes) -> dict[str, Any]:
        predictions, accuracy = self.atlas.predictions(), self.atlas.accuracy()
        if predictions is None:
            return {"class_ids": []}
        return {
            "class_ids": predictions.class_ids,
            "classes": predictions.classes.tolist(),
            "confidence": np.rint(100 * predictions.confidence).astype(int).tolist(),
            "accuracy": accuracy and accuracy.as_dict(),
        }

    def names(self, request: Request, body: bytes) -> list[str]:
        numbers = [int(text) for text in request.query_params.get("photos", "").split(",")[:500] if text.isdecimal()]
        return [self.atlas.photos.name(number) for number in numbers if number < len(self.atlas.photos)]

    # Finding

    def similar(self, request: Request, body: bytes) -> list[list[float]]:
        measure, count = request.query_params.get("by", "cosine"), _number(request, "count", 1, _MOST_LISTED, 48)
        return _hits(self.atlas.similar_to(request.path_params["photo"], measure, count))

    def search(self, request: Request, body: bytes) -> list[list[float]]:
        measure, count = request.query_params.get("by", "cosine"), _number(request, "count", 1, _MOST_LISTED, 48)
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
        photos, rule = self.atlas.suggestions(_number(request, "count", 1, _MOST_LISTED, 24))
        return {"photos": photos, "rule": rule}

    def check(self, request: Request, body: bytes) -> dict[str, Any]:
        return {"photos": self.atlas.random_photos(_number(request, "count", 1, _MOST_LISTED, 24))}

    # Changing

    def label(self, request: Request, body: bytes) -> dict[str, int]:
        values = _values(body, photos=list, source=str, seen=int, window=str, map=str)
        if values["map"] != self.atlas.map_id:
            raise Conflict("The atlas was started again with other photos: load this page again.")
        class_id = _class(values)
        paths = self.atlas.paths_of([_whole(photo) for photo in values["photos"]])
        options = {name: values[name] for name in ("source", "seen", "window")}
        return {"revision": self.atlas.store.label(paths, class_id, **options)}

    def add_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = _values(body, name=str, window=str)
        return {"id": self.atlas.store.add_class(values["name"], values["window"])}

    def rename_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = _values(body, **{"class": int}, name=str, window=str)
        self.atlas.store.rename_class(values["class"], values["name"], values["window"])
        return {"revision": self.atlas.store.revision}

    def remove_class(self, request: Request, body: bytes) -> dict[str, int]:
        values = _values(body, **{"class": int}, window=str)
        self.atlas.store.remove_class(values["class"], values["window"])
        return {"revision": self.atlas.store.revision}

    def undo(self, request: Request, body: bytes) -> dict[str, str]:
        return {"action": self.atlas.store.undo(_values(body, window=str)["window"])}

    def redo(self, request: Request, body: bytes) -> dict[str, str]:
        return {"action": self.atlas.store.redo(_values(body, window=str)["window"])}

    # Taking home

    def export_csv(self, request: Request, body: bytes) -> dict[str, Any]:
        return {"file": str(self.atlas.export_csv()), "photos": len(self.atlas.store.labels())}

    def export_tree(self, request: Request, body: bytes) -> dict[str, Any]:
        folder, count = self.atlas.export_tree(_values(body, form=str)["form"])
        return {"folder": str(folder), "photos": count}

    def export_classifier(self, request: Request, body: bytes) -> dict[str, Any]:
        return self.atlas.export_classifier()

    def finetune(self, request: Request, body: bytes) -> dict[str, Any]:
        values = _values(body, steps=int, layers=str)
        if not 1 <= values["steps"] <= 100_000 or values["layers"] not in ("head", "whole", "layerwise"):
            raise UserError("Fine-tuning takes 1 to 100 000 steps, of head, whole or layerwise.")
        self.atlas.start_finetuning(values["steps"], values["layers"])
        return self.atlas.jobs.state().as_dict()

    def cancel(self, request: Request, body: bytes) -> dict[str, Any]:
        self.atlas.jobs.cancel()
        return self.atlas.jobs.state().as_dict()


def _picture(content: bytes) -> Response:
    return Response(content, media_type="image/webp", headers={"cache-control": "private, max-age=3600"})


def _hits(hits) -> list[list[float]]:
    return [[hit.photo, hit.score] for hit in hits]


def _number(request: Request, name: str, low: int, high: int, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise UserError(f"{name} is a whole number from {low} to {high}.")
    return int(text)


def _values(body: bytes, **types: type) -> dict[str, Any]:
    """A JSON object with these names; further ones are kept."""
    try:
        values = json.loads(body)
    except ValueError:
        values = None
    if not isinstance(values, dict):
        raise UserError("The request holds no JSON object.")
    for name, kind in types.items():
        if not isinstance(values.get(name), kind) or isinstance(values.get(name), bool):
            raise UserError(f"The request lacks {name}.")
    return values


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError("A photo is a whole number.")
    return value


def _class(values: dict[str, Any]) -> int | None:
    return None if values.get("class") is None else _whole(values["class"])
