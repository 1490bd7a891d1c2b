"""Who is told of what: a webhook that this test serves, a topic with a queue behind it, and what nobody takes."""

import http.server
import json
import threading
import uuid

import pytest
from conftest import ACCOUNT, HOME
from test_faults import running


class Hook:
    """A webhook: keeps what it is told, and answers `status`."""

    def __init__(self):
        self.told, self.status = [], 200
        hook = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                hook.told.append(json.loads(body)["text"])
                self.send_response(hook.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        # A part of it that no log may show.
        self.secret = uuid.uuid4().hex
        self.url = f"http://127.0.0.1:{self.server.server_port}/services/{self.secret}"


@pytest.fixture
def hook(stack):
    """A webhook, and the name of the parameter that holds its address."""
    hook = Hook()
    hook.parameter = f"/spawn/webhooks/story-{uuid.uuid4().hex[:8]}"
    stack.client("ssm").put_parameter(Name=hook.parameter, Type="SecureString", Value=hook.url)
    yield hook
    hook.server.shutdown()


@pytest.fixture
def topic(stack):
    """A topic, and a callable that answers the messages its queue has had."""
    name = f"spawn-story-{uuid.uuid4().hex[:8]}"
    queues, topics = stack.client("sqs"), stack.client("sns")
    url = queues.create_queue(QueueName=name)["QueueUrl"]
    arn = topics.create_topic(Name=name)["TopicArn"]
    topics.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=f"arn:aws:sqs:{HOME}:{ACCOUNT}:{name}")
    had = []

    def messages():
        for message in queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
            had.append(json.loads(message["Body"]))
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return had

    return arn, messages


def look(stack, payload=None):
    """A pass of the schedule, now."""
    answer = stack.functions.invoke(FunctionName="spawn-notify", Payload=json.dumps({"look": payload or {}}))
    output = json.loads(answer["Payload"].read())
    assert "FunctionError" not in answer, output


def logged(stack, group):
    pages = stack.client("logs").get_paginator("filter_log_events").paginate(logGroupName=group)
    return "\n".join(event["message"] for page in pages for event in page["events"])


def test_a_first_failure_and_the_end_are_told_once_to_a_webhook_and_a_topic(stack, document, hook, topic):
    arn, messages = topic
    document["params"] = [{"wait": 0, "code": 3}, {"wait": 600, "code": 0}]
    document["command"] = 'sleep "$SPAWN_PARAM_wait"; exit "$SPAWN_PARAM_code"'
    document["notify"] = {"topics": arn, "webhooks": hook.parameter, "occasions": ["end", "failure", "first_failure"]}
    execution = stack.submit(document)
    sweep = running(stack, execution, 1)
    stack.until(lambda: stack.meta(sweep)["counts"].get("failed"))
    for _ in range(3):
        look(stack)
    stack.until(lambda: hook.told and messages())
    assert "first member failed" in hook.told[0] and len(hook.told) == 1
    assert [message["Subject"] for message in messages()] == [f"spawn: {sweep} first member failed"]
    stack.states.start_execution(
        stateMachineArn=stack.machine("spawn-cancel"), input=json.dumps({"sweep_id": sweep, "reason": "enough"})
    )
    assert stack.wait(execution)["status"] == "FAILED"
    stack.until(lambda: len(hook.told) > 1 and len(messages()) > 1)
    for _ in range(3):
        look(stack, {"sweep_id": sweep})
    assert [text.split(":")[0] for text in hook.told[1:]] == [f"{sweep} cancelled"]
    last = messages()[-1]
    assert last["Subject"] == f"spawn: {sweep} cancelled" and len(messages()) == 2
    assert json.loads(last["Message"])["status"] == "cancelled"
    for group in ("/spawn/notify", "/spawn/plan-sweep"):
        assert hook.secret not in logged(stack, group), "the address is in no log"
    assert hook.parameter in logged(stack, "/spawn/notify")
    assert hook.secret not in json.dumps(stack.meta(sweep), default=str)


def test_the_address_of_a_webhook_may_be_a_secret_of_secrets_manager(stack, document, hook):
    name = f"spawn/webhooks/story-{uuid.uuid4().hex[:8]}"
    reference = f"/aws/reference/secretsmanager/{name}"
    secrets = stack.client("secretsmanager")
    document["notify"] = {"webhooks": reference, "occasions": ["end"]}
    document["params"] = [{"x": 1}]
    # It is made after the sweep has begun: it is read where it is used, and kept nowhere.
    execution = stack.submit(document)
    secrets.create_secret(Name=name, SecretString=hook.url)
    assert stack.wait(execution)["status"] == "SUCCEEDED"
    sweep = stack.sweep_of(execution)
    stack.until(lambda: hook.told)
    assert [text.split(":")[0] for text in hook.told] == [f"{sweep} completed"]
    for group in ("/spawn/notify", "/spawn/plan-sweep"):
        assert hook.secret not in logged(stack, group), "the address is in no log"
    stack.until(lambda: reference in logged(stack, "/spawn/notify"))
    assert hook.secret not in json.dumps(stack.meta(sweep), default=str)


def test_what_a_webhook_refuses_ends_in_a_queue_that_alarms_and_can_be_delivered_again(stack, document, hook):
    hook.status = 404
    document["notify"] = {"webhooks": hook.parameter, "occasions": ["end"]}
    output = stack.run(document)
    assert output["notified"] == [{"target": hook.parameter, "subject": f"spawn: {output['sweep_id']} completed"}]
    queues = stack.client("sqs")
    url = queues.get_queue_url(QueueName="spawn-undelivered-notices")["QueueUrl"]
    [kept] = stack.until(lambda: queues.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))
    notice = json.loads(kept["Body"])
    assert "404" in notice["failure"]["Cause"] and hook.secret not in kept["Body"]
    [alarm] = stack.client("cloudwatch").describe_alarms(AlarmNames=["spawn-undelivered-notices"])["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": "spawn-undelivered-notices"}] and alarm["AlarmActions"]
    assert len(hook.told) == 1, "what is refused for good is not tried again"
    hook.status = 200
    again = {"pk": notice["pk"], "sk": notice["sk"]}
    for _ in range(2):
        started = stack.states.start_execution(stateMachineArn=stack.machine("spawn-notify"), input=json.dumps(again))
        assert stack.wait(started["executionArn"])["status"] == "SUCCEEDED"
    assert len(hook.told) == 2
    queues.delete_message(QueueUrl=url, ReceiptHandle=kept["ReceiptHandle"])
