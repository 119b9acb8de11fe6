"""What comes in and goes out: bodies of limited size, values of the expected types, errors as sentences."""

import json
import sqlite3
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bssl_tf.atlas.progress import NotReady
from bssl_tf.atlas.store import Conflict
from bssl_tf.errors import UserError
from bssl_tf.files import encoded

_LARGEST_UPLOAD = 64 * 2**20
_LARGEST_MESSAGE = 8 * 2**20


class Json(JSONResponse):
    """JSON, in which bytes of file names that are no UTF-8 are escaped as lone surrogates."""

    def render(self, content: Any) -> bytes:
        return encoded(json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")))


class TooLarge(UserError):
    """A request body is larger than anything the page sends."""


def answer_of(handler: Callable[[Request, bytes], Any]) -> Callable[[Request], Awaitable[Response]]:
    """Run a handler in a thread; expected errors become JSON with a sentence."""

    async def answer(request: Request) -> Response:
        try:
            limit = _LARGEST_UPLOAD if request.url.path.endswith("/search") else _LARGEST_MESSAGE
            body = await _body(request, limit) if request.method == "POST" else b""
            given = await run_in_threadpool(handler, request, body)
        except Conflict as error:
            return Json({"error": str(error), "conflict": True}, 409)
        except NotReady as error:
            return Json({"error": str(error)}, 503)
        except TooLarge as error:
            return Json({"error": str(error)}, 413)
        except sqlite3.Error as error:
            problem = f"The session cannot be written ({error}): nothing was changed."
            return Json({"error": f"{problem} Free some space on its disk, if that is full, and try again."}, 500)
        except (UserError, FloatingPointError, OSError) as error:
            return Json({"error": str(error)}, 400)
        return given if isinstance(given, Response) else Json(given)

    return answer


async def _body(request: Request, limit: int) -> bytes:
    parts, size = [], 0
    async for part in request.stream():
        size += len(part)
        if size > limit:
            raise TooLarge(f"That is more than {limit // 2**20} MiB.")
        parts.append(part)
    return b"".join(parts)


def number(request: Request, name: str, low: int, high: int, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or not low <= int(text) <= high:
        raise UserError(f"{name} is a whole number from {low} to {high}.")
    return int(text)


def values_of(body: bytes, **types: type) -> dict[str, Any]:
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


def whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise UserError("A photo is a whole number.")
    return value


def class_of(values: dict[str, Any]) -> int | None:
    return None if values.get("class") is None else whole(values["class"])
