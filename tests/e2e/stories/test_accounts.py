"""Sweeps over several accounts and regions, and places that do not answer."""

import datetime
import itertools
import json

import pytest

import accounts
from accounts import MEMBERS
from conftest import HOME

REGIONS = (HOME, "eu-west-1")
PLACES = list(itertools.product(MEMBERS, REGIONS))


@pytest.fixture(scope="module", autouse=True)
def prepared(the_stack):
    for account in MEMBERS:
        accounts.prepare(the_stack, account)


def wide(document, members=4):
    document.pop("params", None)
    return {**document, "count": members, "accounts": list(MEMBERS), "regions": list(REGIONS)}


def states(stack, sweep):
    """The states of a sweep's instances, by place."""
    return {place: sorted(accounts.instances(stack, *place, sweep).values()) for place in PLACES}


def reconcile(stack):
    answer = stack.functions.invoke(FunctionName="spawn-track-instances", Payload=b'{"reconcile": {}}')
    assert "FunctionError" not in answer, answer["Payload"].read()
    return json.loads(answer["Payload"].read())


def running(stack, execution, count):
    """The sweep of an execution once so many of its members run."""

    def look():
        sweep = stack.sweep_of(execution)
        if not sweep or "shards" not in stack.meta(sweep):
            return None
        return sweep if sum(m["state"] == "running" for m in stack.members(sweep)) >= count else None

    return stack.until(look)


def test_members_are_spread_over_accounts_and_regions_and_nothing_of_them_is_left(stack, document):
    output = stack.run(wide(document))
    sweep = output["sweep_id"]
    assert output["status"] == "completed", output
    assert states(stack, sweep) == {place: ["terminated"] for place in PLACES}
    # Two accounts give the same lanes in two regions, none of them the home account's.
    assert accounts.instances(stack, "000000000000", HOME, sweep) == {}
    rows = stack.results(output)
    assert [row["state"] for row in rows] == ["completed"] * 4
    of_members = {tuple(member["instance"].split(":")[3:5]) for member in stack.members(sweep)}
    assert of_members == {(region, account) for account, region in PLACES}


def test_a_cancelled_execution_drains_every_account_and_region(stack, document):
    document["command"] = "sleep 600"
    execution = stack.submit(wide(document))
    sweep = running(stack, execution, 4)
    stack.states.stop_execution(executionArn=execution)
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
    assert states(stack, sweep) == {place: ["terminated"] for place in PLACES}


def test_accounts_that_do_not_trust_spawn_are_all_named_and_nothing_is_launched(stack, document):
    stranger, unprepared = "777788889999", "888899990000"
    accounts.prepare(stack, stranger, external_id="not what spawn was told")
    execution = stack.submit({**wide(document), "accounts": [MEMBERS[0], stranger, unprepared]})
    ended = stack.wait(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidSweep")
    for account in (stranger, unprepared):
        assert f"accounts: account {account}: EC2 refuses: the member account's role cannot be taken" in ended["cause"]
    assert "infra/member-account.yaml" in ended["cause"]
    assert MEMBERS[0] not in ended["cause"]
    assert not any(accounts.instances(stack, MEMBERS[0], region, stack.sweep_of(execution) or "-") for region in REGIONS)


def test_a_region_that_does_not_answer_delays_no_other_and_is_told(stack, document):
    """One region never answers and the events of the other are lost: the pass still finds what ended there."""
    document["command"] = "sleep 600"
    account, far = MEMBERS[0], REGIONS[1]
    execution = stack.submit({**wide(document), "accounts": [account]})
    sweep = running(stack, execution, 4)
    stack.fault(kind="hang", action="DescribeInstances", region=far)
    stack.fault(kind="lost-event", region=HOME)
    began = datetime.datetime.now(datetime.timezone.utc)
    near = accounts.instances(stack, account, HOME, sweep)
    accounts.client(stack, account, "ec2").terminate_instances(InstanceIds=list(near))
    stack.until(lambda: set(accounts.instances(stack, account, HOME, sweep).values()) == {"terminated"})

    answer = reconcile(stack)

    assert answer["unreachable"] == [f"{account}.{far}"], answer
    ended = {m["instance"].rsplit("/", 1)[1]: m["state"] for m in stack.members(sweep) if m["state"] == "failed"}
    assert ended == dict.fromkeys(near, "failed")
    # What its alarm looks at.
    alarm = stack.client("cloudwatch").describe_alarms(AlarmNames=["spawn-unreachable-places"])["MetricAlarms"][0]

    def told():
        points = stack.client("cloudwatch").get_metric_statistics(
            Namespace=alarm["Namespace"],
            MetricName=alarm["MetricName"],
            Dimensions=alarm["Dimensions"],
            StartTime=began - datetime.timedelta(minutes=1),
            EndTime=datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=1),
            Period=60,
            Statistics=["Maximum"],
        )["Datapoints"]
        return points and max(point["Maximum"] for point in points) > alarm["Threshold"]

    stack.until(told)
    # It answers again: nothing of the sweep is left behind.
    stack.clear_faults()
    stack.states.stop_execution(executionArn=execution)
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
    assert set(accounts.instances(stack, account, far, sweep).values()) == {"terminated"}
