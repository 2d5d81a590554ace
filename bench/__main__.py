"""Runs every benchmark and prints one JSON line per figure."""

import io
import json
from itertools import chain

from bench import client, local_engine, money, overview, pipeline, results, routing, webhooks
from core.telemetry import configure_logs

configure_logs(io.StringIO())
rooms = (local_engine, overview, pipeline, client, results, webhooks, money, routing)
for figure in chain.from_iterable(room.run() for room in rooms):
    print(json.dumps(figure), flush=True)
