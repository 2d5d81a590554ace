"""Counts in words."""

__all__ = ["counted"]


def counted(count: int, noun: str) -> str:
    """``1 page``, ``1,200 pages``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
