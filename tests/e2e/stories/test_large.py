"""Sweeps of many members, on hollow instances."""

REGIONS = ["us-east-1", "us-west-2", "eu-west-1", "ap-southeast-1"]


def test_a_thousand_members_over_four_regions(stack, document):
    del document["params"]
    document["count"] = 1000
    document["command"] = "true"
    document["regions"] = [{region: 250} for region in REGIONS]
    before = stack.calls("RunInstances")
    output = stack.run(document, seconds=600)
    assert output["status"] == "completed"
    assert output["counts"]["completed"] == 1000
    assert stack.calls("RunInstances") - before <= 30
    assert len(stack.results(output)) == 1000
    stack.check_nothing_is_left(output["sweep_id"], *REGIONS)
