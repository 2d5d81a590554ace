"""The console as one ASGI application: our routes first, Streamlit mounted under them."""

import tomllib
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.starlette import App
from streamlit.web import bootstrap

from core.api import all_routes
from core.console import Console
from dashboard.preload import link_header
from dashboard.runtime import install

__all__ = ["LocalOnly", "create_app"]

_HOSTS = {b"localhost", b"127.0.0.1", b"[::1]"}
_FORWARDED = {
    b"forwarded",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-real-ip",
    b"cf-connecting-ip",
}
# Whatever a parsed document says, the browser loads no picture, font or frame from elsewhere.
_POLICY = [
    (
        b"content-security-policy",
        (
            b"img-src 'self' data: blob:; font-src 'self' data:; frame-src 'self'; object-src 'none'; "
            b"base-uri 'self'; frame-ancestors 'none'"
        ),
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
]
_HERE = Path(__file__).parent
# in a checkout where Streamlit's own command looks for it; in a wheel beside this file
_THEMES = (_HERE.parent / ".streamlit" / "config.toml", _HERE / "config.toml")


def create_app(console: Console) -> ASGIApp:
    """Everything that the console's own port serves."""
    install(console)
    # Started from another folder Streamlit finds neither theme nor upload cap: hand them over.
    bootstrap.load_config_options(_options(console.settings.max_upload_mb))
    screens = App(_HERE / "app.py")
    parent = Starlette(
        routes=[*all_routes(console), Mount("/", app=screens)], lifespan=screens.lifespan()
    )
    return LocalOnly(parent)


class LocalOnly:
    """Refuses whatever was not asked for on this machine: foreign Host headers, forwarded requests."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._link = link_header()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass local requests on."""
        if scope["type"] == "lifespan" or _is_local(scope):
            await self._app(scope, receive, _with_headers(send, self._link))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            answer = PlainTextResponse(
                "The console answers on this machine only. Tunnel webhooks to the ingress port; "
                "for the console use ssh -L.",
                403,
            )
            await answer(scope, receive, send)


def _with_headers(send: Send, link: bytes) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [*message.get("headers", []), *_POLICY]
            if link and any(
                k == b"content-type" and v.startswith(b"text/html") for k, v in headers
            ):
                headers.append((b"link", link))
            message = {**message, "headers": headers}
        await send(message)

    return headed


def _is_local(scope: Scope) -> bool:
    headers = dict(scope["headers"])
    host = (
        headers.get(b"host", b"").rsplit(b":", 1)[0]
        if b"]" not in headers.get(b"host", b"")
        else b"[::1]"
    )
    return host in _HOSTS and not (_FORWARDED & set(headers))


def _options(max_upload_mb: int) -> dict[str, Any]:
    theme = next(path for path in _THEMES if path.exists())
    options = _flat(tomllib.loads(theme.read_text()))
    return {**options, "server.maxUploadSize": max_upload_mb}


def _flat(table: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[f"{prefix}{name}"] = value
    return found
