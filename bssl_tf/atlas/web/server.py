"""Starts the server: a port, a token, an address to open."""

import errno
import ipaddress
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
from bssl_tf.atlas.web.guard import Hosts
from bssl_tf.atlas.web.pages import Pages
from bssl_tf.errors import ConfigError

if TYPE_CHECKING:
    from bssl_tf.atlas.atlas import Atlas

_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_ELSEWHERE = ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1"))
"""Addresses that are set aside for documentation (RFC 5737 and 3849)."""


@dataclass(frozen=True)
class Address:
    """Attributes:
    host: to bind; 0.0.0.0 stands for all addresses of IPv4, :: for those of IPv6, too.
    port: 0: any that is free.
    """

    host: str = "127.0.0.1"
    port: int = 0

    @property
    def is_loopback(self) -> bool:
        """Whether it is reached from this machine only."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host.lower() == "localhost"


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
        ConfigError: the port is taken, or the host is none of this machine.
    """
    token = secrets.token_urlsafe(24)
    listener = _listen(address)
    name, port = listener.getsockname()[:2]
    bound = ipaddress.ip_address(name.partition("%")[0])
    names = {*_LOOPBACK, address.host, str(bound)}
    if not address.is_loopback:
        names.add(socket.gethostname())
    host = address.host
    if bound.is_unspecified:
        host = _own_address(listener.family) or socket.gethostname()
    url = f"http://{f'[{host}]' if ':' in host else host}:{port}/{token}/"
    pages = Pages(Progress(), photos)
    app = application(pages, token, Hosts(frozenset(name.lower() for name in names), port, bound.is_unspecified))
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
    listener = None
    try:
        found = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)
        family, kind, protocol, _, place = min(found, key=lambda each: each[0] != socket.AF_INET)
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:  # :: is IPv4, too
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listener.bind(place)
        listener.listen()  # from now on requests wait, rather than being refused
    except (OSError, UnicodeError) as error:
        if listener is not None:
            listener.close()
        raise ConfigError(f"--host={address.host} --port={address.port}: {_reason(error)}") from None
    return listener


def _reason(error: OSError | UnicodeError) -> str:
    if isinstance(error, UnicodeError):  # of the encoding of names, IDNA
        return "that is no name of a host. Name an address of this machine with --host, or leave it out."
    if error.errno in (errno.EADDRINUSE, errno.EACCES):
        return f"{error.strerror}. Name another --port, or leave it out."
    return f"{error.strerror}. Name an address of this machine with --host, or leave it out."


def _own_address(listening: int) -> str | None:
    """The address under which other machines reach this one: that of the interface by which packets leave.

    None where there is no network. Nothing is sent: connecting a UDP socket only looks up the route.
    """
    for family, elsewhere in _ELSEWHERE if listening == socket.AF_INET6 else _ELSEWHERE[:1]:
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            return str(probe.getsockname()[0])
    return None
