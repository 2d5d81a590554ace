"""What a failed job's code means, whether a new job can help, how often, and what that costs.

None of them counts against the health of the route: a document can fail in any of these ways while the
service is well. What its calls come to does.
"""

import re
from dataclasses import dataclass, replace

__all__ = ["JOB_FAILURES", "JobFailure", "job_failure"]

_PER_RETRY = (
    "Each retry is a new job at the full price of its pages; what the failed one cost is what its"
    " usage says, often nothing."
)


@dataclass(frozen=True, slots=True)
class JobFailure:
    """What a failure code means, and how many new jobs for the same pages are worth their price.

    ``retries`` is how many the rule makes by itself. ``costs`` is empty where a new job fails the same way.
    """

    code: str
    what: str
    next_step: str
    retries: int = 0
    costs: str = ""

    @property
    def advice(self) -> str:
        """What to do, and where that is to try again, what it costs."""
        return f"{self.next_step} {self.costs}".strip()


# Fact sheet 4.2 and 6. Whether a failed job is billed is not documented: its usage decides.
JOB_FAILURES: tuple[JobFailure, ...] = (
    JobFailure(
        "UNSUPPORTED_FILE_TYPE",
        "LlamaParse cannot read this type of file.",
        "Convert it to PDF, then upload that.",
    ),
    JobFailure(
        "PDF_IS_PROTECTED",
        "The PDF is protected by a password.",
        "Remove the password, then upload it again.",
    ),
    JobFailure(
        "PDF_IS_BROKEN",
        "The PDF is damaged.",
        "Open it in a PDF program, save it anew, then upload it again.",
    ),
    JobFailure(
        "NO_DATA_FOUND_IN_FILE",
        "There is nothing to read in the file.",
        "Check that it is the right file and pages.",
    ),
    JobFailure(
        "DOCUMENT_TOO_LARGE",
        "The document is too large.",
        "Split it into parts, then upload those.",
    ),
    JobFailure(
        "TOO_MANY_PAGES",
        "The document has too many pages.",
        "Split it into parts, or choose pages.",
    ),
    JobFailure(
        "INVALID_TIER_VERSION_COMBINATION",
        "This tier does not exist in that version.",
        "Choose another tier.",
    ),
    JobFailure(
        "EXPIRED",
        "The job waited too long in LlamaParse's queue.",
        "Retry it later: the service is behind.",
        retries=2,
        costs="Each retry is a new job at the full price; one that never began should cost nothing.",
    ),
    JobFailure(
        "TIMEOUT",
        "LlamaParse ran out of time on this document.",
        "Retry it, or split it into parts.",
        retries=1,
        costs=_PER_RETRY,
    ),
    JobFailure(
        "ERROR_DURING_PROCESSING",
        "LlamaParse failed while processing the document.",
        "Retry it; a later try often succeeds.",
        retries=2,
        costs=_PER_RETRY,
    ),
)
# Nothing is spent by rule on a failure that nobody knows: a person reads the message first.
_UNKNOWN_FAILURE = JobFailure(
    "UNKNOWN",
    "LlamaParse could not parse the document.",
    "Read its message, then retry it once.",
    costs="A retry is a new job at the full price; it is made only when a person asks.",
)


def job_failure(message: str) -> JobFailure:
    """What a failed job's message means, by the vendor code inside it.

    An unknown code keeps its name, so that a newer service is understood as far as it can be.
    """
    for failure in JOB_FAILURES:
        if re.search(rf"(?<![A-Z_]){failure.code}(?![A-Z_])", message):
            return failure
    code = re.search(r"(?<![A-Z_])[A-Z]{3,}(?:_[A-Z]+)+(?![A-Z_])", message)
    return _UNKNOWN_FAILURE if code is None else replace(_UNKNOWN_FAILURE, code=code[0])
