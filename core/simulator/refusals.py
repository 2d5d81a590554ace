"""Answers that are no success, with the bodies that the fact sheet documents."""

__all__ = ["Refused", "problem"]


class Refused(Exception):
    """An answer that is no success; ``detail`` is the body's only key."""

    def __init__(self, status: int, detail: object) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def problem(loc: list[str], kind: str, message: str, value: object = None) -> Refused:
    """The 422 for one wrong value, with its place."""
    return Refused(422, [{"type": kind, "loc": loc, "msg": message, "input": value}])
