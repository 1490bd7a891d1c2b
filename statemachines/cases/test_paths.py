"""Every path of the machines."""

import json

import pytest
from conftest import ACCOUNT, DIE, REGION, SWEEP, Error, known, outcome, plan, step, until

LANE = "us-east-1.on-demand"
OTHER_LANE = "eu-west-1.spot"


def failure(ended):
    assert ended["status"] == "FAILED"
    return ended["error"], ended["cause"]


def told(stack):
    """What `notify` was told of ends; the schedule's looks name no sweep."""
    return [event["look"] for event in stack.script.asked["notify/look"] if "sweep_id" in event["look"]]


def drains(stack):
    return [event["drain"] for event in stack.script.asked["idle-reaper/drain"]]


# ---- spawn-sweep: the good ends ---------------------------------------------------------------------------------------


def test_a_sweep_goes_from_its_document_to_its_output(stack):
    stack.script["plan-sweep"] = plan(lanes=[LANE, OTHER_LANE])
    ended = stack.run("sweep", {"name": "demo", "params": [{"x": 1}]})
    assert ended["output"] == outcome("completed", notified=[])
    [asked] = stack.script.asked["plan-sweep"]
    assert asked["execution_arn"] == ended["executionArn"]
    assert asked["input"] == {"name": "demo", "params": [{"x": 1}]}
    assert asked["started_at"].endswith("Z")
    assert {event["lane"] for event in stack.script.asked["launch-batch"]} == {LANE, OTHER_LANE}
    assert stack.script.asked["collect-results"] == [{"sweep_id": SWEEP, "execution_arn": ended["executionArn"]}]
    assert {event["execution_arn"] for event in stack.script.asked["launch-batch"]} == {ended["executionArn"]}
    assert not drains(stack)


def test_a_dry_run_ends_with_the_plan(stack):
    stack.script["plan-sweep"] = plan(dry_run=True, plan={"members": 2})
    assert stack.run("sweep")["output"]["plan"] == {"members": 2}
    assert not stack.script.asked["launch-batch"]


def test_a_sweep_with_failures_succeeds_with_their_count(stack):
    stack.script["collect-results"] = outcome("completed_with_failures", counts={"failed": 1})
    assert stack.run("sweep")["output"]["counts"] == {"failed": 1}


def test_who_wants_to_know_is_told_and_the_output_says_who(stack):
    stack.script["notify/look"] = {"notified": [{"target": "arn:topic", "subject": "completed"}]}
    ended = stack.run("sweep")
    assert ended["output"]["notified"] == [{"target": "arn:topic", "subject": "completed"}]
    assert told(stack) == [{"sweep_id": SWEEP, "news": outcome("completed")}]


def test_a_sweep_whose_logs_are_wanted_has_a_log_group_that_expires(stack):
    group = "/spawn/sweeps/of-a-case"
    stack.script["plan-sweep"] = plan(log_group=group)
    for _ in range(2):
        assert stack.run("sweep")["status"] == "SUCCEEDED", "also when the group is there already"
    [made] = stack.client("logs").describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert made["retentionInDays"] > 0


def test_a_sweep_of_which_nobody_can_be_told_is_no_failure(stack):
    stack.script["notify/look"] = Error("Spawn.Config", "no table")
    ended = stack.run("sweep")
    assert ended["status"] == "SUCCEEDED"
    [problem] = ended["output"]["notified"]
    assert (problem["started"], problem["error"]["Error"]) == (False, "Spawn.Config")


def test_lanes_of_members_to_be_tried_again_are_launched_once_more(stack):
    relaunch = lambda event: stack.script.wake_with(event, {"relaunch": True, "lanes": [OTHER_LANE]})
    end = lambda event: stack.script.wake_with(event, {"relaunch": False})
    stack.script["plan-sweep"] = plan(lanes=[LANE, OTHER_LANE])
    stack.script["track-instances/register"] = [relaunch, relaunch, end]
    assert stack.run("sweep")["output"] == outcome("completed", notified=[])
    launched = sorted(event["lane"] for event in stack.script.asked["launch-batch"])
    assert launched == sorted([LANE, OTHER_LANE, OTHER_LANE, OTHER_LANE])
    assert len(stack.script.asked["track-instances/register"]) == 3
    assert not drains(stack)


