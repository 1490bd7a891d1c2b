"""What sweeps cost, and what budgets keep them from costing."""

import json

from conftest import HOME

HOUR = 3600
# Micro-dollars, as the price list of the stack has them: an hour of a c5.4xlarge, a GiB-month of gp3.
PRICES = {"us-east-1": (680_000, 80_000), "eu-west-1": (760_000, 88_000)}
PUBLIC_IPV4 = 5_000
VOLUME_GIB = 8


def up(amount, divisor):
    return -(-amount // divisor)


def least_bill(region, month_hours):
    """The bill of an instance that was gone within a minute: each part a minute, rounded up to a micro-dollar."""
    hour, gib_month = PRICES[region]
    volume = up(gib_month * VOLUME_GIB * 60, month_hours * HOUR)
    return up(hour * 60, HOUR) + volume + up(PUBLIC_IPV4 * 60, HOUR)


def dollars(text):
    return round(float(text) * 1_000_000)


def month_hours(moment):
    import calendar

    return calendar.monthrange(moment.year, moment.month)[1] * 24


def execute(stack, machine, given):
    answer = stack.states.start_execution(stateMachineArn=stack.machine(machine), input=json.dumps(given))
    ended = stack.wait(answer["executionArn"])
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    return json.loads(ended["output"])


def test_a_sweep_costs_what_its_instances_are_billed(stack, document):
    document["instance_type"] = "c5.4xlarge"
    document["regions"] = [{"us-east-1": 2}, {"eu-west-1": 1}]
    document["params"] = [{"x": n} for n in range(3)]
    document["budget"] = "10 USD"
    output = stack.run(document)
    shown = stack.instances(output["sweep_id"], *PRICES)
    hours = month_hours(min(one["LaunchTime"] for one in shown.values()))
    expected = 2 * least_bill("us-east-1", hours) + least_bill("eu-west-1", hours)
    assert dollars(output["cost_usd"]) == expected
    assert sum(dollars(row["cost_usd"]) for row in stack.results(output)) == expected
    meta = stack.meta(output["sweep_id"])
    assert int(meta["charged"]) == int(meta["billed"]) == expected, "nothing stays reserved"

    # The report of the day has it, from the ledger.
    day = stack.states.describe_execution(executionArn=meta["execution_arn"])["stopDate"].strftime("%Y-%m-%d")
    report = execute(stack, "spawn-report-daily", {"day": day})
    assert output["sweep_id"] in json.dumps(report)
    # The bill is not in yet, and the comparison says so.
    compared = execute(stack, "spawn-reconcile-costs", {"sweep_id": output["sweep_id"]})
    assert compared["sweep_id"] == output["sweep_id"]

    # What its instances have used says what would have done; where nothing was measured, nothing is guessed.
    launched = min(one["LaunchTime"] for one in shown.values())
    for metric, percent in (("cpu_utilization", 20.0), ("memory_utilization", 10.0)):
        dimensions = {"SweepID": output["sweep_id"], "InstanceType": "c5.4xlarge"}
        datum = {
            "MetricName": metric,
            "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions.items()],
            "Timestamp": launched,
            "Value": percent,
            "Unit": "Percent",
        }
        stack.client("cloudwatch").put_metric_data(Namespace="spawn", MetricData=[datum])
    sized = execute(stack, "spawn-right-size", {"sweep_id": output["sweep_id"]})
    of_home = next(one for one in sized["types"] if one["region"] == "us-east-1")
    assert (of_home["cpu_percent"], of_home["memory_percent"]) == (20, 10)
    assert of_home["advice"] == "c5.xlarge at $0.17 an hour would have done, 75 % less"


def test_a_budget_with_room_for_one_has_members_run_one_by_one(stack, document):
    document["instance_type"] = "c5.4xlarge"
    document["ttl"] = "1h"
    # One may cost $0.69 to the end of its ttl, two $1.37.
    document["budget"] = "1 USD"
    output = stack.run(document)
    assert output["counts"]["completed"] == 2
    lives = sorted((int(m["launched_at"]), int(m["ended_at"])) for m in stack.members(output["sweep_id"]))
    for (_, ended), (launched, _) in zip(lives, lives[1:]):
        assert launched >= ended, lives


def test_a_budget_too_small_for_anybody_launches_nothing_and_says_so(stack, document):
    document["instance_type"] = "c5.4xlarge"
    document["ttl"] = "8h"
    document["budget"] = 1
    ended = stack.wait(stack.submit(document))
    assert ended["error"] == "InvalidSweep"
    assert "more than the budget of $1.00, so that it could never be launched" in ended["cause"]


def test_a_standing_budget_that_is_spent_ends_the_sweeps_of_its_owner(stack, document):
    topic = stack.client("sns").create_topic(Name="spawn-story-costs")["TopicArn"]
    queues = stack.client("sqs")
    queue = queues.create_queue(QueueName="story-costs")["QueueUrl"]
    queue_arn = queues.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    stack.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    budget = {"scope": "owner", "name": "spender", "period": "daily", "limit": "100 USD"}
    execute(stack, "spawn-budget", budget)
    document.update(owner="spender", instance_type="c5.4xlarge", command="sleep 600", notify={"topics": [topic]})
    execution = stack.submit(document)

    def running():
        """both run"""
        sweep = stack.sweep_of(execution)
        return sweep and [m["state"] for m in stack.members(sweep)] == ["running"] * 2 and sweep

    sweep = stack.until(running)
    # A minute of one is billed at the least: more than that.
    execute(stack, "spawn-budget", {**budget, "limit": "0.001 USD"})
    try:
        execute(stack, "spawn-cost-check", {})
        ended = stack.wait(execution)
    finally:
        execute(stack, "spawn-budget", {**budget, "limit": None})
    assert ended["status"] == "FAILED"
    cause = json.loads(ended["cause"])
    assert cause["status"] == "over_budget"
    assert "the daily budget of owner spender" in ended["cause"]
    stack.check_nothing_is_left(sweep)
    messages = queues.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)["Messages"]
    assert any("all that runs is being ended" in message["Body"] for message in messages), messages


def test_lanes_at_the_same_time_never_pass_a_budget_together(stack, document):
    """Six lanes of three sweeps on one budget; what is reserved is looked at all the while."""
    budget = {"scope": "project", "name": "race", "period": "daily", "limit": "1.5 USD"}
    execute(stack, "spawn-budget", budget)
    document.update(project="race", instance_type="c5.4xlarge", ttl="30m", regions=["us-east-1", "us-west-2"])
    document["command"] = "true"
    try:
        executions = [stack.submit({**document, "name": f"race-{n}"}) for n in range(3)]
        most = 0

        def over():
            """all are over"""
            nonlocal most
            rows = [
                item
                for item in stack.table.query(
                    KeyConditionExpression="pk = :pk", ExpressionAttributeValues={":pk": "BUDGET#project#race"}
                )["Items"]
                if "charged" in item
            ]
            most = max([most, *(int(row["charged"]) for row in rows)])
            described = [stack.states.describe_execution(executionArn=one)["status"] for one in executions]
            return "RUNNING" not in described and described

        assert stack.until(over, every=0.1) == ["SUCCEEDED"] * 3
    finally:
        execute(stack, "spawn-budget", {**budget, "limit": None})
    assert 0 < most <= 1_500_000
