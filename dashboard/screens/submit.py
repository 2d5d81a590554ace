"""Submit: drop, see, decide, done."""

import streamlit as st

from core.domain.counts import counted
from core.domain.money import Tier
from core.services.quotes import is_over, share_sentence
from dashboard.components import (
    formats,
    header,
    outage,
    quote_table,
    team_choice,
    uploads,
)
from dashboard.runtime import actor, get_console
from dashboard.wording import money, plain, tier_name

console = get_console()
mode = console.modes.current()
header.show("Submit", mode)
outage.show(console, mode)
tier = st.segmented_control(
    "Tier",
    list(Tier),
    default=Tier.AGENTIC,
    required=True,
    format_func=tier_name,
    key="tier",
    bind="query-params",
)
team = team_choice.show(console.limits.teams())
found = uploads.collect(console)
if not found:
    st.caption("You see the price of every document before anything is parsed.")
    formats.show(console.local.facts())
    st.stop()
quote = console.submissions.quote(
    found,
    Tier(tier or Tier.AGENTIC),
    mode,
    parse_again=st.session_state.get("again", False),
    team=team,
)
if any(line.earlier is not None for line in quote.lines):
    st.toggle("Parse again what was parsed before", key="again")
uploads.ask_ceiling([line.upload for line in quote.parsable if line.upload.needs_ceiling])
quote_table.show(quote)
for reason in quote_table.reasons(quote)[:5]:
    st.caption(plain(reason))
count = len(quote.parsable)
for line in quote.lines:
    if line.earlier is not None and not line.will_parse:
        st.page_link(
            "screens/job.py",
            label=plain(f"Open the result of {line.upload.name}"),
            query_params={"job": line.earlier.id},
        )
if not count:
    st.info("Nothing here can be parsed now; the notes say why.", icon=":material/info:")
    st.stop()
st.caption(f"These documents at each tier: {quote_table.tier_prices(quote)}")
st.caption(f"Together {quote_table.sum_line(quote)}".replace("$", "\\$"))
share = share_sentence(quote).replace("$", "\\$")
if is_over(quote):
    st.warning(share, icon=":material/hourglass_top:")
else:
    st.markdown(share)
st.caption(quote_table.shares_line(quote))
simulated = " simulated" if mode == "mock" else ""
if st.button(
    f"Parse {counted(count, 'document')} for {money(quote.usd)}{simulated}".replace("$", "\\$"),
    type="primary",
    key="parse",
):
    submission = console.submissions.submit(quote, actor(), uploads.press_key())
    uploads.start_over()
    st.switch_page("screens/submission.py", query_params={"submission": submission.id})
