"""What a document says about members that fail or are lost, and what a person says about an instance."""

import datetime

from conftest import HOME
from test_faults import running
from test_promises import pass_over, say_idle


def failing(document, **policy):
    """Eight members, two at a time, of which each fails."""
    document.pop("params")
    return {**document, "count": 8, "max_concurrent": 2, "command": "exit 3", **policy}


def codes(stack, output):
    return sorted(row["reason_code"] for row in stack.results(output))


def test_too_many_failures_hold_a_sweep_and_the_rest_was_never_launched(stack, document):
    execution = stack.submit(failing(document, on_failure="hold", tolerated_failures=1))
    assert stack.wait(execution)["error"] == "SweepFailed"
    sweep = stack.sweep_of(execution)
    meta = stack.meta(sweep)
    assert (meta["status"], "drain" in meta) == ("failed", False)
    assert "2 of 8" in meta["held"] or "2 members" in meta["held"], meta["held"]
    ended = {member["index"]: member.get("code") for member in stack.members(sweep)}
    failed = [index for index, code in ended.items() if code == "exit_code"]
    # A third may have been launched before the second failure was known.
    assert 2 <= len(failed) <= 4 and [code for code in ended.values() if code != "exit_code"] == [None] * (8 - len(failed))
    stack.check_nothing_is_left(sweep)


def test_too_many_failures_drain_what_still_runs(stack, document):
    document |= {"on_failure": "drain", "tolerated_failures": "20%", "command": 'test "$SPAWN_PARAM_x" = 1 && exit 3; sleep 600'}
    # One sleeps, so that in whatever order the local stack has programs for, one that fails has its turn.
    document["params"] = [{"x": int(n != 2)} for n in range(4)]
    execution = stack.submit(document)
    assert stack.wait(execution)["error"] == "SweepFailed"
    sweep = stack.sweep_of(execution)
    assert stack.meta(sweep)["status"] == "failed"
    found = {}
    for member in stack.members(sweep):
        found.setdefault(member["code"], []).append(int(member["index"]))
    # The first failure is more than a fifth of four; others may have come before the drain.
    assert set(found) == {"exit_code", "reaped_drain"} and 2 not in found["exit_code"], found
    assert 2 in found["reaped_drain"], found
    stack.check_nothing_is_left(sweep)


def test_a_lost_spot_instance_saves_what_it_has_and_its_member_runs_again(stack, document):
    document |= {
        "spot": True,
        "params": [{"x": 1}],
        "command": "[ $SPAWN_ATTEMPT = 1 ] && sleep 600; echo '{\"try\": '$SPAWN_ATTEMPT'}' >result.json",
        "on_interruption": "echo saved >$SPAWN_OUTPUT_DIR/checkpoint.txt",
    }
    execution = stack.submit(document)
    sweep = running(stack, execution, 1)
    [member] = stack.members(sweep)
    first = member["instance"].rsplit("/", 1)[1]
    key = {"pk": f"INSTANCE#{member['instance']}", "sk": "INSTANCE"}
    stack.until(lambda: stack.table.get_item(Key=key)["Item"].get("report_heartbeat_at"))
    stack.sim(f"instances/{first}/interrupt", {"notice_s": 60})
    ended = stack.wait(execution)
    assert ended["status"] == "SUCCEEDED", ended
    [member] = stack.members(sweep)
    assert member["state"] == "completed" and member["instance"].rsplit("/", 1)[1] != first
    assert [(one["state"], one["code"]) for one in member["tries"]] == [("interrupted", "interrupted")]
    bucket = stack.meta(sweep)["results_bucket"]
    kept = [o["Key"] for o in stack.s3.list_objects_v2(Bucket=bucket, Prefix=f"sweeps/{sweep}/")["Contents"]]
    assert any(name.endswith("checkpoint.txt") for name in kept), kept
    stack.check_nothing_is_left(sweep)


def test_an_instance_is_kept_alive_until_the_time_of_its_tag(stack, document):
    document |= {"command": "sleep 600", "idle_timeout": "1m", "idle": {"grace": "0s"}, "params": [{"x": 1}]}
    sweep = running(stack, stack.submit(document), 1)
    [member] = stack.members(sweep)
    instance = member["instance"].rsplit("/", 1)[1]
    key = {"pk": f"INSTANCE#{member['instance']}", "sk": "INSTANCE"}
    stack.until(lambda: stack.table.get_item(Key=key)["Item"].get("report_activity"))

    def keep_alive(seconds):
        until = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
        tag = {"Key": "spawn:keep-alive", "Value": until.strftime("%Y-%m-%dT%H:%M:%SZ")}
        stack.client("ec2").create_tags(Resources=[instance], Tags=[tag])

    def look():
        """A pass after the instance said that it has been idle for long enough."""
        say_idle(stack, key, 61)
        return pass_over(stack)["decisions"]

    launched = int(member["launched_at"]) / 1000
    keep_alive(3600)
    stack.until(lambda: datetime.datetime.now().timestamp() > launched + 62)
    stack.until(lambda: "keep kept_alive" in look(), every=2)
    assert stack.instances(sweep)[instance]["State"]["Name"] == "running"
    # The time of the tag is over.
    keep_alive(-1)
    stack.until(lambda: look() is not None and stack.members(sweep)[0]["state"] == "reaped", every=2)
    assert stack.members(sweep)[0]["code"] == "reaped_idle"
    stack.check_nothing_is_left(sweep)
