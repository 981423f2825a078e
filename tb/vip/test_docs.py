"""docs/vip.md has the rules as they are."""

from pathlib import Path

from ringwalker_sim.vip.report import rules_table

BEGIN, END = "<!-- rules -->\n", "<!-- end of rules -->\n"


def test_the_page_has_all_rules() -> None:
    page = Path("docs/vip.md").read_text()
    table = page.partition(BEGIN)[2].partition(END)[0]
    assert table == rules_table(), "put the output of rules_table() between the two comments of docs/vip.md"
