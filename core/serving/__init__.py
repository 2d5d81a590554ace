"""Serving ASGI applications, with bounds on what a connection may take."""

from core.serving.connections import Bounds
from core.serving.servers import Served, prepare_process, serve_processes, server_config

__all__ = ["Bounds", "Served", "prepare_process", "serve_processes", "server_config"]
