"""What every answer of the server passes: whom it is for, and what a page may do.

A page that another site opened in a browser could ask a server on this machine for anything (DNS rebinding):
so the Host header must be one that was meant. Pages hold text of users, which is escaped; should an escape
ever be missing, the browser still runs and fetches nothing that is not ours.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = frozenset(("localhost", "127.0.0.1", "[::1]"))
"""Names by which a browser on this machine calls it."""

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        # Old browsers know the first of these alone. Charts have style attributes.
        "style-src 'self' 'unsafe-inline'",
        "style-src-elem 'self'",
        "style-src-attr 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
    )
)
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    # Without any, browsers say "Origin: null" of a form that is sent here, and it is refused below.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_READING = ("GET", "HEAD", "OPTIONS")


class Guard:
    """Middleware around the whole application."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        """Args:
        app: What it guards.
        hosts: Names that a Host header may have, without a port; ``*`` for any.
        """
        self._app = app
        self._hosts = frozenset(hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refuse(scope)
        is_embedded = b"embed=" in scope.get("query_string", b"")

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                # A paper may lie in a file, whose origin no list of ancestors can name.
                frames = "" if is_embedded else "; frame-ancestors 'none'"
                headers["Content-Security-Policy"] = _POLICY + frames
                for name, value in _HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = PlainTextResponse(refused, 403) if refused else self._app
        await answer(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> str | None:
        """Why a request is not answered."""
        headers = Headers(scope=scope)
        host = _without_port(headers.get("host", ""))
        if "*" not in self._hosts and host not in self._hosts:
            return (
                f"The request is for the host {host!r}, which this server was not started for.\n"
                f"Expected: {', '.join(sorted(self._hosts))}. Start it with --host NAME to answer others.\n"
            )
        origin = headers.get("origin")
        if scope["method"] not in _READING and (
            origin is None or origin.partition("://")[2] != headers.get("host")
        ):
            return "A page of another site asked for a change. Open the explorer itself and try again.\n"
        return None


def is_loopback(host: str) -> bool:
    """Whether an address is of this machine alone."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _without_port(host: str) -> str:
    """``name`` of ``name:80``, ``[::1]`` of ``[::1]:80``."""
    name, bracket, _ = host.partition("]")
    return f"{name}]" if bracket else host.rpartition(":")[0] if ":" in host else host