# ---- spawn-sweep: the bad ends ----------------------------------------------------------------------------------------


def test_a_bad_document_is_refused_with_the_words_of_the_planner(stack):
    faults = '2 faults in the sweep document:\n- ttl: {"x"}\n- regions: é'
    stack.script["plan-sweep"] = Error("InvalidSweep", faults)
    assert failure(stack.run("sweep")) == ("InvalidSweep", faults)
    assert not stack.script.asked["launch-batch"]


def test_a_refusal_that_is_too_long_to_be_whole_is_still_told(stack):
    stack.script["plan-sweep"] = Error("InvalidSweep", "x" * 40_000 + "}")
    error, cause = failure(stack.run("sweep"))
    assert error == "InvalidSweep"
    assert "xxxx" in cause


def test_a_plan_that_cannot_be_made_is_drained_by_its_execution(stack):
    stack.script["plan-sweep"] = Error("Spawn.Config", "no table")
    ended = stack.run("sweep")
    assert failure(ended) == ("Spawn.Config", "Plan the Sweep: no table")
    first = drains(stack)[0]
    assert first["execution_arn"] == ended["executionArn"]
    assert (first["status"], first["reason"]) == ("failed", "Spawn.Config: Plan the Sweep: no table")


def test_a_lane_that_fails_drains_the_sweep_and_tells_the_first_error(stack):
    stack.script["launch-batch"] = Error("Spawn.Config", "no permission")
    stack.script["idle-reaper/drain"] = known(LANE)
    stack.script["idle-reaper/reap_lane"] = [{"live": 2, "wait_s": 1}, {"live": 0, "wait_s": 0}]
    stack.script["collect-results"] = outcome("failed")
    words = "Launch Every Lane: Launch One Batch: no permission"
    assert failure(stack.run("sweep")) == ("Spawn.Config", words)
    assert len(stack.script.asked["idle-reaper/reap_lane"]) >= 2
    news = told(stack)[0]["news"]
    assert (news["status"], news["error"], news["cause"]) == ("failed", "Spawn.Config", words)


def test_a_sweep_that_is_not_over_in_time_is_drained(stack):
    stack.script["plan-sweep"] = plan(timeout_s=1)
    stack.script["track-instances/register"] = {}
    assert failure(stack.run("sweep")) == (
        "States.Timeout",
        "Await the Last Member: the sweep was not over when the time of all its members was",
    )
    assert drains(stack)[0]["status"] == "failed"


def test_a_sweep_whose_members_got_more_time_is_waited_for_again(stack):
    stack.script["plan-sweep"] = plan(timeout_s=1)
    registered = []

    def register(event):
        registered.append(event)
        return stack.script.wake(event) if len(registered) > 1 else {}

    stack.script["track-instances/register"] = register
    stack.script["track-instances/overdue"] = {"overdue": False, "wait_s": 3600}
    assert stack.run("sweep")["status"] == "SUCCEEDED"
    assert stack.script.asked["track-instances/overdue"] == [{"overdue": {"sweep_id": SWEEP}}]
    assert len(registered) == 2
    assert not stack.script.asked["idle-reaper/drain"]


def test_a_resumption_that_is_refused_drains_nothing(stack):
    stack.script["plan-sweep"] = Error("NotAllowed", "it was resumed by another execution")
    assert failure(stack.run("sweep")) == ("NotAllowed", "it was resumed by another execution")


def test_a_wait_that_cannot_be_registered_drains(stack):
    stack.script["track-instances/register"] = Error("Spawn.Bug", "no row")
    assert failure(stack.run("sweep")) == ("Spawn.Bug", "Await the Last Member: no row")


