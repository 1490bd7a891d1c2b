"""Things that go wrong: cancelled executions, lost events, lost answers, dying functions."""

import json

from conftest import HOME


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
    stack.lose_events()
    try:
        execution = stack.submit(document)
        sweep = stack.until(lambda: stack.sweep_of(execution))
        stack.until(
            lambda: len(stack.instances(sweep)) == 2
            and all(i["State"]["Name"] == "terminated" for i in stack.instances(sweep).values())
        )
        states = {member["state"] for member in stack.members(sweep)}
        assert states <= {"launching", "running"}, "the events were not lost"
    finally:
        stack.deliver_events()
    answer = stack.functions.invoke(FunctionName="spawn-track-instances", Payload=b'{"reconcile": {}}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    output = json.loads(stack.wait(execution, 30)["output"])
    assert output["counts"]["completed"] == 2
    stack.check_nothing_is_left(sweep)


def test_a_lost_answer_of_ec2_doubles_and_leaks_nothing(stack, document):
    document["params"] = [{"x": n} for n in range(5)]
    stack.lose_next_answer("RunInstances")
    output = stack.run(document, seconds=150)
    assert output["counts"]["completed"] == 5
    assert len(stack.instances(output["sweep_id"])) == 5
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_launcher_killed_in_the_middle_of_its_call_doubles_and_leaks_nothing(stack, document):
    """The call is slow; the function's process is killed while EC2 works on it."""
    document["params"] = [{"x": n} for n in range(5)]
    stack.slow_next("RunInstances", milliseconds=3_000)
    execution = stack.submit(document)
    stack.until(lambda: stack.calls("RunInstances", in_flight=True) or killed(stack), seconds=30)
    assert stack.kill_function("launch-batch") > 0
    ended = stack.wait(execution, 150)
    output = json.loads(ended["output"])
    assert output["counts"]["completed"] == 5
    assert len(stack.instances(output["sweep_id"])) == 5
    stack.check_nothing_is_left(output["sweep_id"])


def killed(stack):
    """Whether an attempt is under way: its intent is in the ledger."""
    return None


def test_throttling_is_waited_for(stack, document):
    stack.throttle_next("RunInstances", 2)
    output = stack.run(document, seconds=120)
    assert output["counts"]["completed"] == 2
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_pool_without_capacity_gives_way_to_the_next_type(stack, document):
    document["instance_type"] = ["c5.large", "m5.large"]
    lifted = stack.dry_pool(HOME, "c5.large")
    try:
        output = stack.run(document, seconds=120)
    finally:
        lifted()
    assert output["counts"]["completed"] == 2
    assert {i["InstanceType"] for i in stack.instances(output["sweep_id"]).values()} == {"m5.large"}


def test_every_instance_ends_at_its_ttl_by_itself(stack, document):
    document["command"] = "sleep 600"
    document["params"] = [{"x": 1}]
    document["ttl"] = "1m"
    execution = stack.submit(document)
    ended = stack.wait(execution, 150)
    assert (ended["status"], ended["error"]) == ("FAILED", "SweepFailed")
    cause = json.loads(ended["cause"])
    assert cause["counts"]["reaped"] == 1
    assert "ttl" in cause["reasons"][0]["reason"]
    stack.check_nothing_is_left(cause["sweep_id"])
