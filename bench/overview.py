"""How soon the Overview can be read in Chromium, beside a bare one-line Streamlit page."""

import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
from playwright.sync_api import Browser, sync_playwright

__all__ = ["run"]

_ROUNDS = 7
_BIN = Path(sys.executable).parent


def run() -> Iterator[dict[str, object]]:
    """The ratio of the medians, both measured in turn in one run."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        bare = Path(folder) / "bare.py"
        bare.write_text('import streamlit as st\nst.write("ready to read")\n', encoding="utf-8")
        names = ("chromium", "chromium-browser", "google-chrome")
        found = next((path for name in names if (path := shutil.which(name))), None)
        browser = playwright.chromium.launch(
            executable_path=found, args=["--no-sandbox", "--disable-gpu"]
        )
        ours, theirs = _free_port(), _free_port()
        up = [
            str(_BIN / "parsedeck"),
            "up",
            "--port",
            str(ours),
            "--ingress-port",
            str(_free_port()),
        ]
        other = [
            str(_BIN / "streamlit"),
            "run",
            str(bare),
            "--server.port",
            str(theirs),
            "--server.headless",
            "true",
        ]
        with _serving(up, folder, ours), _serving(other, folder, theirs):
            times: dict[int, list[float]] = {ours: [], theirs: []}
            for number in range(_ROUNDS + 1):
                for port, words in ((ours, "Submits this hour"), (theirs, "ready to read")):
                    seconds = _readable_after(browser, port, words)
                    if number:  # the first round warms both up
                        times[port].append(seconds)
        browser.close()
    mine, bare_s = statistics.median(times[ours]), statistics.median(times[theirs])
    yield {
        "figure": "Overview, seconds until its numbers can be read, beside a one-line page",
        "ours": round(mine, 3),
        "theirs": round(bare_s, 3),
        "ratio": round(mine / bare_s, 2),
        "goal": "at most 1.3",
    }


def _readable_after(browser: Browser, port: int, words: str) -> float:
    window = browser.new_page()
    began = time.perf_counter()
    window.goto(f"http://127.0.0.1:{port}")
    window.get_by_text(words).first.wait_for()
    seconds = time.perf_counter() - began
    window.close()
    return seconds


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def _serving(command: list[str], folder: str, port: int) -> Iterator[None]:
    process = subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        for _ in range(300):
            try:
                httpx.get(f"http://127.0.0.1:{port}/_stcore/health")
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)
