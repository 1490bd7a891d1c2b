"""What every story needs: plain AWS clients of the stack, and the simulator's control API."""

import csv
import io
import json
import os
import pathlib
import time
import urllib.request
import uuid

import boto3
import pytest

HOME = "us-east-1"
# A limit and no expectation: on a machine that does much else everything takes longer.
PATIENCE_S = 180
ACCOUNT = "000000000000"
RESULTS = f"spawn-results-{ACCOUNT}-{HOME}"
DATA = f"spawn-data-{ACCOUNT}-{HOME}"


class Stack:
    """The stack as its users see it."""

    def __init__(self, endpoint, sim):
        self.endpoint = endpoint
        self.sim_url = sim
        self.states = self.client("stepfunctions")
        self.s3 = self.client("s3")
        self.functions = self.client("lambda")
        self.table = boto3.resource("dynamodb", **self.settings(HOME)).Table("spawn-sweeps")

    def settings(self, region):
        return {
            "endpoint_url": self.endpoint,
            "region_name": region,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }

    def client(self, service, region=HOME):
        return boto3.client(service, **self.settings(region))

    def machine(self, name):
        return f"arn:aws:states:{HOME}:{ACCOUNT}:stateMachine:{name}"

    def submit(self, document, name=None):
        answer = self.states.start_execution(
            stateMachineArn=self.machine("spawn-sweep"),
            name=name or f"story-{uuid.uuid4().hex[:12]}",
            input=json.dumps(document),
        )
        return answer["executionArn"]

    def wait(self, execution, seconds=PATIENCE_S):
        """The execution when it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            described = self.states.describe_execution(executionArn=execution)
            if described["status"] != "RUNNING":
                return described
            time.sleep(0.2)
        raise AssertionError(f"{execution} runs after {seconds} s: {self.last_events(execution)}")

    def last_events(self, execution):
        history = self.states.get_execution_history(executionArn=execution, reverseOrder=True, maxResults=8)
        return json.dumps(history["events"], default=str, indent=1)

    def run(self, document, seconds=PATIENCE_S):
        """The output of a sweep that succeeds."""
        execution = self.submit(document)
        ended = self.wait(execution, seconds)
        assert ended["status"] == "SUCCEEDED", (ended.get("error"), ended.get("cause"))
        return json.loads(ended["output"])

    def until(self, what, seconds=PATIENCE_S, every=0.2):
        """Waits until `what()` is true, and answers it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            value = what()
            if value:
                return value
            time.sleep(every)
        raise AssertionError(f"{what.__doc__ or what} did not come true within {seconds} s")

    def object(self, uri):
        bucket, key = uri.removeprefix("s3://").split("/", 1)
        return self.s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode()

    def results(self, output):
        return list(csv.DictReader(io.StringIO(self.object(output["results"]))))

    def sweep_of(self, execution):
        key = {"pk": f"EXECUTION#{execution}", "sk": "EXECUTION"}
        row = self.table.get_item(Key=key, ConsistentRead=True).get("Item")
        return row and row.get("sweep_id")

    def meta(self, sweep):
        key = {"pk": f"SWEEP#{sweep}", "sk": "META"}
        return self.table.get_item(Key=key, ConsistentRead=True)["Item"]

    def members(self, sweep):
        from boto3.dynamodb.conditions import Key

        members = []
        for shard in range(int(self.meta(sweep)["shards"])):
            condition = Key("pk").eq(f"SWEEP#{sweep}#{shard:02}") & Key("sk").begins_with("MEMBER#")
            arguments = {"KeyConditionExpression": condition, "ConsistentRead": True}
            while True:
                page = self.table.query(**arguments)
                members += page["Items"]
                if "LastEvaluatedKey" not in page:
                    break
                arguments["ExclusiveStartKey"] = page["LastEvaluatedKey"]
        return sorted(members, key=lambda member: member["index"])

    def instances(self, sweep, *regions):
        """The sweep's instances as DescribeInstances shows them, by id."""
        found = {}
        for region in regions or (HOME,):
            pages = self.client("ec2", region).get_paginator("describe_instances").paginate(
                Filters=[{"Name": "tag:spawn:sweep-id", "Values": [sweep]}]
            )
            for page in pages:
                for reservation in page["Reservations"]:
                    for instance in reservation["Instances"]:
                        found[instance["InstanceId"]] = instance
        return found

    def check_nothing_is_left(self, sweep, *regions):
        """No instance lives, and ledger and cloud agree member by member."""
        instances = self.instances(sweep, *regions)
        alive = [i for i, d in instances.items() if d["State"]["Name"] not in ("shutting-down", "terminated")]
        assert alive == []
        members = self.members(sweep)
        tries = [one for member in members for one in [member, *member.get("tries", [])]]
        of_members = [one["instance"].rsplit("/", 1)[1] for one in tries if one.get("instance")]
        assert sorted(of_members) == sorted(instances), "every instance has one member, every member's instance exists"
        meta = self.meta(sweep)
        assert meta["live"] == 0
        counts = {state: int(count) for state, count in meta["counts"].items() if count}
        tally = {}
        for member in members:
            tally[member["state"]] = tally.get(member["state"], 0) + 1
        assert counts == tally

    def sim(self, path, body=None, method=None):
        """The simulator's control API."""
        data = None if body is None else json.dumps(body).encode()
        method = method or ("POST" if data else "GET")
        request = urllib.request.Request(f"{self.sim_url}/_sim/{path}", data=data, method=method)
        request.add_header("Content-Type", "application/json")
        with urllib.request.urlopen(request, timeout=30) as response:
            return json.loads(response.read() or b"null")

    def calls(self, action):
        """How many calls of an action EC2 has had."""
        counted = self.sim("calls")
        return counted.get("calls", counted).get(action, {}).get("total", 0)

    def peak(self, sweep):
        """The most instances of a sweep that were running at once."""
        return self.sim("peaks")["sweeps"][sweep]["max_running"]

    def fault(self, **fault):
        """Arms a fault; `clear_faults` runs after every story."""
        self.sim("faults", fault)

    def clear_faults(self):
        self.sim("faults", method="DELETE")

    def end_what_runs(self):
        """Cancels the sweeps that a story left running: their programs would have the turns of the next story's."""
        running = {"stateMachineArn": self.machine("spawn-sweep"), "statusFilter": "RUNNING"}
        for execution in self.states.list_executions(**running)["executions"]:
            try:
                self.states.stop_execution(executionArn=execution["executionArn"], cause="its story is over")
            except self.states.exceptions.ClientError as error:
                # It has ended since it was listed.
                if "not running" not in str(error):
                    raise

    def processes(self, name):
        """The processes of this stack's functions that run a binary of this name."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().split(b"\0")[0].decode()
                environment = (entry / "environ").read_bytes()
            except OSError:
                continue  # It ended meanwhile, or is not ours.
            if command.endswith(f"/{name}") and f"AWS_ENDPOINT_URL={self.endpoint}".encode() in environment:
                found.append(int(entry.name))
        return found


@pytest.fixture(scope="session")
def the_stack():
    return Stack(os.environ["AWS_ENDPOINT_URL"], os.environ["SPAWN_SIM"])


@pytest.fixture
def stack(the_stack):
    yield the_stack
    the_stack.clear_faults()
    the_stack.end_what_runs()


@pytest.fixture
def document():
    """A small sweep that works; stories change what they are about."""
    return {
        "name": "story",
        "owner": "tester",
        "project": "e2e",
        "instance_type": "t3.micro",
        "ttl": "30m",
        "regions": ["us-east-1"],
        "params": [{"x": 1}, {"x": 2}],
        "command": 'printf \'{"doubled": %s}\' "$((SPAWN_PARAM_x * 2))" >result.json',
    }