@pytest.mark.parametrize("function", ["track-instances/register", "collect-results"])
def test_an_execution_whose_sweep_was_resumed_by_another_ends_and_touches_nothing_of_it(stack, function):
    stack.script[function] = Error("Superseded", "it goes on in another execution")
    kind, cause = failure(stack.run("sweep"))
    assert kind == "Superseded" and cause.endswith(": it goes on in another execution")
    # The rule on failed sweeps asks for a drain of this execution, which has no sweep; the machine asks for none, and tells nobody.
    assert not told(stack)
    [settled] = stack.script.asked["collect-results"] or [None]
    asked = settled or stack.script.asked["track-instances/register"][0]["register"]
    assert asked["execution_arn"].startswith("arn:aws:states:") and ":spawn-sweep:" in asked["execution_arn"]


def test_a_settlement_that_fails_drains(stack):
    stack.script["collect-results"] = Error("Spawn.Bug", "oops")
    assert failure(stack.run("sweep")) == ("Spawn.Bug", "Settle the Sweep: oops")
    assert drains(stack)


def test_a_drain_that_fails_does_not_hide_the_first_error(stack):
    stack.script["launch-batch"] = Error("Spawn.Bug", "first")
    stack.script["idle-reaper/drain"] = Error("Spawn.Config", "second")
    assert failure(stack.run("sweep")) == ("Spawn.Bug", "Launch Every Lane: Launch One Batch: first")
    news = told(stack)[0]["news"]
    assert (news["status"], news["error"]) == ("draining", "Spawn.Bug")
    assert news["drain_error"]


def test_a_sweep_in_which_none_completes_fails_with_its_output_and_is_drained_once_more(stack):
    stack.script["collect-results"] = outcome("failed", reasons=[{"reason": "exit code 9", "members": 2}])
    error, cause = failure(stack.run("sweep"))
    assert error == "SweepFailed"
    assert json.loads(cause)["reasons"] == [{"reason": "exit code 9", "members": 2}]
    until(lambda: drains(stack), "the rule has started a drain")
    assert drains(stack)[0]["status"] == "failed"


def test_a_cancelled_execution_is_drained_by_rule(stack):
    stack.script["track-instances/register"] = {}
    waits = lambda: stack.script.asked["track-instances/register"]
    ended = stack.run("sweep", stop_when=waits)
    assert ended["status"] == "ABORTED"
    until(lambda: drains(stack), "the rule has started a drain")
    first = drains(stack)[0]
    assert (first["execution_arn"], first["status"]) == (ended["executionArn"], "cancelled")
    assert first["reason"] == "the execution became ABORTED"


# ---- Retries ----------------------------------------------------------------------------------------------------------


def test_a_function_that_throttles_or_dies_is_called_again(stack):
    stack.script["plan-sweep"] = [Error("Spawn.Transient"), DIE, plan()]
    stack.script["launch-batch"] = [DIE, Error("Spawn.Throttled"), step("done")]
    stack.script["collect-results"] = [Error("Spawn.Conflict"), outcome("completed")]
    wake = stack.script.wake
    stack.script["track-instances/register"] = [Error("Spawn.Conflict"), wake]
    assert stack.run("sweep")["status"] == "SUCCEEDED"
    assert len(stack.script.asked["plan-sweep"]) == 3
    assert len(stack.script.asked["launch-batch"]) == 3


# ---- spawn-lane -------------------------------------------------------------------------------------------------------


