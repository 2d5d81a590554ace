"""Serves a simulator as a process of its own: ``python alone.py FOLDER CONFIG_AS_JSON``; prints its address."""

import asyncio
import json
import sys
from pathlib import Path

import uvicorn

from core.simulator import SimulatorConfig, create_simulator
from tests.simulator.cast import read_lines


async def serve(folder: str, config: str) -> None:
    """Serve until killed."""
    app = create_simulator(SimulatorConfig(**json.loads(config)), Path(folder), read_lines)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
        await asyncio.sleep(0.01)
    print(f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}", flush=True)  # noqa: T201
    await task


if __name__ == "__main__":
    asyncio.run(serve(*sys.argv[1:]))
