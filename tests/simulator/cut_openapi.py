"""Cuts the service's OpenAPI document down to what the look-alike serves: ``python cut_openapi.py SOURCE TARGET``.

Keeps the facts (paths, parameters, schemas), drops prose and examples.
"""

import json
import sys
from pathlib import Path
from typing import Any

KEPT = (
    "/api/v2/parse",
    "/api/v1/parsing/",
    "/api/v1/beta/files",
    "/api/v1/beta/usage-metrics",
    "/api/v1/beta/webhook-configs",
)
PROSE = {"description", "title", "summary", "examples", "example", "tags", "x-enum-order-preserved"}
NAMED = {"properties", "schemas", "paths", "responses", "content", "mapping"}


def cut(document: dict[str, Any]) -> dict[str, Any]:
    """The operations that are kept, with all schemas that they lead to."""
    paths = {path: ops for path, ops in document["paths"].items() if path.startswith(KEPT)}
    schemas: dict[str, Any] = {}
    wanted = _references(paths)
    while wanted:
        name = wanted.pop()
        if name not in schemas:
            schemas[name] = document["components"]["schemas"][name]
            wanted |= _references(schemas[name])
    slim = {
        "openapi": document["openapi"],
        "info": {"title": document["info"]["title"], "version": document["info"]["version"]},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": document["components"]["securitySchemes"],
        },
    }
    bare: dict[str, Any] = _bare(slim, is_named=False)
    for ops in bare["paths"].values():
        for operation in ops.values():
            for response in operation["responses"].values():
                response.setdefault("description", "")  # OpenAPI wants one
    return bare


def _references(value: Any) -> set[str]:
    if isinstance(value, dict):
        own = {str(value["$ref"]).split("/")[-1]} if isinstance(value.get("$ref"), str) else set()
        return own.union(*(_references(part) for part in value.values()))
    return set().union(*(_references(part) for part in value)) if isinstance(value, list) else set()


def _bare(value: Any, *, is_named: bool) -> Any:
    """The same without prose; under ``properties`` and the like a key is a name, whatever it says."""
    if isinstance(value, dict):
        return {
            key: _bare(part, is_named=not is_named and key in NAMED)
            for key, part in value.items()
            if is_named or key not in PROSE or (key == "title" and "version" in value)
        }
    return [_bare(part, is_named=False) for part in value] if isinstance(value, list) else value


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    found = cut(json.loads(source.read_text(encoding="utf-8")))
    target.write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")
