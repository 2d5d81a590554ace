"""The structured view of a page follows from its markdown, and plain prose takes a short way to it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.simulator import items
from core.simulator.items import Item, items_of, parsed_items

_PIECES = (
    *(
        "word",
        "Word two",
        "1. one",
        "2) two",
        "12.5 percent",
        "- point",
        "* star",
        "+ plus",
        "# head",
        "===",
        "---",
    ),
    *(
        "| a | b |",
        "|---|---|",
        "a|b",
        "-|-",
        "> quote",
        "    code",
        "\tcode",
        "```",
        "~~~",
        "`code`",
        "*em*",
        "_em_",
    ),
    *(
        "[a](b)",
        "![a](b)",
        "[a]",
        "[a]: /b",
        "<a@b.cd>",
        "&amp;",
        "\\*",
        "end  ",
        "end\\",
        "a_b_c",
        "x # y",
        "5 > 3",
    ),
    *(
        "é",
        "第一",
        "\u00a0",
        "\u3000x\u3000",
        "a\u2028b",
        "a\x0bb",
        "a\x85b",
        "\x00",
        "\ufeffb",
        "\r",
        "a\tb",
        "'q'",
    ),
)
_MARKDOWN = st.lists(
    st.tuples(
        st.sampled_from(["", " ", "  "]),
        st.sampled_from(_PIECES),
        st.sampled_from(["\n", "\n\n", " \n", "\n\n\n", "\n \n", ""]),
    ),
    max_size=10,
).map(lambda parts: "".join("".join(part) for part in parts))


@given(_MARKDOWN | st.text(max_size=60))
@example("one\ntwo\n\nthree\n")
@example("- a\n\nprose\n\n- b")
@example("```\na\n\nb\n```")
@example("see [a]\n\nprose\n\n[a]: /b")
def test_the_short_way_gives_what_the_parser_gives(markdown: str) -> None:
    """Whatever a page holds, its items are those of the parser."""
    assert items_of(markdown) == parsed_items(markdown)


def test_prose_takes_the_short_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a page of plain prose below a heading only the heading is parsed."""
    seen: list[str] = []

    def noted(markdown: str) -> list[Item]:
        seen.append(markdown)
        return parsed_items(markdown)

    monkeypatch.setattr(items, "parsed_items", noted)
    found = items_of("# Head\n\nfirst line\nsecond line\n\nnext\n")
    assert seen == ["# Head"]
    assert [item["type"] for item in found] == ["heading", "text", "text"]


def test_an_odd_line_separator_ends_no_line() -> None:
    """The markdown of an item is cut where markdown ends its lines, not where Unicode would."""
    assert items_of("a\u2028b\n\n# head")[1]["md"] == "# head"
