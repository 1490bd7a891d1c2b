"""Things that go wrong: cancelled executions, lost events, lost answers, dying functions."""

import json
import os
import signal

from conftest import ACCOUNT, HOME


def running(stack, execution, count):
    """The sweep of an execution once so many of its members run."""

    def look():
        sweep = stack.sweep_of(execution)
        if not sweep:
            return None
        states = [member["state"] for member in stack.members(sweep)] if "shards" in stack.meta(sweep) else []
        return sweep if states.count("running") >= count else None

    return stack.until(look)


def test_a_cancelled_execution_drains(stack, document):
    document["command"] = "sleep 600"
    document["params"] = [{"x": n} for n in range(3)]
    execution = stack.submit(document)
    sweep = running(stack, execution, 2)
    stack.states.stop_execution(executionArn=execution, error="Changed", cause="my mind")
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
    stack.check_nothing_is_left(sweep)
    assert {member["state"] for member in stack.members(sweep)} == {"reaped"}


def test_a_cancelled_execution_drains_though_its_event_is_lost(stack, document):
    document["command"] = "sleep 600"
    rules = stack.client("events")
    rule = next(r["Name"] for r in rules.list_rules()["Rules"] if "cancelled" in r["Name"])
    rules.disable_rule(Name=rule)
    try:
        execution = stack.submit(document)
        sweep = running(stack, execution, 2)
        stack.states.stop_execution(executionArn=execution)
        answer = stack.functions.invoke(FunctionName="spawn-track-instances", Payload=b'{"reconcile": {}}')
        assert "FunctionError" not in answer, answer["Payload"].read()
        stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
    finally:
        rules.enable_rule(Name=rule)
    stack.check_nothing_is_left(sweep)


def test_draining_twice_is_harmless(stack, document):
    document["command"] = "sleep 600"
    execution = stack.submit(document)
    sweep = running(stack, execution, 1)
    request = json.dumps({"sweep_id": sweep, "status": "cancelled", "reason": "no longer needed"})
    drains = [
        stack.states.start_execution(stateMachineArn=stack.machine("spawn-drain"), input=request)["executionArn"]
        for _ in range(2)
    ]
    outputs = [json.loads(stack.wait(drain)["output"]) for drain in drains]
    assert [output["status"] for output in outputs] == ["cancelled", "cancelled"]
    ended = stack.wait(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "SweepFailed")
    stack.check_nothing_is_left(sweep)


