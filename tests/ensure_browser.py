"""Finds a Chromium for the browser tests, or installs one, or says in one line what to install."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")


def find_browser() -> str | None:
    """The path of a Chromium on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _from_debian() -> bool:
    if shutil.which("apt-get") is None:
        return False
    prefix = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if prefix and shutil.which("sudo") is None:
        return False
    packages = ["chromium", "fonts-dejavu-core"]
    for command in (["update"], ["install", "-y", "--no-install-recommends", *packages]):
        done = subprocess.run([*prefix, "apt-get", *command], capture_output=True, check=False)
        if done.returncode != 0:
            return False
    return find_browser() is not None


def _from_playwright() -> bool:
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def main() -> int:
    """0 when there is a browser now."""
    if find_browser() or _from_debian() or _from_playwright():
        return 0
    print("The browser tests need Chromium: install the package `chromium`, then run make test.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
