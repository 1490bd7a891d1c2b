"""Sweeps from start-execution to results, as their users see them."""

import json

from conftest import DATA, RESULTS

HOSTILE = [
    "plain",
    "it's \"quoted\"",
    "$(touch pwned) `touch pwned` ${HOME}",
    "line one\nline two\n\n",
    "naïve – 漢字 🦀",
    "back\\slash \\n * ? [a] ; & | < >",
    "  spaces around  ",
    "",
    "-rf --help",
]


def test_a_sweep_gives_the_results_of_every_member(stack, document):
    document["regions"] = ["us-east-1", "us-west-2"]
    document["params"] = [{"x": n, "name": f"m{n}"} for n in range(4)]
    output = stack.run(document)
    assert output["status"] == "completed"
    assert output["counts"]["completed"] == 4
    assert 0 < output["cost_usd"] < 1, "instances ran for the minute that is billed at least"
    rows = stack.results(output)
    assert [(r["index"], r["name"], r["x"], r["state"], r["exit_code"], r["doubled"]) for r in rows] == [
        (str(n), f"m{n}", str(n), "completed", "0", str(2 * n)) for n in range(4)
    ]
    manifest = json.loads(stack.object(output["manifest"]))
    assert [member["state"] for member in manifest["members"]] == ["completed"] * 4
    stack.check_nothing_is_left(output["sweep_id"], "us-east-1", "us-west-2")
    instances = stack.instances(output["sweep_id"], "us-east-1", "us-west-2").values()
    assert {i["Placement"]["AvailabilityZone"][:-1] for i in instances} == {"us-east-1", "us-west-2"}
    tags = {tag["Key"]: tag["Value"] for tag in next(iter(instances))["Tags"]}
    assert tags["spawn:managed"] == "true"
    assert tags["spawn:sweep-id"] == output["sweep_id"]
    assert (tags["spawn:sweep-name"], tags["spawn:owner"], tags["spawn:project"]) == ("story", "tester", "e2e")


def test_parameters_arrive_unchanged_and_are_never_evaluated(stack, document):
    program = (
        "python3 - <<'END'\n"
        "import json, os\n"
        "e = os.environ\n"
        "json.dump({'seen': e['SPAWN_PARAM_text'], 'old': e['PARAM_text'], 'whole': json.loads(e['SWEEP_PARAMS']),"
        " 'index': e['SPAWN_MEMBER_INDEX'] + e['SWEEP_INDEX'], 'pwned': os.path.exists('pwned')}, open('result.json', 'w'))\n"
        "END\n"
    )
    document["params"] = [{"text": text} for text in HOSTILE]
    document["command"] = program
    output = stack.run(document)
    assert output["counts"]["completed"] == len(HOSTILE)
    for row, text in zip(stack.results(output), HOSTILE, strict=True):
        assert row["seen"] == text
        assert row["old"] == text
        assert json.loads(row["whole"]) == {"text": text}
        assert row["result.index"] == row["index"] * 2 if "result.index" in row else True
        assert row["pwned"] == "false"


def test_a_document_in_s3_with_a_table_and_inputs(stack, document):
    document["params"] = f"s3://{DATA}/story/members.csv"
    document["inputs"] = [f"s3://{DATA}/story/add.py", f"s3://{DATA}/story/folder/"]
    document["command"] = "python3 add.py"
    del document["regions"]
    stack.s3.put_object(Bucket=DATA, Key="story/members.csv", Body=b"a,b\n1,0.10\n2,007\n")
    stack.s3.put_object(Bucket=DATA, Key="story/folder/extra.txt", Body=b"extra")
    stack.s3.put_object(
        Bucket=DATA,
        Key="story/add.py",
        Body=b"import json, os\n"
        b"json.dump({'joined': os.environ['SPAWN_PARAM_a'] + os.environ['SPAWN_PARAM_b'], 'extra': open('extra.txt').read()},"
        b" open('result.json', 'w'))\n",
    )
    stack.s3.put_object(Bucket=DATA, Key="story/sweep.json", Body=json.dumps(document).encode())
    output = stack.run({"document": f"s3://{DATA}/story/sweep.json", "overrides": {"name": "renamed"}})
    assert output["sweep_id"].startswith("renamed-")
    assert [(r["joined"], r["extra"]) for r in stack.results(output)] == [("10.10", "extra"), ("2007", "extra")]


