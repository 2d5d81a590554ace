"""The LlamaParse client: the only place that talks to the service, or to its simulator."""

from core.engines.llamaparse.card import llamaparse_card
from core.engines.llamaparse.client import LlamaParseEngine
from core.engines.llamaparse.contact import LiveFact, Verdict
from core.engines.llamaparse.job_failures import JobFailure, job_failure
from core.engines.llamaparse.usage import Organization, Project, UsageRecord
from core.engines.llamaparse.wire import SIMULATOR_HEADER, Expand

__all__ = [
    "SIMULATOR_HEADER",
    "Expand",
    "JobFailure",
    "LiveFact",
    "LlamaParseEngine",
    "Organization",
    "Project",
    "UsageRecord",
    "Verdict",
    "job_failure",
    "llamaparse_card",
]
