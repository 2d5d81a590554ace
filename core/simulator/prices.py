"""What a page costs: v2 by tier, v1 by mode, model and preset (fact sheet 2.1 and 2.3)."""

from collections.abc import Mapping
from datetime import date

from core.domain.documents import is_named_spreadsheet
from core.domain.money import BUILT_IN_PRICES, Tier

__all__ = ["MODES", "price_of_form", "price_of_tier"]

_DEFAULT_MODE = "parse_page_with_llm"
MODES = {
    "parse_page_without_llm": 1,
    "parse_page_with_llm": 3,
    "parse_document_with_llm": 30,
    "parse_page_with_layout_agent": 45,
    "parse_page_with_agent": 10,
    "parse_page_with_lvm": 6,
    "parse_document_with_lvm": 30,
    "parse_document_with_agent": 90,
}
_AGENT_MODELS = (
    (90, ("sonnet", "gpt-5")),
    (45, ("gpt-4-1", "gpt-5-mini", "haiku-4.5", "gemini-2.5-pro")),
    (10, ("gpt-4-1-mini", "gpt-5-nano", "flash")),
)
_SWITCHES = (
    ("premium_mode", 45),
    ("fast_mode", 1),
    ("continuous_mode", 30),
    ("structured_output", 3),
    ("auto_mode", 3),
)
_PRESET = 90


def price_of_tier(tier: Tier, day: date, name: str) -> int:
    """Credits per page of a document of that name on that day; a sheet costs its own on top."""
    price = BUILT_IN_PRICES.on(day)
    return price.of_sheets(has_sheets=is_named_spreadsheet(name)).credits(tier, 1)


def price_of_form(form: Mapping[str, str]) -> int:
    """Credits per page of a v1 request without a tier, ``true`` switches first, then preset and mode."""
    for switch, price in _SWITCHES:
        if form.get(switch) == "true":
            return price
    if form.get("preset"):
        return _PRESET
    mode = form.get("parse_mode") or _DEFAULT_MODE
    if mode == "parse_page_with_agent":
        return _price_of_model(form.get("model", ""))
    return MODES.get(mode, MODES[_DEFAULT_MODE])


def _price_of_model(model: str) -> int:
    # the longest name that fits decides: gpt-5-mini is not gpt-5
    found = [
        (len(name), price) for price, names in _AGENT_MODELS for name in names if name in model
    ]
    return max(found)[1] if found else MODES["parse_page_with_agent"]
