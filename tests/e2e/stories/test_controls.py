"""The controls, by the very commands of docs/guides/controls.md."""

import json
import os
import pathlib
import re
import subprocess
import sys

from conftest import ACCOUNT, HOME
from test_faults import running

GUIDE = pathlib.Path(__file__).resolve().parents[3] / "docs/guides/controls.md"


def commands():
    """The commands of the guide, in their order, by the machine and a word of their input."""
    blocks = re.findall(r"^```sh\n(.*?)^```", GUIDE.read_text(), re.M | re.S)
    return [(re.search(r"stateMachine:spawn-([a-z]+)", block)[1], block) for block in blocks]


class Guide:
    """Runs the guide's commands with the ids of a real sweep."""

    def __init__(self, stack, sweep, instance):
        self.stack, self.sweep, self.instance = stack, sweep, instance

    def shell(self, block):
        text = (
            block.replace("123456789012", ACCOUNT)
            .replace("hyperparam-20260122-abc123", self.sweep)
            .replace("i-1234567890abcdef0", self.instance)
            .replace('"username"', '"tester"')
        )
        environment = os.environ | {
            "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "AWS_ENDPOINT_URL": self.stack.endpoint,
            "AWS_DEFAULT_REGION": HOME,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DISABLE_HOST_PREFIX_INJECTION": "true",
        }
        ended = subprocess.run(["sh", "-ec", text], env=environment, capture_output=True, text=True, timeout=180)
        assert ended.returncode == 0, (text, ended.stderr)
        return json.loads(ended.stdout)

    def look(self, block):
        return self.shell(block)

    def act(self, block):
        ended = self.stack.wait(self.shell(block)["executionArn"])
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        output = json.loads(ended["output"])
        outcome = output["outcome"]
        if isinstance(outcome, list):
            return {group["outcome"]: group["members"] for group in outcome}
        return outcome


def test_every_command_of_the_guide_does_what_it_says(stack, document):
    document["command"] = "sleep 600"
    document["params"] = [{"x": n} for n in range(3)]
    execution = stack.submit(document)
    sweep = running(stack, execution, 3)
    instance_of = lambda index: stack.members(sweep)[index]["instance"].rsplit("/", 1)[1]
    first = instance_of(0)
    guide = Guide(stack, sweep, first)
    blocks = commands()
    assert [name for name, _ in blocks] == [
        "status", "status", "status", "list", "stop", "start", "extend", "replace", "terminate", "terminate", "cancel", "resume",
    ]  # fmt: skip
    status, member, instance, listing, stop, start, extend, replace, terminate, terminate_sweep, cancel, resume = (
        block for _, block in blocks
    )

    shown = guide.look(status)
    assert (shown["status"], shown["counts"], shown["live"]) == ("running", {"running": 3}, 3)
    assert shown["by_region"] == {HOME: {"running": 3}}
    assert guide.look(member)["instance"].endswith(first)
    assert guide.look(instance)["member"]["index"] == 0
    assert sweep in [one["sweep_id"] for one in guide.look(listing)["sweeps"]]

    assert guide.act(stop) == {"stopped": "0"}
    assert stack.instances(sweep)[first]["State"]["Name"] == "stopped"
    assert guide.look(status)["counts"] == {"running": 2, "stopped": 1}
    assert guide.act(start) == {"running": "0"}
    assert stack.instances(sweep)[first]["State"]["Name"] == "running"
    before = [int(one["ttl_deadline"]) for one in stack.members(sweep)]
    assert guide.act(extend) == {"extended": "0-2"}
    assert [int(one["ttl_deadline"]) for one in stack.members(sweep)] == [end + 7_200_000 for end in before]

    assert guide.act(terminate) == {"terminated": "0"}
    assert stack.members(sweep)[0]["state"] == "reaped"
    assert guide.act(replace) == {"replaced": "0"}
    protected = instance_of(1)
    stack.client("ec2").create_tags(Resources=[protected], Tags=[{"Key": "spawn:protect", "Value": "until I say so"}])
    unforced = terminate_sweep.replace(', "force": true', "")
    for block in (unforced, cancel):
        refused = stack.wait(guide.shell(block)["executionArn"])
        assert refused["error"] == "NotAllowed" and protected in refused["cause"]
    assert guide.act(terminate_sweep)["status"] == "cancelled"
    assert guide.act(cancel) == f"sweep {sweep} was over already: cancelled"
    stack.check_nothing_is_left(sweep)
    shown = guide.look(status)
    assert [one["control"] for one in shown["controls"]] == [
        "cancel", "terminate", "replace", "terminate", "extend", "start", "stop",
    ]  # fmt: skip
    assert shown["controls"][-1]["reason"] == "a look at its data"
    assert float(shown["cost"]["so_far"].removeprefix("$")) > 0 and shown["failed"][0]["reason_code"]
    assert stack.wait(execution)["status"] == "FAILED"
    assert guide.act(resume)["members"] == 3
    stack.until(lambda: stack.meta(sweep)["status"] in ("launching", "running"))
    assert guide.act(cancel)["status"] == "cancelled"
    stack.check_nothing_is_left(sweep)


