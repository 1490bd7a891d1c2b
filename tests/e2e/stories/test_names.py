"""Names in DNS: they come with members and go with them, and nobody gets another's."""

import json
import urllib.error
import urllib.request

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from conftest import ACCOUNT, HOME

# 000000000000 in base 36.
SUFFIX = "0.example.com"


class Zone:
    """The hosted zone of the stack."""

    def __init__(self, stack):
        self.stack = stack
        self.client = stack.client("route53")
        zones = self.client.list_hosted_zones_by_name(DNSName="example.com")["HostedZones"]
        self.id = zones[0]["Id"]

    def records(self, below):
        """The address records of a name and of those below it: `name type` to values and TTL."""
        found = {}
        for page in self.client.get_paginator("list_resource_record_sets").paginate(HostedZoneId=self.id):
            for record in page["ResourceRecordSets"]:
                name = record["Name"].rstrip(".")
                if record["Type"] in ("A", "AAAA") and (name == below or name.endswith("." + below)):
                    values = [value["Value"] for value in record["ResourceRecords"]]
                    found.setdefault(name, []).extend(values)
                    assert record["TTL"] in (60, 300)
        return {name: sorted(values) for name, values in found.items()}

    def change(self, action, name, value):
        record = {"Name": name, "Type": "A", "TTL": 300, "ResourceRecords": [{"Value": value}]}
        self.client.change_resource_record_sets(
            HostedZoneId=self.id,
            ChangeBatch={"Changes": [{"Action": action, "ResourceRecordSet": record}]},
        )


@pytest.fixture
def zone(stack):
    return Zone(stack)


def launched(stack, document, name, members):
    """The sweep of that name, and its instances by member, once all of them run."""
    document = {**document, "name": name, "command": "sleep 600", "params": [{"x": n} for n in range(members)]}
    execution = stack.submit(document)

    def look():
        sweep = stack.sweep_of(execution)
        states = [member["state"] for member in stack.members(sweep)] if sweep else []
        return states.count("running") == members and sweep

    sweep = stack.until(look)
    of_members = {int(member["index"]): member["instance"].rsplit("/", 1)[1] for member in stack.members(sweep)}
    shown = stack.instances(sweep)
    return execution, sweep, {index: shown[instance] for index, instance in of_members.items()}


def test_names_come_with_members_and_go_with_their_sweep(stack, document, zone):
    document.update(dns_name="box", params=[{"x": 1}])
    execution, sweep, instances = launched(stack, document, "Solo_Sweep", 1)
    address = instances[0]["PrivateIpAddress"]
    expected = {f"0.solo-sweep.{SUFFIX}": [address], f"solo-sweep.{SUFFIX}": [address]}
    stack.until(lambda: zone.records(f"solo-sweep.{SUFFIX}") == expected)
    assert zone.records(f"box.{SUFFIX}") == {f"box.{SUFFIX}": [address]}
    # The name is taken as long as the sweep lives.
    second = stack.wait(stack.submit({**document, "name": "solo-sweep", "dry_run": True}))
    assert second["error"] == "InvalidSweep"
    assert f"solo-sweep.{SUFFIX} belongs to {sweep}" in second["cause"]
    assert f"box.{SUFFIX} belongs to {sweep}" in second["cause"]
    stack.states.stop_execution(executionArn=execution)
    stack.until(lambda: zone.records(SUFFIX) == {})
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")


def test_what_somebody_else_made_or_changed_is_left_alone(stack, document, zone):
    taken, changed = f"0.guarded.{SUFFIX}", f"1.guarded.{SUFFIX}"
    zone.change("CREATE", taken, "192.0.2.1")
    execution, sweep, instances = launched(stack, document, "guarded", 3)
    stack.until(lambda: f"2.guarded.{SUFFIX}" in zone.records(SUFFIX) and changed in zone.records(SUFFIX))
    assert zone.records(taken) == {taken: ["192.0.2.1"]}
    zone.change("UPSERT", changed, "192.0.2.2")
    stack.states.stop_execution(executionArn=execution)
    stack.until(lambda: zone.records(SUFFIX) == {taken: ["192.0.2.1"], changed: ["192.0.2.2"]})
    for name, value in [(taken, "192.0.2.1"), (changed, "192.0.2.2")]:
        zone.change("DELETE", name, value)

    def left_alone():
        """the log, which comes after the change, names both records"""
        said = [line for line in logged(stack) if "is left alone" in line.get("message", "")]
        return {line["record"].split()[0] for line in said} >= {taken, changed}

    stack.until(left_alone)
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")


