"""Types by requirements, and quotas read, obeyed and raised."""

import pytest

STANDARD = "L-1216C47A"


@pytest.fixture
def quota(stack):
    """Sets the quota of standard families on demand in a region; all are lifted afterwards."""

    def set_quota(region, vcpus):
        stack.sim("quotas", {"region": region, "class": "standard", "market": "on-demand", "vcpus": vcpus})

    yield set_quota
    stack.sim("quotas", method="DELETE")


def test_a_dry_run_shows_types_by_requirements_regions_by_pattern_and_the_quotas(stack, document, quota):
    quota("us-west-2", 0)
    del document["instance_type"]
    document.update(
        dry_run=True,
        regions={"include": ["us-*"], "exclude": ["us-west-1"]},
        instance_requirements={"vcpu_count": {"min": 2, "max": 4}, "memory": {"min": "4 GiB"}, "workload": "cpu"},
        params=[{"x": n} for n in range(6)],
    )
    plan = stack.run(document)["plan"]
    taken = {region["region"]: region["members"] for region in plan["regions"]}
    assert taken == {"us-east-1": 4, "us-east-2": 2, "us-west-2": 0}, "what a region has no room for goes to the first that has"
    types = next(lane for lane in plan["lanes"] if lane["lane"] == "us-east-1.on-demand")["types"][0]
    assert all(name.startswith("c") for name in types["instance_types"])
    assert "meet the requirements, cheapest first" in types["reason"]
    assert any("go from us-west-2 to" in warning for warning in plan["warnings"])
    used = {quota["region"]: quota for quota in plan["quotas"]}
    assert used["us-east-1"]["code"] == STANDARD
    assert used["us-east-1"]["needed_vcpus"] > 0


def test_a_short_quota_holds_a_sweep_back_and_the_command_of_the_plan_raises_it(stack, document, quota):
    quotas = stack.client("service-quotas")
    running = "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances"
    quota("us-east-1", 4)
    shown = quotas.get_service_quota(ServiceCode="ec2", QuotaCode=STANDARD)["Quota"]
    assert (shown["QuotaName"], shown["Value"]) == (running, 4.0)
    document["params"] = [{"x": n} for n in range(5)]
    plan = stack.run({**document, "dry_run": True})["plan"]
    (told,) = plan["quotas"]
    assert told["short_by_vcpus"] == 6
    assert told["at_once_max"] == 2
    output = stack.run(document)
    assert output["counts"]["completed"] == 5
    assert stack.peak(output["sweep_id"]) <= 2, "no launch passed the quota"
    words = told["raise_with"].split()
    wanted = float(words[words.index("--desired-value") + 1])
    raised = quotas.request_service_quota_increase(ServiceCode="ec2", QuotaCode=STANDARD, DesiredValue=wanted)
    assert raised["RequestedQuota"]["Status"] == "APPROVED"
    listed = quotas.get_paginator("list_service_quotas").paginate(ServiceCode="ec2")
    values = {quota["QuotaCode"]: quota["Value"] for page in listed for quota in page["Quotas"]}
    assert values[STANDARD] == wanted == 10.0
    assert stack.run({**document, "dry_run": True})["plan"]["warnings"] == []


def test_a_region_without_any_quota_fails_its_members_in_words_and_the_others_go_on(stack, document, quota):
    quota("us-west-2", 0)
    document["regions"] = {"us-east-1": 1, "us-west-2": 1}
    output = stack.run(document)
    assert output["status"] == "completed_with_failures"
    assert output["counts"]["completed"] == output["counts"]["failed"] == 1
    failed = next(member for member in stack.members(output["sweep_id"]) if member["state"] == "failed")
    assert STANDARD in failed["reason"] and "request-service-quota-increase" in failed["reason"]
    assert not failed.get("instance")


def test_a_placement_group_of_the_sweep_s_own_goes_with_it(stack, document):
    document.update(placement_group="cluster", instance_type="c5.large")
    output = stack.run(document)
    instances = stack.instances(output["sweep_id"]).values()
    assert {i["Placement"]["GroupName"] for i in instances} == {f"spawn-{output['sweep_id']}"}
    assert stack.client("ec2").describe_placement_groups()["PlacementGroups"] == []
