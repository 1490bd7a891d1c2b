"""What CloudWatch shows of a sweep, by the commands of an operator, against an independent count."""

import collections
import datetime
import json

DAY = datetime.timedelta(days=1)


def total(stack, metric, dimensions=(), statistic="Sum"):
    """`aws cloudwatch get-metric-statistics --statistics Sum` over a day."""
    now = datetime.datetime.now(datetime.timezone.utc)
    answer = stack.client("cloudwatch").get_metric_statistics(
        Namespace="spawn",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions],
        StartTime=now - DAY,
        EndTime=now + DAY,
        Period=2 * 86400,
        Statistics=[statistic],
    )
    return sum(point[statistic] for point in answer["Datapoints"])


def publish(stack):
    answer = stack.functions.invoke(FunctionName="spawn-metrics-rollup", Payload=json.dumps({"publish": {}}))
    output = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, output
    return output


def members_by_state(stack):
    """All members of all sweeps, counted one by one in the ledger."""
    counted = collections.Counter()
    pages = stack.client("dynamodb").get_paginator("scan").paginate(TableName="spawn-sweeps", ConsistentRead=True)
    for page in pages:
        counted.update(row["state"]["S"] for row in page["Items"] if row["sk"]["S"].startswith("MEMBER#"))
    return counted


def stream_batch(stack):
    """All records of the ledger's stream, as Lambda hands them to a function."""
    streams = stack.client("dynamodbstreams")
    arn = streams.list_streams(TableName="spawn-sweeps")["Streams"][0]["StreamArn"]
    records = []
    for shard in streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]:
        iterator = streams.get_shard_iterator(
            StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        while iterator:
            page = streams.get_records(ShardIterator=iterator)
            if not page["Records"]:
                break
            records += page["Records"]
            iterator = page.get("NextShardIterator")
    for record in records:
        change = record["dynamodb"]
        change["ApproximateCreationDateTime"] = change["ApproximateCreationDateTime"].timestamp()
    return {"Records": records}


def test_metrics_agree_with_the_sweep_and_a_replayed_stream_changes_nothing(stack, document):
    document["params"] = [{"code": 0}, {"code": 0}, {"code": 1}]
    document["command"] = 'exit "$SPAWN_PARAM_code"'
    output = stack.run(document)
    sweep = [("SweepID", output["sweep_id"])]
    metrics = ("completed_instances", "failed_instances")

    def noted():
        """the stream has told that the sweep is over"""
        key = {"pk": "ROLLUP", "sk": f"LIVE#{output['sweep_id']}"}
        kept = {"pk": "ROLLUP#ENDED", "sk": f"SWEEP#{output['sweep_id']}"}
        live = stack.table.get_item(Key=key).get("Item")
        return (live and live["is_ended"]) or stack.table.get_item(Key=kept).get("Item")

    stack.until(noted)

    def told():
        """the minute's pass has sent what there is"""
        publish(stack)
        counted = members_by_state(stack)
        expected = [counted[state] for state in ("completed", "failed")]
        of_fleet = [total(stack, metric) for metric in metrics]
        of_sweep = [total(stack, metric, sweep) for metric in metrics]
        of_region = [total(stack, metric, [("Region", "us-east-1")]) for metric in metrics]
        return of_fleet == expected and of_sweep == [2, 1] and of_region[0] >= 2 and of_region[1] >= 1

    stack.until(told, every=1)
    alarms = stack.client("cloudwatch").describe_alarms(AlarmNamePrefix="spawn-")["MetricAlarms"]
    states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
    assert states["spawn-sweep-failures"] == "ALARM", "a third of the sweep has failed"
    assert states["spawn-cost-overrun"] != "ALARM"

    batch = stream_batch(stack)
    assert batch["Records"]
    for _ in range(2):
        answer = stack.functions.invoke(FunctionName="spawn-metrics-rollup", Payload=json.dumps(batch))
        assert json.loads(answer["Payload"].read()) == {"batchItemFailures": []}
    live = stack.table.get_item(Key={"pk": "ROLLUP", "sk": f"LIVE#{output['sweep_id']}"})
    assert "Item" not in live
    assert total(stack, "completed_instances", sweep) == 2


def test_time_to_running_and_retries_are_what_the_ledger_has_of_each_try(stack, document):
    document["params"] = [{"x": 1}, {"x": 2}, {"x": 3}]
    # The second member fails twice, and is tried a third time.
    document["command"] = 'sleep 2; [ "$SPAWN_PARAM_x" != 2 ] || [ "$SPAWN_ATTEMPT" = 3 ]'
    document["retries"] = {"failure": 2}

    def measured():
        """All that was ever told: retries, instances seen running, and how long these took in all."""
        return [
            total(stack, "retries"),
            total(stack, "time_to_running", statistic="SampleCount"),
            total(stack, "time_to_running"),
        ]

    before = measured()
    output = stack.run(document)
    assert output["counts"]["completed"] == 3
    members = stack.members(output["sweep_id"])
    tries = [one for member in members for one in [member, *member.get("tries", [])]]
    assert len(tries) == 5
    took = [int(one["running_at"]) - int(one["launched_at"]) for one in tries]
    # The simulator has an instance running half a second after its launch; launch-batch and the events take their time.
    assert all(0 <= ms < 20_000 for ms in took), took
    expected = [2, 5, sum(took)]

    def told():
        """the lines in the logs have become metrics"""
        return [now - then for now, then in zip(measured(), before)] == expected

    stack.until(told)


def test_dashboards_and_saved_queries_are_there(stack):
    cloudwatch = stack.client("cloudwatch")
    for concern in ("overview", "fleet", "cost", "launch", "health"):
        body = json.loads(cloudwatch.get_dashboard(DashboardName=f"spawn-{concern}")["DashboardBody"])
        assert body["widgets"]
    overview = json.loads(cloudwatch.get_dashboard(DashboardName="spawn-overview")["DashboardBody"])
    metrics = [widget["properties"].get("metrics") for widget in overview["widgets"][:2]]
    assert metrics == [[["spawn", "active_instances", {"stat": "Sum"}]], [["spawn", "cost_usd", {"stat": "Sum"}]]]
    queries = stack.client("logs").describe_query_definitions(queryDefinitionNamePrefix="spawn/")["queryDefinitions"]
    assert len(queries) >= 8
