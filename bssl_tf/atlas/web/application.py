"""Routes of the atlas, behind the `Guard`."""

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Route

from bssl_tf.atlas.web.guard import Guard, Hosts
from bssl_tf.atlas.web.pages import Pages
from bssl_tf.atlas.web.requests import answer_of


def application(pages: Pages, token: str, hosts: Hosts) -> Starlette:
    """The ASGI application.

    Args:
        pages: what it shows.
        token: first part of every path.
        hosts: names of this server.
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
        "/api/accuracy": pages.accuracy,
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
    routes = [Route(path, answer_of(handler), methods=["GET"]) for path, handler in gets.items()]
    routes += [Route(path, answer_of(handler), methods=["POST"]) for path, handler in posts.items()]
    return Starlette(routes=routes, middleware=[Middleware(Guard, token=token, hosts=hosts)])
