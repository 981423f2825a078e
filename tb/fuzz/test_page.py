"""docs/fuzz.md is what is generated, and what explains holes in the coverage is not stale."""

import json
from dataclasses import asdict
from pathlib import Path

from ringwalker_sim.fuzz.coverage import Point, block_of
from ringwalker_sim.fuzz.explained import Explanation
from ringwalker_sim.fuzz.explanations import EXPLAINED
from ringwalker_sim.fuzz.judged import JUDGED, judgement
from ringwalker_sim.fuzz.outcome import RULES
from ringwalker_sim.fuzz.page import FIGURES, PAGE, page, read_figures

DOCS = Path("docs")


def test_the_page_is_up_to_date() -> None:
    made = page(read_figures(DOCS / FIGURES))
    assert (DOCS / PAGE).read_text() == made, "run ringwalker fuzz --docs docs --from docs/fuzz.json"


def test_explanations_are_of_what_has_not_toggled() -> None:
    for item in read_figures(DOCS / FIGURES)["coverage"].values():
        assert item["wrong"] == []
        said = [{name: row[name] for name in asdict(EXPLAINED[0])} for row in item["explained"]]
        table = json.loads(json.dumps([asdict(entry) for entry in EXPLAINED]))
        assert said == table, "run ringwalker fuzz --docs docs --only coverage"
        assert [row["places"] for row in item["explained"] if not row["points"]] == []


def test_every_finding_is_judged() -> None:
    measured = read_figures(DOCS / FIGURES)
    for item in measured["devices"]:
        for finding in item["findings"]:
            assert judgement(item["device"], measured["seed"], finding), (item["device"], finding)
    assert {item.rule for item in JUDGED} <= {"", *RULES}


def test_a_judgement_is_of_a_device_a_seed_a_rule_and_a_case() -> None:
    one = {"number": 3940, "rule": "expected"}
    assert judgement("rng:packed:modern", 18, one) is not None
    assert judgement("rng:packed:modern", 19, one) is None
    assert judgement("rng:split:modern", 18, one) is None
    assert judgement("rng:packed:modern", 18, {**one, "number": 3}) is None
    assert judgement("rng:packed:modern", 18, {**one, "rule": "link"}) is None
    every = judgement("net:split:legacy", 18, {"number": 5, "rule": "expected"})
    assert every is judgement("net:split:legacy", 18, {"number": 6, "rule": "expected"}) is not None


def test_what_nobody_has_judged_and_all_hardware_are_on_the_page() -> None:
    measured = read_figures(DOCS / FIGURES)
    device = {**measured["devices"][0], "hardware": {"ab": 1000, "cd": 20}}
    found = {"number": 7, "rule": "read", "text": "a read", "cycle": 1}
    made = page({**measured, "devices": [{**device, "findings": [found]}]})
    assert f"{device['device']}, case 7, `read`: a read: nobody has judged it yet." in made
    assert "`ab` (1,000 cases), `cd` (20 cases)" in made


def point(name: str, bit: int, *others: str) -> Point:
    return Point(9, "", "walker", ((name, bit), *((other, bit) for other in others)), (0,))


def test_an_explanation_is_of_some_bits() -> None:
    narrow = Explanation(("core.walker.*header",), "", lowest=4, highest=9)
    header = "core.walker.lane0.beat__header"
    assert [bit for bit in range(12) if narrow.covers(point(header, bit))] == [4, 5, 6, 7, 8, 9]
    assert not narrow.covers(point("core.common.header", 4))
    some = Explanation(("core.walker.features",), "", but=(2, 40))
    assert [bit for bit in (1, 2, 3, 40, 63) if some.covers(point("core.walker.features", bit))] == [1, 3, 63]


def test_an_explanation_is_of_a_net_by_any_name_unless_another_is_excepted() -> None:
    item = Explanation(("core.walker.*queue",), "", unless=("core.walker.revisits.*",))
    assert item.covers(point("core.walker.beat", 3, "core.walker.beat__queue"))
    assert not item.covers(point("core.walker.beat__queue", 3, "core.walker.revisits.i__queue"))


def test_signals_belong_to_the_block_in_which_they_are() -> None:
    assert block_of("core.walker.lane0.scatter.planner") == "dma"
    assert block_of("core.walker.lane1.payload_reader.completions") == "dma"
    assert block_of("core.walker.lane0.ring.split") == block_of("core.walker") == "walker"
    assert block_of("core.common.status") == "transport"
    assert block_of("core.function.parser") is block_of("edge.msix") is block_of("") is None
