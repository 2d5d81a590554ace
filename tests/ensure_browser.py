"""Finds a Chromium for the browser tests, or installs one, or says in one line what to install."""

import os
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome")
_PACKAGES = ("chromium", "fonts-dejavu-core")


def find_browser() -> str | None:
    """The path of a Chromium on this machine."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def _from_debian() -> str:
    """Why Debian's package is not there now; empty when it is."""
    if shutil.which("apt-get") is None:
        return "there is no apt-get"
    as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if as_root and shutil.which("sudo") is None:
        return "apt-get needs root, and there is no sudo"
    apt = [*as_root, "apt-get"]
    # what fails here may be another package's source; the packages may be known all the same
    subprocess.run([*apt, "update"], capture_output=True, check=False)
    install = [*apt, "install", "-y", "--no-install-recommends", *_PACKAGES]
    done = subprocess.run(install, capture_output=True, check=False)
    if done.returncode != 0:
        return f"{' '.join(apt)} failed"
    return "" if find_browser() else "apt-get brought no Chromium"


def _from_playwright() -> str:
    """Why Playwright's own Chromium is not there now; empty when it is."""
    command = [sys.executable, "-m", "playwright", "install", "chromium"]
    done = subprocess.run(command, capture_output=True, check=False)
    return "" if done.returncode == 0 else "Playwright could not fetch its own"


def main() -> int:
    """0 when there is a browser now."""
    if find_browser():
        return 0
    if not (no_package := _from_debian()) or not (no_download := _from_playwright()):
        return 0
    print(
        f"The browser tests need Chromium, and it could not be installed ({no_package}; {no_download}): "
        "install the package `chromium` as root, then run make test."
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