def test_lost_events_are_made_good_by_reconcile(stack, document):
    stack.fault(kind="lost-event")
    execution = stack.submit(document)
    sweep = stack.until(lambda: stack.sweep_of(execution))
    stack.until(
        lambda: len(stack.instances(sweep)) == 2
        and all(i["State"]["Name"] == "terminated" for i in stack.instances(sweep).values())
    )
    stack.clear_faults()
    answer = stack.functions.invoke(FunctionName="spawn-track-instances", Payload=b'{"reconcile": {}}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    output = json.loads(stack.wait(execution)["output"])
    assert output["counts"]["completed"] == 2
    stack.check_nothing_is_left(sweep)


def test_repeated_and_late_events_change_nothing(stack, document):
    stack.fault(kind="duplicate-event")
    stack.fault(kind="late-event", state="running", ms=4000)
    output = stack.run(document)
    assert output["counts"]["completed"] == 2
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_lost_answer_of_ec2_doubles_and_leaks_nothing(stack, document):
    document["params"] = [{"x": n} for n in range(5)]
    stack.fault(kind="lost-response", action="RunInstances", count=1)
    output = stack.run(document)
    assert output["counts"]["completed"] == 5
    assert len(stack.instances(output["sweep_id"])) == 5
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_launcher_killed_in_the_middle_of_its_call_doubles_and_leaks_nothing(stack, document):
    """EC2 has launched, and answers late; the function's process is killed while it waits for the answer."""
    document["params"] = [{"x": n} for n in range(5)]
    stack.fault(kind="latency", action="RunInstances", ms=5000, count=1)
    before = stack.calls("RunInstances")
    execution = stack.submit(document)
    stack.until(lambda: stack.calls("RunInstances") > before, every=0.05)
    launchers = stack.processes("launch-batch")
    assert launchers
    for process in launchers:
        os.kill(process, signal.SIGKILL)
    ended = stack.wait(execution)
    output = json.loads(ended["output"])
    assert output["counts"]["completed"] == 5
    assert len(stack.instances(output["sweep_id"])) == 5
    assert stack.calls("RunInstances") > before + 1, "the call was repeated"
    stack.check_nothing_is_left(output["sweep_id"])


def test_throttling_is_waited_for(stack, document):
    stack.fault(kind="throttle", action="RunInstances", count=3)
    output = stack.run(document)
    assert output["counts"]["completed"] == 2
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_pool_without_capacity_gives_way_to_the_next_type(stack, document):
    document["instance_type"] = ["c5.large", "m5.large"]
    stack.fault(kind="pool-dry", region=HOME, instance_type="c5.large")
    output = stack.run(document)
    assert output["counts"]["completed"] == 2
    assert {i["InstanceType"] for i in stack.instances(output["sweep_id"]).values()} == {"m5.large"}


def test_spot_falls_back_to_on_demand_where_the_document_allows_it(stack, document):
    document["instance_type"] = "c5.large"
    document["spot"] = "fallback"
    stack.fault(kind="pool-dry", region=HOME, market="spot")
    output = stack.run(document)
    assert output["counts"]["completed"] == 2
    assert {member["market"] for member in stack.members(output["sweep_id"])} == {"on-demand"}


def test_a_throttled_region_is_slowed_down_for_every_sweep(stack, document):
    document["params"] = [{"x": n} for n in range(4)]
    stack.fault(kind="throttle", action="RunInstances", count=1)
    output = stack.run(document)
    assert output["counts"]["completed"] == 4
    key = {"pk": f"LIMIT#{ACCOUNT}#{HOME}", "sk": "RUN_INSTANCES"}
    row = stack.table.get_item(Key=key, ConsistentRead=True)["Item"]
    assert row["throttles"] >= 1
    assert row["throttled_at"] > 0
    stack.check_nothing_is_left(output["sweep_id"])


def test_members_climb_the_ladder_to_another_region_and_their_rows_say_so(stack, document):
    document["params"] = [{"x": n} for n in range(4)]
    document["instance_type"] = ["c5.large", "m5.large"]
    document["spot"] = True
    document["regions"] = ["us-east-1", "us-west-2"]
    document["distribution"] = "opportunistic"
    stack.fault(kind="pool-dry", region=HOME)
    output = stack.run(document)
    assert output["counts"]["completed"] == 4
    sweep = output["sweep_id"]
    assert stack.instances(sweep) == {}
    assert len(stack.instances(sweep, "us-west-2")) == 4
    members = stack.members(sweep)
    assert {member["lane"] for member in members} == {"us-west-2.spot"}
    climbed = [member["rungs"] for member in members if len(member["rungs"]) > 1]
    assert climbed
    assert climbed[0][0].startswith("us-east-1 spot")
    assert "Insufficient" in climbed[0][0]
    assert climbed[0][-1].startswith("us-west-2 spot")
    dry = stack.table.query(
        KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": f"POOL#{HOME}"}, ConsistentRead=True
    )
    assert {"c5.large", "m5.large"} <= {row["pool"].split("@")[0] for row in dry["Items"]}
    stack.check_nothing_is_left(sweep, HOME, "us-west-2")


def test_a_lane_that_may_not_launch_says_so_and_the_other_lane_goes_on(stack, document):
    document["regions"] = [{"us-east-1": 1}, {"eu-west-1": 2}]
    document["params"] = [{"x": n} for n in range(3)]
    # Who may not run instances may have none from a fleet either.
    for action in ["RunInstances", "CreateFleet"]:
        stack.fault(
            kind="error", action=action, region="eu-west-1", code="UnauthorizedOperation", status=403,
            message="You are not authorized to perform this operation.",
        )
    output = stack.run(document)
    assert (output["counts"]["completed"], output["counts"]["failed"]) == (1, 2)
    assert "UnauthorizedOperation" in output["reasons"][0]["reason"]
    stack.check_nothing_is_left(output["sweep_id"], "us-east-1", "eu-west-1")


def test_a_lost_answer_of_a_fleet_doubles_and_leaks_nothing(stack, document):
    document["params"] = [{"x": n} for n in range(5)]
    document["spot"] = True
    stack.fault(kind="lost-response", action="CreateFleet", count=1)
    output = stack.run(document)
    assert output["counts"]["completed"] == 5
    assert len(stack.instances(output["sweep_id"])) == 5
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_quota_ends_the_lane_with_words_and_the_other_lane_goes_on(stack, document):
    document["regions"] = [{"us-east-1": 1}, {"eu-west-1": 1}]
    stack.sim("quotas", {"vcpus": 0, "region": "eu-west-1"})
    try:
        output = stack.run(document)
    finally:
        stack.sim("quotas", method="DELETE")
    assert (output["counts"]["completed"], output["counts"]["failed"]) == (1, 1)
    reason = output["reasons"][0]["reason"]
    assert "L-1216C47A" in reason and "request-service-quota-increase" in reason
    stack.check_nothing_is_left(output["sweep_id"], "us-east-1", "eu-west-1")


def test_an_interrupted_spot_instance_is_told_from_a_failed_one(stack, document):
    document["spot"] = True
    document["command"] = "sleep 600"
    document["params"] = [{"x": 1}]
    execution = stack.submit(document)
    sweep = running(stack, execution, 1)
    first = next(iter(stack.instances(sweep)))
    stack.sim(f"instances/{first}/interrupt", {"notice_s": 3})

    def again():
        """it has another instance: an interruption is worth one more by itself"""
        (member,) = stack.members(sweep)
        return member["state"] == "running" and not member["instance"].endswith(first) and member["instance"]

    second = stack.until(again).rsplit("/", 1)[1]
    stack.sim(f"instances/{second}/interrupt", {"notice_s": 3})
    ended = stack.wait(execution)
    assert ended["error"] == "SweepFailed"
    assert json.loads(ended["cause"])["counts"]["interrupted"] == 1
    shown = {i: d["State"]["Name"] for i, d in stack.instances(sweep).items()}
    assert set(shown) == {first, second}
    assert set(shown.values()) <= {"shutting-down", "terminated"}


def test_every_instance_ends_at_its_ttl_by_itself(stack, document):
    document["command"] = "sleep 600"
    document["params"] = [{"x": 1}]
    document["ttl"] = "1m"
    execution = stack.submit(document)
    ended = stack.wait(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "SweepFailed")
    cause = json.loads(ended["cause"])
    assert cause["counts"]["reaped"] == 1
    assert "ttl" in cause["reasons"][0]["reason"]
    stack.check_nothing_is_left(cause["sweep_id"])
