"""What holds though nobody is there to see to it, and what the reaper sees to."""

import contextlib
import datetime
import json
import os
import pathlib
import signal

from conftest import HOME
from test_faults import running
from test_logs import ask, saved


@contextlib.contextmanager
def without_control_plane(stack):
    """Ledger, queues, functions, state machines: nothing answers and nothing runs. EC2 and the instances go on."""
    port = stack.endpoint.rsplit(":", 1)[1]
    gateways = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode().split("\0")
                if any(word.endswith("launcher.py") for word in words) and port in words:
                    gateways.append(int(entry.name))
    assert gateways, "the gateway was not found"
    for gateway in gateways:
        os.kill(gateway, signal.SIGSTOP)
    try:
        yield
    finally:
        for gateway in gateways:
            os.kill(gateway, signal.SIGCONT)


def test_every_instance_ends_at_its_ttl_though_the_whole_control_plane_is_stopped(stack, document):
    document |= {"command": "sleep 600", "ttl": "1m"}
    # A minute of the kill switch passes in fifteen seconds; the boot runner's own watch is not so fast.
    stack.sim("timing", {"time_scale": 4})
    try:
        sweep = running(stack, stack.submit(document), 2)
        with without_control_plane(stack):

            def ended():
                """every instance has ended by itself"""
                instances = stack.sim(f"instances?sweep={sweep}")["instances"]
                assert len(instances) == 2
                return all(instance["state"] == "terminated" for instance in instances)

            stack.until(ended)
    finally:
        stack.sim("timing", {"time_scale": 1})
    stack.until(lambda: "ended_at" in stack.meta(sweep))
    stack.check_nothing_is_left(sweep)


def pass_over(stack):
    """A pass of the reaper over the home region, as its state machine makes it."""
    call = json.dumps({"reap_place": {"place": HOME}})
    answer = stack.functions.invoke(FunctionName="spawn-idle-reaper", Payload=call)
    passed = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, passed
    return passed


def test_an_orphan_is_marked_and_then_ended_and_what_is_protected_stays(stack):
    ec2 = stack.client("ec2")

    def launch(**tags):
        tags = [{"Key": f"spawn:{name}", "Value": value} for name, value in tags.items()]
        specification = [{"ResourceType": "instance", "Tags": tags}]
        image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
        launched = ec2.run_instances(
            ImageId=image, InstanceType="t3.micro", MinCount=1, MaxCount=1, TagSpecifications=specification
        )
        return launched["Instances"][0]["InstanceId"]

    def shown(instance):
        found = ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
        return found["State"]["Name"], {tag["Key"]: tag["Value"] for tag in found["Tags"]}

    orphan, protected, stranger = launch(managed="true"), launch(managed="true", protect="true"), launch(name="else")
    try:
        stack.until(lambda: not pass_over(stack)["skipped"] and "spawn:orphan-since" in shown(orphan)[1])
        pass_over(stack)
        assert shown(orphan)[0] in ("pending", "running"), "marked first"
        # The mark is old enough.
        before = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=3)
        mark = {"Key": "spawn:orphan-since", "Value": before.isoformat()}
        ec2.create_tags(Resources=[orphan], Tags=[mark])
        stack.until(lambda: not pass_over(stack)["skipped"] and shown(orphan)[0] in ("shutting-down", "terminated"))
        text, groups = saved(stack)["what was ended and why"]
        told = stack.until(lambda: {row["action"] for row in ask(stack, text, groups) if row["instance_id"] == orphan})
        assert told >= {"warn"} and "keep" not in told
        assert "spawn:orphan-since" not in shown(protected)[1]
        assert {shown(protected)[0], shown(stranger)[0]} <= {"pending", "running"}
    finally:
        ec2.terminate_instances(InstanceIds=[orphan, protected, stranger])


def say_idle(stack, key, seconds):
    """An instance's word that it has been idle for so long. This machine never is: it is what the monitor would say on a quiet one."""
    now = int(datetime.datetime.now().timestamp() * 1000)
    stack.table.update_item(
        Key=key,
        UpdateExpression="SET report_activity = :idle, report_activity_since = :since, report_heartbeat_at = :now",
        ExpressionAttributeValues={":idle": "idle", ":since": now - seconds * 1000, ":now": now},
    )


def test_what_is_idle_for_too_long_is_ended_and_says_so(stack, document):
    document |= {"command": "sleep 600", "idle_timeout": "1m", "idle": {"grace": "0s"}, "params": [{"x": 1}]}
    sweep = running(stack, stack.submit(document), 1)
    [member] = stack.members(sweep)
    key = {"pk": f"INSTANCE#{member['instance']}", "sk": "INSTANCE"}
    stack.until(lambda: stack.table.get_item(Key=key)["Item"].get("report_activity"))

    def reaped():
        say_idle(stack, key, 90)
        pass_over(stack)
        return stack.members(sweep)[0]["state"] == "reaped"

    # The launch itself must lie a minute back: nothing was idle before it.
    stack.until(reaped, every=2)
    assert stack.members(sweep)[0]["reason"] == "it was idle for too long"
    stack.check_nothing_is_left(sweep)


def test_an_interruption_without_warning_is_one_and_an_impaired_instance_is_ended(stack, document):
    document |= {"command": "sleep 600", "spot": True, "params": [{"x": 1}, {"x": 2}], "retries": 0}
    sweep = running(stack, stack.submit(document), 2)
    taken, impaired = (member["instance"] for member in stack.members(sweep))

    stack.fault(kind="lost-event", detail_type="EC2 Spot Instance Interruption Warning")
    stack.sim(f"instances/{taken.rsplit('/', 1)[1]}/interrupt", {"notice_s": 1})
    stack.until(lambda: stack.members(sweep)[0]["state"] == "interrupted")

    # It has failed its checks for longer than it was heard of.
    long_ago = int(datetime.datetime.now().timestamp() * 1000) - 30 * 60_000
    key = {"pk": f"INSTANCE#{impaired}", "sk": "INSTANCE"}
    stack.until(lambda: stack.table.get_item(Key=key)["Item"].get("report_heartbeat_at"))
    heard = {"UpdateExpression": "SET report_heartbeat_at = :at", "ExpressionAttributeValues": {":at": long_ago}}
    stack.table.update_item(Key=key, **heard)
    stack.sim(f"instances/{impaired.rsplit('/', 1)[1]}/impair", {"since_s": 25 * 60})

    def ended():
        pass_over(stack)
        return stack.members(sweep)[1].get("code")

    assert stack.until(ended, every=1) == "impaired"
    stack.until(lambda: "ended_at" in stack.meta(sweep))
    stack.check_nothing_is_left(sweep)