def test_an_instance_gets_its_own_names_and_no_others(stack, document, zone):
    execution, sweep, instances = launched(stack, document, "ours", 2)
    other_execution, other, others = launched(stack, document, "theirs", 1)
    stack.until(lambda: len(zone.records(SUFFIX)) == 5)
    own, address = f"0.ours.{SUFFIX}", instances[0]["PrivateIpAddress"]
    ask = Asking(stack, instances[0]["InstanceId"])
    assert ask(name=own, address=address) == (200, [{"name": own, "type": "A", "values": [address]}])
    before = zone.records(SUFFIX)
    refused = [
        ask(name=f"1.ours.{SUFFIX}"),
        ask(name=f"0.theirs.{SUFFIX}"),
        ask(address=others[0]["PrivateIpAddress"]),
        Asking(stack, "somebody")(name=own),
        Asking(stack, "i-0123456789abcdef0")(name=own),
    ]
    assert [status for status, _ in refused] == [403] * 5, refused
    statuses = [ask(name=own)[0] for _ in range(3)]
    assert statuses[-1] == 429, statuses
    assert zone.records(SUFFIX) == before
    told = [line for line in logged(stack) if line.get("message") == "a request for a name was refused"]
    assert any(line.get("name") == f"1.ours.{SUFFIX}" and instances[0]["InstanceId"] in line["caller"] for line in told)
    assert any(line.get("name") == f"0.theirs.{SUFFIX}" for line in told)
    for one in (execution, other_execution):
        stack.states.stop_execution(executionArn=one)
    stack.until(lambda: zone.records(SUFFIX) == {})
    for one in (sweep, other):
        stack.until(lambda one=one: stack.meta(one)["status"] == "cancelled")


def test_the_comparison_finds_what_events_have_lost(stack, document, zone):
    mapping = stack.functions.list_event_source_mappings(FunctionName="spawn-dns-updater")["EventSourceMappings"][0]
    stack.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    try:
        execution, sweep, _ = launched(stack, document, "unheard", 2)
        assert call(stack, {"sweep_up": {}})["changes"] == 4
        assert len(zone.records(f"unheard.{SUFFIX}")) == 3
        stack.states.stop_execution(executionArn=execution)
        stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
        assert call(stack, {"sweep_up": {}})["changes"] == 4
    finally:
        stack.functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    assert zone.records(SUFFIX) == {}
    answer = call(stack, {"test": True})
    assert (answer["healthy"], answer["members_waiting"]) == (True, 0), answer


def call(stack, event):
    answer = stack.functions.invoke(FunctionName="spawn-dns-updater", Payload=json.dumps(event).encode())
    payload = answer["Payload"].read()
    assert "FunctionError" not in answer, payload
    return json.loads(payload)


def logged(stack):
    """What the function has logged, line by line."""
    logs = stack.client("logs")
    lines = []
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName="/spawn/dns-updater"):
        for event in page["events"]:
            try:
                line = json.loads(event["message"])
            except ValueError:
                continue
            if isinstance(line, dict):
                lines.append(line)
    return lines


class Asking:
    """Asks the function's URL as the session of that name of the instances' role."""

    def __init__(self, stack, session):
        outputs = stack.client("cloudformation").describe_stacks(StackName="spawn")["Stacks"][0]["Outputs"]
        url = next(output["OutputValue"] for output in outputs if output["OutputKey"] == "DnsUpdaterUrl")
        self.url = f"{stack.endpoint}/_aws/lambda-url/{url.split('//')[1].split('.')[0]}/"
        role = f"arn:aws:iam::{ACCOUNT}:role/spawn-instance-role"
        session = stack.client("sts").assume_role(RoleArn=role, RoleSessionName=session)["Credentials"]
        self.credentials = Credentials(session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"])

    def __call__(self, **asked):
        body = json.dumps({"region": HOME, **asked})
        request = AWSRequest("POST", self.url, data=body, headers={"Content-Type": "application/json"})
        SigV4Auth(self.credentials, "lambda", HOME).add_auth(request)
        request = urllib.request.Request(self.url, body.encode(), dict(request.headers))
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, json.load(response)["records"]
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)["error"]
