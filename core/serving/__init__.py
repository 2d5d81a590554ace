"""Serving ASGI applications, with bounds on what a connection may take."""

from core.serving.connections import WHOLE_BODY, Bounds
from core.serving.servers import Served, prepare_process, serve_processes, server_config

__all__ = ["WHOLE_BODY", "Bounds", "Served", "prepare_process", "serve_processes", "server_config"]
