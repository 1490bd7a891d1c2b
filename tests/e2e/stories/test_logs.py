"""What members say, and what is logged of them, by the commands and the saved queries of docs/guides/monitoring.md."""

import datetime
import json
import pathlib
import re

from conftest import HOME

GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs/guides/monitoring.md"


def ask(stack, query, groups):
    """The rows of a query of Logs Insights, each a dictionary."""
    logs = stack.client("logs")
    now = datetime.datetime.now(datetime.timezone.utc).timestamp()
    asked = logs.start_query(logGroupNames=groups, startTime=int(now) - 86400, endTime=int(now) + 60, queryString=query)
    answer = logs.get_query_results(queryId=asked["queryId"])
    assert answer["status"] == "Complete"
    return [{column["field"]: column["value"] for column in row} for row in answer["results"]]


def saved(stack):
    """The saved queries by their names: text and log groups."""
    found = stack.client("logs").describe_query_definitions(queryDefinitionNamePrefix="spawn/")["queryDefinitions"]
    return {one["name"].removeprefix("spawn/"): (one["queryString"], one["logGroupNames"]) for one in found}


def test_the_output_of_members_and_the_queries_tell_what_the_ledger_has(stack, document):
    document["params"] = [{"code": code} for code in (0, 0, 3)]
    document["command"] = 'echo "INFO begins"; echo "2026-01-22 ERROR \\"$SPAWN_PARAM_code\\"" >&2; exit "$SPAWN_PARAM_code"'
    output = stack.run(document)
    sweep, logs = output["sweep_id"], stack.client("logs")
    group = f"/spawn/sweeps/{sweep}"
    members = stack.members(sweep)
    ids = {member["instance"].rsplit("/", 1)[1]: member for member in members}

    [kept] = logs.describe_log_groups(logGroupNamePrefix=group)["logGroups"]
    assert kept["retentionInDays"] == 30
    events = logs.filter_log_events(logGroupName=group, filterPattern="ERROR")["events"]
    said = sorted((event["logStreamName"], event["message"]) for event in events)
    assert said == sorted((i, f'2026-01-22 ERROR "{m["params"][-2]}"') for i, m in ids.items())
    by_words = logs.filter_log_events(logGroupName=group, filterPattern="[timestamp, level=ERROR, ...]")["events"]
    assert [event["message"] for event in by_words] == [event["message"] for event in events]
    none = logs.filter_log_events(logGroupName=group, filterPattern="[level=ERROR, ...]")["events"]
    assert none == [], "it is the second word"
    [first] = logs.filter_log_events(logGroupName=group, logStreamNames=[min(ids)], filterPattern="INFO")["events"]
    assert first["message"] == "INFO begins"

    queries = saved(stack)
    text, groups = queries["sweep completion summary"]
    [of_guide] = re.findall(r"--query-string '(.*?)'", GUIDE.read_text(), re.S)
    assert [line.strip() for line in text.split("\n")] == [line.strip() for line in of_guide.split("\n")]
    text = text.replace("hyperparam-20260122-abc123", sweep)

    def told():
        """every instance that is gone has its line"""
        rows = ask(stack, text, groups)
        return sum(int(row["count()"]) for row in rows) == 3 and rows

    by_status = {row["status"]: int(row["count()"]) for row in stack.until(told)}
    assert by_status == {"completed": 2, "failed": 1}

    of_sweep = ask(stack, f'filter sweep_id = "{sweep}" and ispresent(duration) | display instance_id, status, duration, cost_usd', groups)
    assert {row["instance_id"]: row["status"] for row in of_sweep} == {i: m["state"] for i, m in ids.items()}
    bills = {i: sum(float(spent["billed"] or 0) for spent in m["spent"]) for i, m in ids.items()}
    for row in of_sweep:
        assert round(float(row.get("cost_usd", 0)) * 1e6) == bills[row["instance_id"]]
    text, groups = queries["cost analysis"]
    sums = {(row.get("instance_type"), row.get("region")): float(row["sum(cost_usd)"]) for row in ask(stack, text, groups)}
    everything = ask(stack, "filter ispresent(cost_usd) | display instance_type, region, cost_usd", groups)
    counted = sum(float(row["cost_usd"]) for row in everything if (row["instance_type"], row["region"]) == ("t3.micro", HOME))
    assert abs(sums["t3.micro", HOME] - counted) < 1e-9
    for name, (text, groups) in queries.items():
        ask(stack, text, groups), name


def test_throttled_calls_and_slow_members_are_found_by_the_saved_queries(stack, document):
    stack.fault(kind="throttle", action="RunInstances", count=1)
    document["params"] = [{"x": 1}]
    sweep = stack.run(document)["sweep_id"]
    queries = saved(stack)

    def rows(name):
        text, groups = queries[name]
        # Of all the stories' members, not only of the first.
        return ask(stack, re.sub(r"limit \d+$", "limit 10000", text), groups)

    assert stack.until(lambda: [row for row in rows("throttled launch calls") if row["lane"].startswith(HOME)])
    told = stack.until(lambda: rows("slowest members"))
    assert sweep in {row["sweep_id"] for row in told}


def test_logs_that_are_not_wanted_make_no_group(stack, document):
    document["logs"] = False
    document["command"] = "echo hello"
    output = stack.run(document)
    found = stack.client("logs").describe_log_groups(logGroupNamePrefix=f"/spawn/sweeps/{output['sweep_id']}")
    assert found["logGroups"] == []
