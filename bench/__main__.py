"""Runs every benchmark and prints one JSON line per figure."""

import io
import json
from itertools import chain

from bench import client, local_engine, money, overview, pipeline, webhooks
from core.telemetry import configure_logs

configure_logs(io.StringIO())
for figure in chain(
    local_engine.run(),
    overview.run(),
    pipeline.run(),
    client.run(),
    webhooks.run(),
    money.run(),
):
    print(json.dumps(figure), flush=True)
