"""The form that v1 takes, and the job that it asks for. Fields that nobody knows are ignored."""

import json
from collections.abc import Mapping
from datetime import date
from typing import Any

from pydantic import TypeAdapter, ValidationError

from core.domain.documents import page_ranges, parse_page_ranges
from core.domain.money import Tier
from core.simulator.config import SimulatorConfig
from core.simulator.prices import MODES, price_of_form, price_of_tier
from core.simulator.records import RESULT, NewJob, Options, Target
from core.simulator.refusals import Refused, problem
from core.simulator.requests import Content, WebhookEntry, targets_of

__all__ = ["check_form", "job_of_form"]

_ENTRIES = TypeAdapter(list[WebhookEntry])
_FREE = {
    "webhook_url",
    "webhook_configurations",
    "do_not_cache",
    "invalidate_cache",
    "input_url",
    "from_python_package",
    "http_proxy",
}
_SECRET = ("_key", "webhook_url", "webhook_configurations", "http_proxy")
_DOOMED = "INVALID_TIER_VERSION_COMBINATION: The tier and version cannot be used together."


def check_form(form: Mapping[str, str], config: SimulatorConfig) -> None:
    """Raises ``Refused`` for what the service refuses before it looks at the document."""
    tier, mode = form.get("tier"), form.get("parse_mode")
    if tier and not form.get("version") and config.v1_tier_needs_version:
        raise Refused(400, f"Must specify a version with a tier. Tier: {tier}")
    if tier and tier not in set(Tier) and not config.v1_checks_tier_late:
        raise problem(["body", "tier"], "enum", "Input should be a known tier", tier)
    if mode and mode not in MODES:
        raise Refused(400, f"Parsing mode {mode} is not supported.")
    _options(form)
    _targets(form)


def job_of_form(
    form: Mapping[str, str], content: Content, config: SimulatorConfig, day: date
) -> NewJob:
    """The job that was asked for, at that day's price. Raises ``Refused`` as ``check_form`` does."""
    name, sha256, size = content
    tier, targets = form.get("tier", ""), _targets(form)
    is_known = tier in set(Tier)
    layout = config.v1_layout_credits if form.get("extract_layout") == "true" else 0
    relevant = {key: value for key, value in form.items() if key not in _FREE}
    return NewJob(
        api="v1",
        name=name,
        sha256=sha256,
        size_bytes=size,
        tier=tier if is_known else "",
        price=layout + (price_of_tier(Tier(tier), day, name) if is_known else price_of_form(form)),
        options=_options(form, doomed=_DOOMED if tier and not is_known else ""),
        targets=targets[:1] if config.first_webhook_only else targets,
        cache_key="v1" + json.dumps(relevant, sort_keys=True),
        reads_cache=form.get("invalidate_cache") != "true",
        stores_cache=form.get("do_not_cache") != "true",
        asked={key: value for key, value in form.items() if not key.endswith(_SECRET)},
    )


def _options(form: Mapping[str, str], doomed: str = "") -> Options:
    return Options(
        target_pages=_one_based(form.get("target_pages", "")),
        max_pages=_number(form, "max_pages", int) or None,
        screenshots=form.get("take_screenshot") == "true",
        embedded=form.get("save_images") != "false"
        and form.get("disable_image_extraction") != "true",
        xlsx=True,
        pdf=form.get("output_pdf_of_document") == "true",
        failure_ratio=_number(form, "page_error_tolerance", float),
        separator=form.get("page_separator") or None,
        prefix=form.get("page_prefix", ""),
        suffix=form.get("page_suffix", ""),
        doomed=doomed,
    )


def _targets(form: Mapping[str, str]) -> tuple[Target, ...]:
    """Receivers of events, and the one that gets the whole result."""
    written = form.get("webhook_configurations")
    try:
        entries = _ENTRIES.validate_json(written) if written else []
    except ValidationError as error:
        what = error.errors(include_url=False, include_input=False)[0]["msg"]
        raise Refused(400, f"Invalid JSON in webhook_configurations: {what}") from error
    url = form.get("webhook_url")
    return (*targets_of(entries), *((Target(url, format=RESULT),) if url else ()))


def _one_based(pages: str) -> str:
    """``0-2,4`` counts from 0 in v1; the same pages counted from 1 are ``1-3,5``."""
    if not pages:
        return ""
    try:
        moved = ",".join(
            "-".join(str(int(end) + 1) for end in part.split("-")) for part in pages.split(",")
        )
        return page_ranges(parse_page_ranges(moved))
    except ValueError as error:
        raise Refused(400, f"target_pages {pages!r} names no pages, such as 0-2,4.") from error


def _number(form: Mapping[str, str], name: str, kind: type[int] | type[float]) -> Any:
    value = form.get(name)
    if not value:
        return None
    try:
        number = kind(value)
    except ValueError:
        number = -1
    if not 0 <= number < 10**9:  # NaN is refused too
        raise problem(["body", name], f"{kind.__name__}_parsing", "Input should be a number", value)
    return number
