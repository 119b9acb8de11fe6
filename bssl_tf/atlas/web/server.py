"""Starts the server: a port, a token, an address to open."""

import secrets
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import uvicorn

from bssl_tf.atlas.progress import Progress
from bssl_tf.atlas.web.application import application
from bssl_tf.atlas.web.pages import Pages
from bssl_tf.errors import ConfigError

if TYPE_CHECKING:
    from bssl_tf.atlas.atlas import Atlas

_LOOPBACK = ("127.0.0.1", "localhost")


@dataclass(frozen=True)
class Address:
    """Attributes:
    host: to bind.
    port: 0: any that is free.
    """

    host: str = "127.0.0.1"
    port: int = 0


def serve(
    open_atlas: Callable[[Progress], "Atlas"],
    photos: str,
    address: Address,
    open_browser: bool,
    show: Callable[[str], None],
) -> bool:
    """Serve until interrupted.

    Args:
        open_atlas: gives the atlas. It is opened and prepared while the page shows how far it is.
        photos: name of the folder.
        address: where.
        open_browser: whether to open the page.
        show: gets the URL as soon as it answers.

    Returns:
        False where the atlas could not be opened, which page and console have shown.

    Raises:
        ConfigError: the port is taken, or no such host.
    """
    token = secrets.token_urlsafe(24)
    listener = _listen(address)
    port = listener.getsockname()[1]
    names = {*_LOOPBACK, address.host}
    if address.host.lower() not in _LOOPBACK:
        names |= {socket.gethostname(), *_addresses()}
    hosts = [f"{name}:{port}" for name in names]
    url = f"http://{address.host if address.host != '0.0.0.0' else socket.gethostname()}:{port}/{token}/"
    pages = Pages(Progress(), photos)
    app = application(pages, token, hosts)
    server = uvicorn.Server(
        uvicorn.Config(
            app, log_level="error", access_log=False, server_header=False, lifespan="off", timeout_graceful_shutdown=2
        )
    )
    show(url)
    threading.Thread(target=_prepare, args=(pages, open_atlas, show), daemon=True, name="prepare").start()
    if open_browser:
        threading.Timer(0.5, webbrowser.open, (url,)).start()
    try:
        with suppress(KeyboardInterrupt):  # uvicorn has ended in order, and raises it once more
            server.run(sockets=[listener])
    finally:
        if pages.opened is not None:
            pages.opened.close()
    return not pages.progress.has_failed


def _prepare(pages: Pages, open_atlas: Callable[[Progress], "Atlas"], show: Callable[[str], None]) -> None:
    try:
        pages.opened = open_atlas(pages.progress)
        pages.opened.prepare()
    except Exception as error:  # the page shows it, and so does the console; the server stays for both
        pages.progress.fail(error)
        show(f"error: {error}")


def _listen(address: Address) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((address.host, address.port))
        listener.listen()  # from now on requests wait, rather than being refused
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"--host={address.host} --port={address.port}: {error.strerror}. Name another --port, or leave it out."
        ) from None
    return listener


def _addresses() -> list[str]:
    try:
        return socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        return []
