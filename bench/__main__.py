"""Runs every benchmark and prints one JSON line per figure."""

import json

from bench import local_engine, pipeline

for figure in (*local_engine.run(), *pipeline.run()):
    print(json.dumps(figure), flush=True)
