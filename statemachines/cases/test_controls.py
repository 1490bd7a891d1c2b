"""Every path of the controls. They share one definition, so each path is walked with one of them."""

import threading

import pytest
from conftest import SWEEP, Error, known, outcome, until

LANE = "us-east-1.on-demand"
OTHER_LANE = "eu-west-1.spot"


def planned(way, *places, **more):
    return {"sweep_id": SWEEP, "way": way, "places": list(places), "reason": "by hand"} | more


@pytest.mark.parametrize("control", ["cancel", "stop", "start", "terminate", "replace", "extend", "resume"])
def test_every_control_is_checked_carried_out_and_noted_under_its_execution(stack, control):
    stack.script["control/note"] = {"outcome": "all"}
    ended = stack.run(control, {"sweep_id": SWEEP})
    assert ended["output"] == {"outcome": "all"}
    [checked] = stack.script.asked["control/check"]
    asked = checked["check"]
    assert (asked["control"], asked["input"]) == (control, {"sweep_id": SWEEP})
    assert asked["execution_arn"] == ended["executionArn"]
    assert asked["started_at"].endswith("Z")
    assert stack.script.asked["control/act"] == [{"act": {"asked": asked, "lane": LANE}}]
    [noted] = stack.script.asked["control/note"]
    assert noted["note"] == {
        "asked": asked,
        "sweep_id": SWEEP,
        "outcome": [{"settled": True, "wait_s": 0, "outcomes": []}],
    }


@pytest.mark.parametrize("error", ["InvalidInput", "NotFound", "NotAllowed"])
def test_a_request_is_refused_in_the_functions_words(stack, error):
    words = '2 faults:\n- {"x"}\n- y'
    stack.script["control/check"] = Error(error, words)
    ended = stack.run("stop", {})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", error, words)
    assert not stack.script.asked["control/act"]


def test_a_whole_sweep_is_ended_by_its_drain(stack):
    stack.script["control/check"] = planned("drain", reason="cancelled by hand: why")
    stack.script["idle-reaper/drain"] = known(LANE)
    stack.script["collect-results"] = outcome("cancelled")
    assert stack.run("cancel", {"sweep_id": SWEEP})["status"] == "SUCCEEDED"
    [drained] = stack.script.asked["idle-reaper/drain"]
    drain = drained["drain"]
    assert (drain["sweep_id"], drain["status"], drain["reason"]) == (SWEEP, "cancelled", "cancelled by hand: why")
    assert stack.script.asked["control/note"][0]["note"]["outcome"] == outcome("cancelled")


def test_a_drain_that_fails_fails_its_control(stack):
    stack.script["control/check"] = planned("drain")
    stack.script["idle-reaper/drain"] = Error("Spawn.Config", "no permission")
    ended = stack.run("cancel", {"sweep_id": SWEEP})
    assert ended["status"] == "FAILED"
    assert ended["cause"].startswith("Drain the Sweep: ")
    assert "no permission" in ended["cause"]


def test_where_there_is_nothing_to_do_that_is_noted(stack):
    stack.script["control/check"] = planned("nothing", nothing_to_do="it was over")
    assert stack.run("cancel", {"sweep_id": SWEEP})["status"] == "SUCCEEDED"
    assert stack.script.asked["control/note"][0]["note"]["outcome"] == "it was over"
    assert not stack.script.asked["control/act"]


def test_a_place_is_looked_at_until_it_is_settled(stack):
    stack.script["control/act"] = [
        {"settled": False, "wait_s": 1, "outcomes": ["stopping"]},
        Error("Spawn.Throttled"),
        {"settled": True, "wait_s": 0, "outcomes": ["stopped"]},
    ]
    assert stack.run("stop", {"sweep_id": SWEEP})["status"] == "SUCCEEDED"
    assert len(stack.script.asked["control/act"]) == 3
    assert stack.script.asked["control/note"][0]["note"]["outcome"][0]["outcomes"] == ["stopped"]


def test_a_place_that_cannot_be_reached_keeps_no_other_from_being_acted_on(stack):
    def act(event):
        if event["act"]["lane"] == LANE:
            return Error("Spawn.Config", "the region is off")
        return {"settled": True, "wait_s": 0, "outcomes": ["there"]}

    stack.script["control/check"] = planned("places", LANE, OTHER_LANE)
    stack.script["control/act"] = act
    ended = stack.run("stop", {"sweep_id": SWEEP})
    assert (ended["error"], ended["cause"]) == ("Spawn.Config", f"Act in One Place in {LANE}: the region is off")
    [place] = stack.script.asked["control/note"][0]["note"]["outcome"]
    assert place["outcomes"] == ["there"]


@pytest.mark.parametrize("step", ["check", "note"])
def test_a_step_that_fails_says_where(stack, step):
    stack.script[f"control/{step}"] = Error("Spawn.Bug", "oh")
    ended = stack.run("stop", {"sweep_id": SWEEP})
    where = {"check": "Check the Request", "note": "Note the Outcome"}[step]
    assert (ended["error"], ended["cause"]) == ("Spawn.Bug", f"{where}: oh")


def test_a_sweep_that_is_resumed_gets_a_new_execution_and_is_not_waited_for(stack):
    stack.script["control/check"] = planned("resume", members=3, instead_of="the first")
    ended = stack.run("resume", {"sweep_id": SWEEP})
    assert ended["status"] == "SUCCEEDED"
    outcome = stack.script.asked["control/note"][0]["note"]["outcome"]
    assert outcome["members"] == 3
    assert outcome["execution_arn"].rsplit(":", 1)[1].startswith(SWEEP)
    until(lambda: stack.script.asked["plan-sweep"], "the sweep is planned again")
    assert stack.script.asked["plan-sweep"][0]["input"]["resume"] == SWEEP


def test_a_sweep_that_is_resumed_twice_at_the_same_moment_gets_one_execution(stack):
    both_have_asked = threading.Event()

    def resumed(_):
        both_have_asked.wait(60)
        return Error("NotAllowed", "an instance is left")

    stack.script["plan-sweep"] = resumed
    stack.script["control/check"] = planned("resume", members=3, instead_of="an execution")
    for _ in range(2):
        stack.run("resume", {"sweep_id": SWEEP})
    first, second = (noted["note"]["outcome"] for noted in stack.script.asked["control/note"])
    assert first == second
    assert len(stack.script.asked["plan-sweep"]) == 1
    both_have_asked.set()
    until(lambda: stack.has_ended(first["execution_arn"]), "the sweep's plan refuses")
    # It is not in the way of whoever resumes the sweep once that is possible.
    stack.run("resume", {"sweep_id": SWEEP})
    third = stack.script.asked["control/note"][-1]["note"]["outcome"]["execution_arn"]
    assert third != first["execution_arn"]
    until(lambda: stack.has_ended(third), "the sweep's plan refuses again")
    assert len(stack.script.asked["plan-sweep"]) == 2