def test_a_lane_goes_on_at_once_by_the_clock_or_by_a_slot(stack):
    paid = {**step("slot"), "charged_at_most": 2_500_000}
    stack.script["launch-batch"] = [step("launch"), step("wait", 1), step("slot"), paid, step("done")]
    assert stack.run("lane", {"sweep_id": SWEEP, "lane": LANE})["output"] == {"more": False}
    assert stack.script.asked["launch-batch"] == [{"sweep_id": SWEEP, "lane": LANE, "execution_arn": None}] * 5
    registered = [event["register"] for event in stack.script.asked["track-instances/register"]]
    assert all(one.pop("task_token") for one in registered)
    # A lane that was started before sweeps gave their execution has none.
    slot = {"kind": "slot", "sweep_id": SWEEP, "lane": LANE, "execution_arn": None}
    # A function of an earlier version does not say what a lane may wait for.
    assert registered == [{**slot, "charged_at_most": None}, {**slot, "charged_at_most": 2_500_000}]


def test_a_slot_of_which_nobody_tells_is_asked_for_again(stack, changed):
    changed("lane", '"TimeoutSeconds": 300', '"TimeoutSeconds": 1')
    stack.script["launch-batch"] = [step("slot"), step("done")]
    stack.script["track-instances/register"] = {}
    assert stack.run("lane", {"sweep_id": SWEEP, "lane": LANE})["output"] == {"more": False}
    assert len(stack.script.asked["launch-batch"]) == 2


def test_a_long_lane_goes_on_in_new_executions_with_names_of_their_own(stack, changed):
    changed("lane", "$turns >= 1000", "$turns >= 3")
    before = {execution["name"] for execution in stack.executions("lane")}
    stack.script["launch-batch"] = [step("launch")] * 7 + [step("done")]
    assert stack.run("sweep")["status"] == "SUCCEEDED"
    assert len(stack.script.asked["launch-batch"]) == 8
    names = {execution["name"] for execution in stack.executions("lane")} - before
    assert {name.rsplit(".", 1)[1] for name in names} == {"1", "2", "3"}
    assert all(len(name) <= 80 and name.startswith(SWEEP) for name in names)


# ---- spawn-drain ------------------------------------------------------------------------------------------------------


def test_a_drain_of_what_was_never_planned_does_nothing(stack):
    asked = {"execution_arn": "arn:x", "status": "cancelled", "reason": "why not"}
    assert stack.run("drain", asked)["output"] == {"known": False}
    assert drains(stack) == [asked]
    assert not stack.script.asked["collect-results"]


def test_a_drain_by_hand_needs_only_the_id(stack):
    stack.script["idle-reaper/drain"] = known()
    assert stack.run("drain", {"sweep_id": SWEEP})["output"] == outcome("completed")
    assert drains(stack) == [{"sweep_id": SWEEP, "status": "cancelled", "reason": "drained by hand"}]
    assert not stack.script.asked["idle-reaper/reap_lane"]


def test_a_drain_looks_at_each_lane_until_nothing_lives(stack):
    left = {LANE: 3, OTHER_LANE: 1}

    def reap(event):
        lane = event["reap_lane"]["lane"]
        left[lane] -= 1
        return {"live": left[lane], "wait_s": 1 if left[lane] else 0}

    stack.script["idle-reaper/drain"] = known(LANE, OTHER_LANE)
    stack.script["idle-reaper/reap_lane"] = reap
    assert stack.run("drain", {"sweep_id": SWEEP})["status"] == "SUCCEEDED"
    assert left == {LANE: 0, OTHER_LANE: 0}


def test_a_lane_that_cannot_be_reaped_keeps_no_other_from_it(stack):
    looks = []

    def reap(event):
        if event["reap_lane"]["lane"] == LANE:
            return Error("Spawn.Config", "the region is off")
        looks.append(event)
        return {"live": 3 - len(looks), "wait_s": 1}

    stack.script["idle-reaper/drain"] = known(LANE, OTHER_LANE)
    stack.script["idle-reaper/reap_lane"] = reap
    error, cause = failure(stack.run("drain", {"sweep_id": SWEEP}))
    assert (error, cause) == ("Spawn.Config", f"Terminate What Lives in {LANE}: the region is off")
    assert len(looks) == 3
    assert not stack.script.asked["collect-results"]
    kept = stack.client("sqs").receive_message(QueueUrl=stack.outputs["FailedCallsQueueUrl"], WaitTimeSeconds=5)
    assert "spawn-drain" in kept["Messages"][0]["Body"], "a drain that failed is kept for a person"