def test_failing_members_are_counted_and_their_sweep_succeeds(stack, document):
    document["params"] = [{"code": 0}, {"code": 3}, {"code": 0}]
    document["command"] = 'echo "member $SPAWN_MEMBER_INDEX"; exit "$SPAWN_PARAM_code"'
    output = stack.run(document)
    assert output["status"] == "completed_with_failures"
    assert (output["counts"]["completed"], output["counts"]["failed"]) == (2, 1)
    assert output["reasons"] == [{"reason": "exit code 3", "members": 1}]
    assert [row["exit_code"] for row in stack.results(output)] == ["0", "3", "0"]
    log = stack.object(f"s3://{RESULTS}/sweeps/{output['sweep_id']}/1/log.txt")
    assert "member 1" in log
    stack.check_nothing_is_left(output["sweep_id"])


def test_a_sweep_in_which_none_completes_fails_with_the_reasons(stack, document):
    document["command"] = "exit 9"
    execution = stack.submit(document)
    ended = stack.wait(execution)
    assert (ended["status"], ended["error"]) == ("FAILED", "SweepFailed")
    cause = json.loads(ended["cause"])
    assert cause["reasons"] == [{"reason": "exit code 9", "members": 2}]
    stack.check_nothing_is_left(cause["sweep_id"])


def test_a_rolling_sweep_never_has_more_than_its_limit_running(stack, document):
    document["params"] = [{"x": n} for n in range(6)]
    document["regions"] = ["us-east-1", "us-west-2"]
    document["max_concurrent"] = 2
    output = stack.run(document)
    assert output["counts"]["completed"] == 6
    assert stack.peak(output["sweep_id"]) <= 2
    stack.check_nothing_is_left(output["sweep_id"], "us-east-1", "us-west-2")


def test_a_bad_document_is_refused_with_every_fault(stack, document):
    document["ttl"] = "5 parsecs"
    document["regions"] = ["us-esat-1"]
    document["max_concurent"] = 3
    ended = stack.wait(stack.submit(document))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidSweep")
    for word in ("ttl", "5 parsecs", "us-esat-1", "us-east-1", "max_concurent", "max_concurrent"):
        assert word in ended["cause"]


def test_what_ec2_does_not_have_is_refused_before_anything_is_launched(stack, document):
    document["instance_type"] = "c5.47xlarge"
    document["ami"] = "ami-00000000000000000"
    ended = stack.wait(stack.submit(document))
    assert (ended["status"], ended["error"]) == ("FAILED", "InvalidSweep")
    assert "c5.47xlarge" in ended["cause"]


def test_a_dry_run_shows_the_plan_and_launches_nothing(stack, document):
    document["dry_run"] = True
    output = stack.run(document)
    plan = output["plan"]
    assert plan["members"] == 2
    assert [member["params"] for member in plan["member_plans"]] == [{"x": 1}, {"x": 2}]
    assert plan["member_plans"][0]["environment"]["SPAWN_PARAM_x"] == "1"
    assert plan["member_plans"][0]["launched_with"]["instance_types"] == ["t3.micro"]
    assert stack.instances(output["sweep_id"]) == {}


def test_the_same_execution_name_starts_one_sweep(stack, document):
    document["params"] = [{"x": 1}]
    name = "story-only-once"
    execution = stack.submit(document, name)
    try:
        assert stack.submit(document, name) == execution
    except stack.states.exceptions.ExecutionAlreadyExists:
        pass  # Where AWS answers with the execution that runs, the local Step Functions says that it exists.
    ended = stack.wait(execution)
    sweep = json.loads(ended["output"])["sweep_id"]
    assert len(stack.instances(sweep)) == 1


def test_a_budget_that_does_not_suffice_is_a_warning_and_a_price_that_is_not_known_a_fault(stack, document):
    document["instance_type"] = "c5.4xlarge"
    document["ttl"] = "1h"
    document["budget"] = "1.38 USD"
    document["dry_run"] = True
    plan = stack.run(document)["plan"]
    assert plan["worst_case_cost"] == "$1.371906"
    assert plan["cost"]["budget"]["suffices"] is True
    document["budget"] = 1.37
    plan = stack.run(document)["plan"]
    assert plan["cost"]["budget"]["suffices"] is False
    warning = next(warning for warning in plan["warnings"] if "budget" in warning)
    for word in ("$1.371906", "$1.37", "suffices for 1"):
        assert word in warning
    # The one type that the local price list leaves out.
    document["instance_type"] = "c4.8xlarge"
    ended = stack.wait(stack.submit(document))
    assert "the price of c4.8xlarge on demand in us-east-1 is not known" in ended["cause"]
