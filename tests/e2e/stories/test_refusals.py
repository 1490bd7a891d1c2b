"""Lanes that cannot launch: each ends, says why, and holds up no other. And limits that Service Quotas tells."""

import base64
import json

import pytest
from boto3.dynamodb.conditions import Key
from conftest import ACCOUNT

DENIAL = "You are not authorized to perform this operation. Encoded authorization failure message: "


def refuse(stack, region, code, message, status=400):
    """Every launch in a region is refused with a code, whichever call makes it."""
    for action in ["RunInstances", "CreateFleet"]:
        stack.fault(kind="error", action=action, region=region, code=code, message=message, status=status)


def denied(action, region):
    """What EC2 says of a denial, encoded as the local stack's STS decodes it."""
    details = {
        "allowed": False,
        "explicitDeny": True,
        "matchedStatements": {"items": []},
        "context": {
            "principal": {"id": "AROA:spawn", "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/spawn-launch-batch/spawn"},
            "action": action,
            "resource": f"arn:aws:ec2:{region}:{ACCOUNT}:instance/*",
            "conditions": {"items": []},
        },
    }
    return DENIAL + base64.urlsafe_b64encode(json.dumps(details).encode()).decode()


def launches(stack):
    return stack.calls("RunInstances") + stack.calls("CreateFleet")


def test_every_lane_that_cannot_launch_ends_with_its_reason_and_the_others_go_on(stack, document):
    """What is wrong comes to light when the launch is asked for: all of it was there, or allowed, when the sweep was planned."""
    regions = ["us-east-1", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1", "ap-southeast-2", "ca-central-1"]
    document["regions"] = [{region: 1} for region in regions]
    document["params"] = [{"x": n} for n in range(len(regions))]
    refuse(stack, "us-west-2", "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist")
    refuse(stack, "eu-west-1", "UnauthorizedOperation", denied("ec2:RunInstances", "eu-west-1"), 403)
    refuse(stack, "eu-central-1", "UnauthorizedOperation", DENIAL + "notForUs", 403)
    refuse(stack, "ap-southeast-1", "VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of 0 allows")
    stack.fault(kind="pool-dry", region="ap-southeast-2")
    words = denied("ec2:CreateLaunchTemplate", "ca-central-1")
    stack.fault(kind="error", action="CreateLaunchTemplate", region="ca-central-1", code="UnauthorizedOperation", message=words, status=403)
    before = launches(stack)
    output = stack.run(document, seconds=330)
    assert output["status"] == "completed_with_failures"
    assert (output["counts"]["completed"], output["counts"]["failed"]) == (1, 6)
    assert launches(stack) - before <= 24, "none was asked for again and again"
    told = " | ".join(reason["reason"] for reason in output["reasons"])
    assert "InvalidAMIID.NotFound" in told
    assert "spawn-launch-batch/spawn may not ec2:RunInstances on" in told and "a policy denies it explicitly" in told
    assert "spawn-launch-batch/spawn may not ec2:CreateLaunchTemplate on" in told
    assert "notForUs" in told and "aws sts decode-authorization-message" in told
    assert "VcpuLimitExceeded" in told
    assert "no pool that the document allows had capacity within" in told and "InsufficientInstanceCapacity" in told
    failed = [member for member in stack.members(output["sweep_id"]) if member["state"] == "failed"]
    assert {member["code"] for member in failed} == {"launch_failed"}
    assert not any(member.get("instance") for member in failed)
    stack.check_nothing_is_left(output["sweep_id"], *regions)


def test_a_sweep_of_which_nothing_can_be_launched_fails_with_the_reason(stack, document):
    refuse(stack, "us-east-1", "InvalidAMIID.NotFound", "The image id '[ami-0123456789abcdef0]' does not exist")
    ended = stack.wait(stack.submit(document))
    assert (ended["status"], ended["error"]) == ("FAILED", "SweepFailed")
    cause = json.loads(ended["cause"])
    assert cause["counts"]["failed"] == 2
    assert "InvalidAMIID.NotFound" in cause["reasons"][0]["reason"]


@pytest.fixture
def small_buckets(stack):
    """One launch call at once, then one in two seconds, of either API; and Service Quotas says so."""
    key = {"pk": f"LIMIT#{ACCOUNT}#us-west-1", "sk": "QUOTAS"}
    small = {"capacity": 1, "refill_per_s": 0.5}
    stack.sim("buckets", {"sizes": {"RunInstances": small, "CreateFleet": small}})
    yield key
    defaults = {"RunInstances": {"capacity": 5, "refill_per_s": 2}, "CreateFleet": {"capacity": 50, "refill_per_s": 5}}
    stack.sim("buckets", {"sizes": defaults})
    stack.table.delete_item(Key=key)


def test_launches_keep_to_the_rate_that_service_quotas_tells(stack, document, small_buckets):
    quotas = stack.client("service-quotas", "us-west-1")
    listed = quotas.get_paginator("list_aws_default_service_quotas").paginate(ServiceCode="ec2")
    codes = {quota["QuotaName"]: quota["QuotaCode"] for page in listed for quota in page["Quotas"]}
    rate = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=codes["RunInstances request bucket refill rate"])
    assert rate["Quota"]["Value"] == 0.5
    document["regions"] = ["us-west-1"]
    # Types of their own: six calls.
    types = ["t3.micro", "t3.small", "c5.large", "c5.xlarge", "m5.large", "m5.xlarge"]
    document["params"] = [{"x": n, "instance_type": name} for n, name in enumerate(types)]
    output = stack.run(document)
    assert output["counts"]["completed"] == 6
    row = stack.table.get_item(Key=small_buckets, ConsistentRead=True)["Item"]
    for api in ["run_instances", "create_fleet"]:
        assert row["sizes"][api] == {"capacity": 1, "refill_per_1000_s": 500}
    # Two at once, one of either API, and two every two seconds. (On a busy machine a call is late, and the next one too early for EC2.)
    sent = attempts(stack, output["sweep_id"])
    assert sum(len(times) for times in sent.values()) >= 6
    for times in sent.values():
        assert all(later - earlier >= 2000 for earlier, later in zip(times, times[1:])), sent
    stack.check_nothing_is_left(output["sweep_id"], "us-west-1")


def attempts(stack, sweep):
    """When the launch calls of a sweep were made, in ms, by API."""
    condition = Key("pk").eq(f"SWEEP#{sweep}") & Key("sk").begins_with("ATTEMPT#")
    sent = {}
    for row in stack.table.query(KeyConditionExpression=condition, ConsistentRead=True)["Items"]:
        sent.setdefault(row["rung"]["api"], []).append(int(row["send_at"]))
    return {api: sorted(times) for api, times in sent.items()}
