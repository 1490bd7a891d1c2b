"""What X-Ray shows of a sweep, by the command of docs/guides/monitoring.md."""

import datetime
import json


def traces_of(stack, sweep):
    """The segments of each trace that is annotated with a sweep."""
    xray = stack.client("xray")
    now = datetime.datetime.now(datetime.timezone.utc)
    hour = datetime.timedelta(hours=1)
    pages = xray.get_paginator("get_trace_summaries").paginate(
        StartTime=now - hour, EndTime=now + hour, FilterExpression=f'annotation.sweep_id CONTAINS "{sweep}"'
    )
    ids = [summary["Id"] for page in pages for summary in page["TraceSummaries"]]
    found = []
    for one in ids:
        [trace] = xray.batch_get_traces(TraceIds=[one])["Traces"]
        found.append([json.loads(segment["Document"]) for segment in trace["Segments"]])
    return found


def under(segments, name):
    """The subsegments of a function: what its invocations were about."""
    owners = {segment["id"] for segment in segments if segment["name"] == name}
    return [segment for segment in segments if segment.get("parent_id") in owners and "annotations" in segment]


def noted(segments, name):
    """All values of an annotation; several in one stand with commas between."""
    return {value for one in segments for value in one["annotations"].get(name, "").split(",") if value}


def test_one_trace_leads_from_the_execution_to_the_launch_calls_and_to_every_members_end(stack, document):
    document |= {"regions": ["us-east-1", "us-west-2"], "params": [{"x": 1}, {"x": 2}, {"x": 3}]}
    execution = stack.submit(document)
    assert stack.wait(execution)["status"] == "SUCCEEDED"
    sweep = stack.sweep_of(execution)
    instances = set(stack.instances(sweep, "us-east-1", "us-west-2"))
    assert len(instances) == 3

    def told():
        """the execution's own segment is there, and every end"""
        found = traces_of(stack, sweep)
        ends = {one for segments in found for one in noted(under(segments, "spawn-track-instances"), "instance_id")}
        began = [segments for segments in found if any(s.get("aws", {}).get("execution_arn") == execution for s in segments)]
        return ends >= instances and began and (found, began)

    found, began = stack.until(told, every=1)
    [segments] = began
    by_id = {segment["id"]: segment for segment in segments}
    names = [segment["name"] for segment in segments]
    assert names.count("spawn-sweep") == 1 and names.count("spawn-lane") == 2

    def leads_to_the_execution(segment):
        while "parent_id" in segment:
            segment = by_id[segment["parent_id"]]
        return segment.get("aws", {}).get("execution_arn") == execution

    launches = under(segments, "spawn-launch-batch")
    assert launches and all(leads_to_the_execution(segment) for segment in launches)
    assert noted(launches, "sweep_id") == {sweep}
    assert noted(launches, "lane") == {"us-east-1.on-demand", "us-west-2.on-demand"}
    assert noted(under(segments, "spawn-plan-sweep"), "sweep_id") == {sweep}
    assert noted(under(segments, "spawn-collect-results"), "sweep_id") == {sweep}
    # EC2 begins no traces: what its events lead to has traces of its own, and the end of each member is told to the execution's.
    members = [segment for segment in segments if segment["name"] == "spawn-member"]
    assert sorted(segment["annotations"]["instance_id"] for segment in members) == sorted(instances)
    assert noted(members, "member") == {"0", "1", "2"} and noted(members, "sweep_id") == {sweep}
    assert not any(segment["error"] for segment in members)
    ends = [one for trace in found for one in under(trace, "spawn-track-instances") if "instance_id" in one["annotations"]]
    assert noted(ends, "sweep_id") >= {sweep}
    assert noted(ends, "member") >= {"0", "1", "2"}
