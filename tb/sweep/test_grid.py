"""Grids of a sweep: keys, values, and the cases that they come to."""

import json
from dataclasses import asdict, fields

import pytest

from ringwalker_sim.errors import ParameterError
from ringwalker_sim.performance.cases import Case
from ringwalker_sim.sweep.grid import WORKLOAD_KEYS, Grid, GridCase, device_keys, parse_setting
from ringwalker_sim.sweep.work import area_tasks, tasks_of


def test_each_value_of_a_key_is_with_each_of_all_others():
    grid = Grid.of(["data_width=64,256", "ring=split,packed", "link=gen2x4,gen3x8"])
    assert len({(case.data_width, case.ring, case.link) for case in grid.cases}) == 8
    assert [case.link for case in grid.cases[:2]] == ["gen2x4", "gen3x8"]
    assert grid.varied == ["data_width", "ring", "link"]
    assert grid.reasons == ()


def test_a_grid_of_usual_values_is_the_usual_case():
    (case,) = Grid.of(["size=4k"]).cases
    assert case == GridCase()
    assert case.config == Case().config
    assert case.pcie == Case().pcie
    assert Grid.of(["size=4k"]).varied == []


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("size=512,4k", (512, 4096)),
        ("requests=2k", (2000,)),
        ("indirect=true,false", (True, False)),
        ("device-queues=1,16", (1, 16)),
        ("pci.msi=0,1", (0, 1)),
        ("suspend=true", (True,)),
        ("net.mac=52:54:00:12:34:56", ("52:54:00:12:34:56",)),
    ],
)
def test_values_have_the_type_of_their_key(text, values):
    assert parse_setting(text)[1] == values


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (["size"], "size: is not KEY=VALUE,VALUE"),
        (["speed=1"], "speed is no key; there are function, direction, size, .* suspend, .*net.mtu"),
        (["depth=1,x"], "depth is 'x'; it must be a whole number"),
        (["indirect=1"], "indirect is '1'; it must be true or false"),
        (["depth=1,1"], "depth=1,1: has a value twice"),
        (["depth=1", "depth=2"], "depth is set twice"),
        (["ring=split,round"], "ring=round: ring is 'round'; it must be one of split, packed"),
        (["link=gen9x9"], "link=gen9x9: link is 'gen9x9'; it must be one of gen"),
        (["data_width=65"], "data_width=65: data_width is 65; it must be 64, 128, 256 or 512"),
        (["suspend=maybe"], "suspend=maybe: suspend is \"?'?maybe'?\"?; it must be"),
        (["pci.msi=9"], "pci.msi=9: pci.msi is 9; it must be 0, 1 or 2"),
        (["size=512", "depth=512"], "no case can have depth=512: depth is 512"),
        (["depth=1,512"], "depth=512: depth is 512; 1 queue"),
    ],
)
def test_what_cannot_be_is_one_line(settings, said):
    with pytest.raises(ParameterError, match=said) as caught:
        Grid.of(settings)
    assert "\n" not in str(caught.value)


def test_combinations_that_cannot_be_are_left_out_with_the_reason():
    grid = Grid.of(["function=blk,net", "direction=read,tx", "depth=1,64"])
    assert {(case.function, case.direction) for case in grid.cases} == {("blk", "read"), ("net", "tx")}
    assert len(grid.cases) == len(grid.reasons) == 4
    assert "direction is 'tx'; it must be one of read, write" in grid.reasons


def test_a_function_has_a_direction_of_its_own():
    assert [case.direction for case in Grid.of(["function=blk,net"]).cases] == ["read", "tx"]


def test_any_key_of_a_configuration_can_be_set_and_bounds_the_link():
    (case,) = Grid.of(["max_payload=128", "pci.msi=1", "fields=false", "blk.block_size=4096"]).cases
    assert (case.config.max_payload, case.config.pci.msi) == (128, 1)
    assert case.config.settings.block_size == 4096
    assert case.pcie.max_payload == 128
    assert Case().pcie.max_payload == 256


def test_every_key_is_of_the_workload_or_of_the_device():
    config = Case().config
    same = {"queues", "device_queues", "queue_size", "chains", "function"}
    for item in fields(Case):
        of_device = item.name not in WORKLOAD_KEYS
        assert of_device == (item.name == "device_queues" or hasattr(config, item.name)) or item.name in same
    assert set(device_keys()).isdisjoint(item.name for item in fields(Case))


def test_tasks_can_be_told_apart_and_name_the_model_that_they_need():
    cases = Grid.of(["ring=split,packed", "suspend=false,true", "depth=1,4"]).cases
    tasks = tasks_of(cases)
    assert len({task.key for task in tasks}) == len(tasks) == 8
    assert len({task.prepare[0].words for task in tasks}) == 4
    assert len(area_tasks(cases, "ecp5")) == 4
    case = json.loads(json.dumps(tasks[3].arguments["case"]))
    assert case == json.loads(json.dumps(asdict(cases[3])))
