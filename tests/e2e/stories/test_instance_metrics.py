"""What members' machines report, by the guide's command, against what their programs say that they did."""

import datetime
import json

DAY = datetime.timedelta(days=1)
NAMES = ("cpu_utilization", "memory_utilization", "disk_read_mb", "disk_write_mb", "network_in_mb", "network_out_mb")
MEGABYTES_PER_S = 20

# Half of one processor for twenty seconds, by its own clock of processor time, so many megabytes to the disk in each of them, and
# 500 MB of memory. What it says of itself is from the kernel's accounts of this one process.
PROGRAM = f"""
import json, os, resource, time
held = bytearray(500_000_000)
for at in range(0, len(held), 4096):
    held[at] = 1
began = time.monotonic()
usage = resource.getrusage(resource.RUSAGE_SELF)
first = usage.ru_utime + usage.ru_stime
written = 0
with open("bulk", "wb", buffering=0) as bulk:
    while (passed := time.monotonic() - began) < 20:
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
        while written < passed * {MEGABYTES_PER_S}:
            bulk.write(b"x" * 1_000_000)
            written += 1
        time.sleep(0.05)
seconds = time.monotonic() - began
usage = resource.getrusage(resource.RUSAGE_SELF)
result = {{"seconds": seconds, "cpu_s": usage.ru_utime + usage.ru_stime - first, "megabytes": written}}
json.dump(result, open("result.json", "w"))
time.sleep(7)
"""


def statistics(stack, metric, dimensions, *wanted):
    """`aws cloudwatch get-metric-statistics` as the guide has it, over a day, its points put together."""
    now = datetime.datetime.now(datetime.timezone.utc)
    answer = stack.client("cloudwatch").get_metric_statistics(
        Namespace="spawn",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - DAY,
        EndTime=now + DAY,
        Period=300,
        Statistics=["Average", "Maximum", "Sum", "SampleCount"],
    )
    points = answer["Datapoints"]
    units = {point["Unit"] for point in points}
    count = sum(point["SampleCount"] for point in points)
    return {
        "unit": units.pop() if len(units) == 1 else units,
        "count": count,
        "sum": sum(point["Sum"] for point in points),
        "average": sum(point["Sum"] for point in points) / count if count else None,
        "maximum": max((point["Maximum"] for point in points), default=None),
    }


def test_a_member_that_is_asked_to_reports_its_machine(stack, document):
    document |= {
        "instance_type": "c5.large",
        "instance_metrics": True,
        "user_data": "#!/bin/sh\ncat >program.py <<'END'\n" + PROGRAM + "END\n",
        "command": "python3 program.py",
        "params": [{"x": 1}],
    }
    plan = stack.run({**document, "dry_run": True})["plan"]["instance_metrics"]
    assert plan["metrics_of_an_instance"] == len(NAMES), "a c5.large has no GPU"
    output = stack.run(document, 120)
    sweep = output["sweep_id"]
    [instance] = stack.instances(sweep)
    # Six metrics in one hour of the clock, or two, with a call a minute.
    assert output["instance_metrics_cost_at_most"] in ("$0.003279", "$0.006558")
    [result] = stack.results(output)
    seconds, cpu_s = float(result["seconds"]), float(result["cpu_s"])

    for metric in NAMES:
        found = statistics(stack, metric, {"InstanceId": instance})
        assert found["count"] >= 3, f"{metric}: {found}"
        assert found["unit"] == ("Percent" if metric.endswith("utilization") else "Megabytes/Second"), metric
    assert statistics(stack, "gpu_utilization", {"InstanceId": instance})["count"] == 0

    # Readings every five seconds, of counters that are up to a second old: those in the midst of the program have its share of two
    # processors, and of the boot runner's processes what these took. Those before and after it have less.
    share = 100 * cpu_s / seconds / 2
    cpu = statistics(stack, "cpu_utilization", {"InstanceId": instance})
    assert share * 0.7 <= cpu["maximum"] <= share * 1.3 + 40, (cpu, result)
    assert cpu["average"] < cpu["maximum"]
    # 500 MB of the 4 GiB of a c5.large, and as much as a seventh of it for the rest.
    memory = statistics(stack, "memory_utilization", {"InstanceId": instance})
    assert 500e6 / 2**32 * 100 <= memory["maximum"] <= 500e6 / 2**32 * 100 + 14, memory
    rate = float(result["megabytes"]) / seconds
    assert MEGABYTES_PER_S * 0.9 <= rate <= MEGABYTES_PER_S * 1.1, "the program does what it should"
    written = statistics(stack, "disk_write_mb", {"InstanceId": instance})
    assert rate * 0.6 <= written["maximum"] <= rate * 1.6, (written, result)
    assert statistics(stack, "disk_read_mb", {"InstanceId": instance})["maximum"] < rate * 0.6

    # The same by type, by sweep and type, and of all instances; and nothing under all dimensions at once.
    by_sweep = statistics(stack, "cpu_utilization", {"SweepID": sweep, "InstanceType": "c5.large"})
    assert by_sweep == cpu
    for dimensions in ({"InstanceType": "c5.large"}, {}):
        assert statistics(stack, "cpu_utilization", dimensions)["count"] >= cpu["count"]
    listed = stack.client("cloudwatch").list_metrics(
        Namespace="spawn", Dimensions=[{"Name": "InstanceId", "Value": instance}]
    )["Metrics"]
    assert {len(metric["Dimensions"]) for metric in listed} == {1}
    assert sorted({metric["MetricName"] for metric in listed}) == sorted(NAMES)

    started = stack.states.start_execution(
        stateMachineArn=stack.machine("spawn-right-size"), input=json.dumps({"sweep_id": sweep})
    )
    ended = stack.wait(started["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended
    [of_type] = json.loads(ended["output"])["types"]
    assert of_type["instance_type"] == "c5.large"
    # The highest reading, rounded up, and the average of all.
    assert cpu["average"] <= of_type["cpu_percent"] <= cpu["maximum"] + 1
    assert memory["average"] <= of_type["memory_percent"] <= memory["maximum"] + 1
    assert of_type["cpu_average_percent"] <= of_type["cpu_percent"]
    assert of_type["memory_average_percent"] <= of_type["memory_percent"]


def test_a_member_that_is_not_asked_reports_nothing(stack, document):
    output = stack.run(document)
    for instance in stack.instances(output["sweep_id"]):
        listed = stack.client("cloudwatch").list_metrics(
            Namespace="spawn", Dimensions=[{"Name": "InstanceId", "Value": instance}]
        )
        assert listed["Metrics"] == []
    assert output["instance_metrics_cost_at_most"] is None