def control(stack, name, **fields):
    """What came of a control: its outcomes with their members, or its output."""
    machine = stack.machine(f"spawn-{name}")
    asked = stack.states.start_execution(stateMachineArn=machine, input=json.dumps(fields))
    ended = stack.wait(asked["executionArn"])
    assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
    outcome = json.loads(ended["output"])["outcome"]
    if isinstance(outcome, list):
        return {group["outcome"]: group["members"] for group in outcome}
    return outcome


def test_a_stopped_sweep_waits_and_a_cancelled_one_is_resumed_with_a_replaced_member(stack, document):
    document |= {
        "params": [{"x": n} for n in range(3)],
        "max_concurrent": 2,
        "command": 'test "$SPAWN_PARAM_x" = 0 || test "$SPAWN_ATTEMPT" = 3 || sleep 600; printf \'{"ok": 1}\' >result.json',
    }
    execution = stack.submit(document)
    sweep = stack.until(lambda: stack.sweep_of(execution))
    states = lambda: [member["state"] for member in stack.members(sweep)]
    stack.until(lambda: states() == ["completed", "running", "running"])

    assert control(stack, "replace", sweep_id=sweep, member=1) == {"replaced": "1"}
    stack.until(lambda: states() == ["completed", "running", "running"])
    first = stack.members(sweep)[1]["tries"][0]
    assert (first["code"], first["reason"]) == ("reaped_by_request", "a person asked for another one")

    assert control(stack, "stop", sweep_id=sweep) == {"stopped": "1-2", "had_ended": "0"}
    assert stack.meta(sweep)["stopped"] == "stopped by hand"
    assert control(stack, "start", sweep_id=sweep) == {"running": "1-2", "had_ended": "0"}
    assert "stopped" not in stack.meta(sweep)

    assert control(stack, "cancel", sweep_id=sweep)["status"] == "cancelled"
    stack.check_nothing_is_left(sweep)
    stack.wait(execution)
    resumed = control(stack, "resume", sweep_id=sweep)
    assert resumed["members"] == 2
    # Member 2 does on its second try what it did on its first.
    stack.until(lambda: states()[2] == "running")
    assert control(stack, "replace", sweep_id=sweep, member=2) == {"replaced": "2"}
    ended = stack.wait(resumed["execution_arn"])
    output = json.loads(ended["output"])
    assert (output["status"], output["counts"]["completed"]) == ("completed", 3)
    assert [(row["state"], row["ok"]) for row in stack.results(output)] == [("completed", "1")] * 3
    assert [len(member.get("tries", [])) for member in stack.members(sweep)] == [0, 2, 2]
    meta = stack.meta(sweep)
    assert meta["execution_arn"] == resumed["execution_arn"] and "drain" not in meta
    stack.check_nothing_is_left(sweep)


def test_a_sweep_that_is_resumed_while_its_old_lane_sleeps_belongs_to_the_new_execution(stack, document):
    # Its lane sleeps for this long between two launches.
    document |= {"launch_delay": "25s", "params": [{"x": 1}, {"x": 2}]}
    execution = stack.submit(document)
    sweep = running(stack, execution, 1)
    assert control(stack, "cancel", sweep_id=sweep)["status"] == "cancelled"
    resumed = control(stack, "resume", sweep_id=sweep)["execution_arn"]
    output = json.loads(stack.wait(resumed)["output"])
    assert (output["status"], output["counts"]["completed"]) == ("completed", 2)
    # Its lane still slept as a rule, and finds the sweep taken; it may have looked just before.
    old = stack.wait(execution)
    assert old["status"] == "FAILED" and old["error"] in ("Superseded", "SweepFailed"), old
    assert old["error"] == "SweepFailed" or resumed in old["cause"]
    stack.check_nothing_is_left(sweep)


def test_a_wrong_request_tells_everything_that_is_wrong(stack):
    asked = stack.states.start_execution(
        stateMachineArn=stack.machine("spawn-extend"), input=json.dumps({"sweep": "x", "by": "2 parsecs"})
    )
    ended = stack.wait(asked["executionArn"])
    assert ended["error"] == "InvalidInput"
    assert ended["cause"].startswith("3 faults in the input of spawn-extend:")
    asked = stack.states.start_execution(
        stateMachineArn=stack.machine("spawn-stop"), input=json.dumps({"sweep_id": "nobody-20260101-abcdef"})
    )
    ended = stack.wait(asked["executionArn"])
    assert (ended["error"], "spawn-list shows" in ended["cause"]) == ("NotFound", True)
