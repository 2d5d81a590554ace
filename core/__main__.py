"""Where the command starts: the little that runs before its modules are loaded."""

import signal

__all__ = ["main"]


def main() -> None:
    """Load the command and run it.

    Loading takes the better part of a second, and nothing is begun yet that could be left half done:
    until then Ctrl-C ends the process the way the system does, without a word.
    """
    listens = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if listens:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from core.cli import main as run  # noqa: PLC0415 - what takes long

    if listens:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
