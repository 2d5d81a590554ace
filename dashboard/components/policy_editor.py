"""The rules of HYBRID, with what they would do to a recent document beside them."""

from collections.abc import Sequence

import streamlit as st

from core.console import Console
from core.domain.documents import EngineName, PageClass, Thresholds, page_ranges
from core.domain.jobs import Actor
from core.domain.money import Tier
from core.domain.route_policy import HybridPolicy, RoutePolicy, Where
from core.domain.routing import Mode
from core.services.routes import Preview
from core.store.policies import PolicyChange
from dashboard.components import times
from dashboard.wording import engine_name, money, plain, tier_name

__all__ = ["sentence", "show"]

_HERE = "local engine"
_TIERS = {tier.value: tier for tier in Tier}
_WORDS = {
    PageClass.PLAIN: "Plain text",
    PageClass.TABLE: "Tables and columns",
    PageClass.FIGURE: "Figures",
    PageClass.SCAN: "Scans, handwriting",
    PageClass.GARBLED: "Garbled text",
}
_POLICIES = {
    HybridPolicy.FALLBACK: "Fallback: LlamaParse first",
    HybridPolicy.ECONOMY: "Economy: page by page",
}
_NEVER_HERE = {PageClass.SCAN, PageClass.GARBLED}


def show(console: Console, actor: Actor) -> None:
    """Edit, see what it would do, store with a reason."""
    st.subheader("Rules of HYBRID", anchor=False)
    changes = console.routes.history()
    now = changes[0].policy if changes else RoutePolicy()
    left, right = st.columns([3, 2])
    with left:
        edited = _edited(now, [card.name for card in console.engines.others()])
    with right:
        _preview(console, edited)
        if edited != now:
            _save(console, edited, actor)
        else:
            st.caption("These rules are in force.")
        _history(changes)


def _edited(now: RoutePolicy, others: list[EngineName]) -> RoutePolicy:
    hybrid = st.segmented_control(
        "Policy",
        list(HybridPolicy),
        default=now.hybrid,
        required=True,
        format_func=lambda p: _POLICIES[p],
        key="policy-hybrid",
    )
    table: dict[PageClass, Where] = {}
    # one that was taken out stays to be seen, and to be replaced
    named = [where for where in now.table.values() if isinstance(where, EngineName)]
    engines = {str(name): name for name in (*others, *named)}
    columns = st.columns(2)
    for number, kind in enumerate(PageClass):
        options = [*([] if kind in _NEVER_HERE else [_HERE]), *_TIERS, *engines]
        chosen = columns[number % 2].selectbox(
            _WORDS[kind],
            options,
            index=options.index(str(now.table[kind] or _HERE)),
            format_func=lambda o: f"LlamaParse {tier_name(o)}" if o in _TIERS else o,
            key=f"policy-{kind}",
            help="The local engine alone cannot read such pages." if kind in _NEVER_HERE else None,
        )
        table[kind] = None if chosen == _HERE else _TIERS.get(chosen) or engines[chosen]
    return RoutePolicy(
        HybridPolicy(hybrid or now.hybrid),
        table,
        _thresholds(now.thresholds),
        st.toggle(
            "Where a limit is reached, the local engine stands in",
            value=now.local_over_limit,
            key="policy-limit",
        ),
        st.toggle(
            "Parse stand-ins again once LlamaParse is back",
            value=now.parse_again,
            key="policy-again",
            help="Only what lacked LlamaParse, a few at a time and within the limits.",
        ),
    )


def _thresholds(now: Thresholds) -> Thresholds:
    with st.expander("When is a page more than plain?", key="policy-thresholds"):
        chars = st.number_input(
            "Fewest characters of a text layer", 0, 5000, now.min_text_chars, key="policy-chars"
        )
        columns = st.number_input("Columns from", 2, 9, now.columns, key="policy-columns")
        share = st.number_input(
            "Figures from this share of the page (%)",
            0,
            100,
            round(now.figure_share * 100),
            key="policy-figures",
        )
    return Thresholds(int(chars), int(columns), int(share) / 100)


def _preview(console: Console, edited: RoutePolicy) -> None:
    recent = console.routes.recent()
    if not recent:
        st.info("Once a document was submitted, this shows what the rules would do with it.")
        return
    names = [name for name, _document in recent]
    number = st.selectbox(
        "Try it on", range(len(names)), format_func=lambda n: names[n], key="policy-document"
    )
    name, document = recent[number or 0]
    found = console.routes.preview(edited, name, document)
    with st.container(border=True, key="policy-preview"):
        st.markdown(plain(sentence(found)))
        pages = ", ".join(f"{n} {_WORDS[kind].lower()}" for kind, n in found.classes.items())
        st.caption(plain(f"{name}: {pages}"))


def sentence(found: Preview) -> str:
    """``With these, this document costs $0.05 instead of $0.36: pages 3,7-9 go to LlamaParse``."""
    total = sum(found.classes.values())
    sent = sorted(
        page
        for attempt in found.plan.attempts
        if attempt.engine is EngineName.LLAMAPARSE
        for page in attempt.target_pages or range(1, total + 1)
    )
    where = engine_name(EngineName.LLAMAPARSE, Mode.HYBRID)
    if not sent:
        which = "all pages stay here"
    elif len(sent) == total:
        which = f"all pages go to {where}"
    else:
        noun = "page" if len(sent) == 1 else "pages"
        verb = "goes" if len(sent) == 1 else "go"
        which = f"{noun} {page_ranges(sent)} {verb} to {where}"
    instead = f" instead of {money(found.full_usd)}" if found.usd != found.full_usd else ""
    return f"With these, this document costs {money(found.usd)}{instead}: {which}."


def _save(console: Console, edited: RoutePolicy, actor: Actor) -> None:
    with st.form("policy-save", border=False):
        reason = st.text_input(
            "Why", placeholder="so that others understand it later", key="policy-reason"
        )
        if st.form_submit_button("Put these rules in force", type="primary"):
            console.routes.save(edited, actor, reason)
            st.rerun()


def _history(changes: Sequence[PolicyChange]) -> None:
    for change in changes[:3]:
        st.caption(
            plain(
                f"{times.short(change.at)} · {change.policy.hybrid} · {change.actor} · {change.reason}"
            )
        )
