"""What a device ought to reach and what it does."""

from typing import Any

import pytest

from ringwalker.config import DeviceConfig
from ringwalker_sim.performance.synth.cases import Case
from ringwalker_sim.performance.synth.measure import goals
from ringwalker_sim.performance.synth.report import page


def block(name: str, lut: int, *parts: dict[str, Any]) -> dict[str, Any]:
    counts = dict.fromkeys(("lut", "ff", "bram", "lutram", "carry", "mux", "dsp"), 0) | {"lut": lut, "ff": 1}
    return {"name": name, "counts": counts, "parts": list(parts)}


def result(mhz: float) -> dict[str, Any]:
    path = {"luts": 7, "carries": 1, "muxes": 0, "start": "a", "end": "b", "registers": True, "through": []}
    slow = {"start": "c", "end": "d", "steps": 5, "ns": 9.0, "routing_ns": 6.5}
    blocks = block("device", 100, block("x", 60, block("y", 50)), block("z", 30))
    return {
        "target": "ecp5",
        "block": "",
        "config": DeviceConfig().to_toml(),
        "counts": blocks["counts"] | {"lut": 90},
        "luts_on_longest_path": 7,
        "paths": [path],
        "blocks": blocks,
        "chip": {"device": "85k", "speed": 6, "freq": 125.0},
        "routed": [
            {"seed": seed, "mhz": mhz + seed, "used": {"TRELLIS_COMB": 99}, "slowest": slow}
            for seed in range(2)
        ],
    }


@pytest.mark.parametrize(("luts", "levels", "mhz"), [(90, 7, 125.0), (89, 6, 124.9)])
def test_goals_are_met_or_missed_by_their_bounds(luts, levels, mhz):
    case = Case("some", "ecp5", DeviceConfig(), seeds=2, most_luts=luts, most_levels=levels)
    met = mhz >= 125
    found = goals(case, result(mhz))
    assert [(item["goal"], item["reached"], item["met"]) for item in found] == [
        (luts, 90, met),
        (levels, 7, met),
        (125.0, mhz, met),
    ]
    # What is in a block itself, without what is in its parts.
    assert found[0]["limit"] == "largest blocks: device.x.y (50), device.z (30), device (10), device.x (10)"
    assert "from a to b" in found[1]["limit"]
    assert found[2]["limit"] == "5 cells and 6.5 ns of routing, from c to d"
    text = page([{"name": "some", **result(mhz), "goals": found}])
    assert f"| levels | at most {levels} | 7 | {'yes' if met else 'no'} | the path from a to b |" in text


def test_a_note_about_the_figures_is_on_the_page():
    device = {"name": "some", **result(1.0), "goals": []}
    assert "Measured long ago." not in page([device])
    assert "\nMeasured long ago.\n" in page([{**device, "note": "Measured long ago."}])


def test_what_was_not_asked_for_is_no_goal():
    assert goals(Case("some", "ecp5", DeviceConfig()), result(1.0)) == []