def test_a_long_drain_goes_on_in_a_new_execution(stack, changed):
    changed("drain", "$max([5, $floor(2000", "$max([2, $floor(2")
    before = len(stack.executions("drain"))
    stack.script["idle-reaper/drain"] = known(LANE)
    stack.script["idle-reaper/reap_lane"] = [{"live": 1, "wait_s": 0}] * 5 + [{"live": 0, "wait_s": 0}]
    assert stack.run("drain", {"sweep_id": SWEEP})["output"] == outcome("completed")
    assert len(stack.executions("drain")) - before == 3
    assert len(stack.script.asked["collect-results"]) == 1


# ---- spawn-reap -------------------------------------------------------------------------------------------------------


def test_a_pass_looks_over_every_place_and_tells_what_it_found(stack):
    stack.script["idle-reaper/places"] = {"places": ["us-east-1", "eu-west-1"]}
    stack.script["idle-reaper/reap_place"] = lambda event: {"place": event["reap_place"]["place"]}
    output = stack.run("reap", {"dry_run": True})["output"]
    assert output == {"dry_run": True, "places": [{"place": "us-east-1"}, {"place": "eu-west-1"}], "failed": []}
    assert all(event["reap_place"]["dry_run"] for event in stack.script.asked["idle-reaper/reap_place"])


def test_a_place_that_does_not_answer_keeps_no_other_from_being_looked_over_and_fails_the_pass(stack):
    seen = []

    def look(event):
        place = event["reap_place"]["place"]
        if place == "us-east-1":
            return Error("Spawn.Transient", "no answer")
        seen.append(event["reap_place"])
        return {"place": place}

    stack.script["idle-reaper/places"] = {"places": ["us-east-1", "eu-west-1"]}
    stack.script["idle-reaper/reap_place"] = look
    error, cause = failure(stack.run("reap", {}))
    assert (error, cause) == ("Spawn.Transient", "Look over a Place: no answer")
    assert {"place": "eu-west-1", "dry_run": False} in seen


def test_a_pass_that_does_not_know_its_places_fails(stack):
    stack.script["idle-reaper/places"] = Error("Spawn.Config", "no table")
    assert failure(stack.run("reap", {})) == ("Spawn.Config", "Ask Which Places: no table")


# ---- What wakes track-instances ---------------------------------------------------------------------------------------


def test_events_reach_track_instances_through_the_queue(stack):
    arn = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-1"
    sent = [
        ("spawn.ec2-sim", "EC2 Instance State-change Notification", {"instance-id": "i-1", "state": "running"}),
        ("spawn.ec2-sim", "EC2 Spot Instance Interruption Warning", {"instance-id": "i-1", "instance-action": "stop"}),
        ("spawn.member", "Spawn Member Report", {"instance_arn": arn}),
        ("somebody.else", "Spawn Member Report", {"instance_arn": arn}),
    ]
    entries = [
        {"Source": source, "DetailType": kind, "Detail": json.dumps(detail), "Resources": [arn]}
        for source, kind, detail in sent
    ]
    stack.client("events").put_events(Entries=entries)

    def got():
        events = stack.script.asked["track-instances/Records"]
        return sorted(json.loads(record["body"])["detail-type"] for event in events for record in event["Records"])

    until(lambda: len(got()) >= 3, "three events have arrived")
    assert got() == [kind for _, kind, _ in sent[:3]]


def test_the_schedule_reconciles(stack):
    until(lambda: stack.script.asked["track-instances/reconcile"], "the schedule has called", seconds=90)
    assert stack.script.asked["track-instances/reconcile"][0] == {"reconcile": {}}
