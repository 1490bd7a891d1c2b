"""spawn-right-size: what it measures, and how it fails."""

import datetime

import pytest
from conftest import SWEEP, Error

# CloudWatch takes nothing that is older than two weeks.
FIRST = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0) - datetime.timedelta(minutes=10)
ISO = "%Y-%m-%dT%H:%M:%S.000Z"
SPAN = {"start": FIRST.strftime(ISO), "end": (FIRST + datetime.timedelta(minutes=5)).strftime(ISO), "period_s": 60}


def measure(stack, sweep, name, metric, *readings):
    """Readings of one minute after the other, of several members each."""
    data = [
        {
            "MetricName": metric,
            "Dimensions": [{"Name": "SweepID", "Value": sweep}, {"Name": "InstanceType", "Value": name}],
            "Timestamp": FIRST + datetime.timedelta(minutes=minute),
            "Value": value,
            "Unit": "Percent",
        }
        for minute, of_members in enumerate(readings)
        for value in of_members
    ]
    stack.client("cloudwatch").put_metric_data(Namespace="spawn", MetricData=data)


def test_the_highest_of_any_member_is_measured_and_the_average_of_all(stack):
    sweep = f"{SWEEP}-of-right-size"
    measure(stack, sweep, "c5.xlarge", "cpu_utilization", [10, 10, 10], [10, 10, 70])
    measure(stack, sweep, "c5.xlarge", "memory_utilization", [100, 10, 10], [10, 10, 10])
    types = [{"instance_type": name, "region": "us-east-1"} for name in ("c5.xlarge", "m5.large")]
    stack.script["cost-guard/types"] = {"sweep_id": sweep, "types": types, **SPAN}
    stack.script["cost-guard/right_size"] = {"sweep_id": sweep, "types": ["a table"]}
    ended = stack.run("right-size", {"sweep_id": sweep})
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", {"sweep_id": sweep, "types": ["a table"]})
    assert stack.script.asked["cost-guard/types"] == [{"types": {"sweep_id": sweep}}]
    [asked] = stack.script.asked["cost-guard/right_size"]
    of = lambda cpu, cpu_average, memory, memory_average: {
        "cpu_percent": cpu,
        "cpu_average_percent": cpu_average,
        "memory_percent": memory,
        "memory_average_percent": memory_average,
    }
    measured = [types[0] | of(70, 20, 100, 25), types[1] | of(None, None, None, None)]
    assert asked["right_size"] == {"sweep_id": sweep, "measured": measured}


@pytest.mark.parametrize("step, state", [("types", "Find the Types"), ("right_size", "Find the Cheaper Types")])
def test_a_comparison_that_fails_says_why(stack, step, state):
    stack.script["cost-guard/types"] = {"sweep_id": SWEEP, "types": [], **SPAN}
    stack.script["cost-guard/right_size"] = {"types": []}
    stack.script[f"cost-guard/{step}"] = [Error("Spawn.Throttled"), Error("NotFound", f"no: {state}")]
    ended = stack.run("right-size", {"sweep_id": SWEEP})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "NotFound", f"no: {state}")
    assert len(stack.script.asked[f"cost-guard/{step}"]) == 2
