"""Who may ask: only pages of this server, by its name, with the token; and what the browser may do with the answer."""

import hmac
import ipaddress
import re
from dataclasses import dataclass

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SAFE_METHODS = ("GET", "HEAD")
_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self';"
        " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


_HOST = re.compile(r"(\[[^\[\]]+\]|[^:\[\]]+)(?::([0-9]{1,5}))?")
_USUAL_PORT = 80
"""Browsers leave it out."""


@dataclass(frozen=True)
class Hosts:
    """What a browser may call this server in the Host header.

    Attributes:
        names: host names and IP addresses, in lower case; those of IPv6 without brackets.
        port: which it listens on.
        is_any_address: whether every IP address is taken, for a server that listens on all addresses of a machine. DNS
            rebinding needs a name that its owner makes lead here; an address leads to where it says, so a page that
            was loaded from it came from this server.
    """

    names: frozenset[str]
    port: int
    is_any_address: bool = False

    def __contains__(self, host: str) -> bool:
        parts = _HOST.fullmatch(host.lower())
        if parts is None or int(parts[2] or _USUAL_PORT) != self.port:
            return False
        name, address = parts[1], _address(parts[1])
        return name in self.names or (address is not None and (self.is_any_address or address in self.names))


def _address(name: str) -> str | None:
    """The usual form of an IP address, which in a Host header has brackets if it is of IPv6; None for a name."""
    try:
        return str(ipaddress.IPv6Address(name[1:-1]) if name.startswith("[") else ipaddress.IPv4Address(name))
    except ValueError:
        return None


class Guard:
    """Refuses requests before any route sees them.

    The token is the first part of every path. The host must be one of those given: a page of another site whose name
    is made to lead here (DNS rebinding) has another. What changes something must come from a page of this origin.

    Args:
        app: what answers the rest.
        token: secret.
        hosts: values of the Host header that lead here; capitals make no difference.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Hosts):
        self.app, self.token, self.hosts = app, token, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # nothing here speaks anything else

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
                given = [pair for pair in message["headers"] if pair[0].lower().decode() not in _HEADERS]
                if not any(name == b"cache-control" for name, _ in given):
                    sent.append((b"cache-control", b"no-store"))
                message = {**message, "headers": [*given, *sent]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await refusal(scope, receive, with_headers)
            return
        path = scope["path"].split("/", 2)
        inner = {**scope, "path": "/" + path[2], "raw_path": None, "root_path": ""}
        await self.app(inner, receive, with_headers)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
        host = headers.get(b"host", "").lower()
        if host not in self.hosts:
            return PlainTextResponse("This name does not lead to the atlas.", 421)
        parts = scope["path"].split("/", 2)
        if len(parts) < 3 or not hmac.compare_digest(parts[1].encode(), self.token.encode()):
            return PlainTextResponse("Open the address that bssl-atlas has printed.", 403)
        origin, site = headers.get(b"origin", "").lower(), headers.get(b"sec-fetch-site", "same-origin")
        if scope["method"] not in _SAFE_METHODS and (origin != f"http://{host}" or site != "same-origin"):
            return PlainTextResponse("Changes come from the atlas's own page.", 403)
        return None
