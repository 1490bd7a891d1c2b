"""Simulators and a gateway for the contract tests."""

import http.server
import json
import os
import subprocess
import tempfile
import threading
import time
import unittest
import urllib.error
import urllib.request

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BINARY = os.environ["EC2_SIM"]
HOME = "us-east-1"
FIXED_IMAGE = "ami-0c2023a1b2c3d4e5f"
FAST = ["--pending-ms", "30", "--shutdown-ms", "30", "--launch-ms", "0"]
PATIENCE_S = 20


class Gateway:
    """Takes PutEvents and the two DynamoDB calls of hollow mode."""

    def __init__(self):
        gateway = self
        self.events, self.rows, self.batch_sizes = [], {}, []
        self.fail_next = 0

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                status, answer = gateway.answer(self.headers["X-Amz-Target"], body, self.headers["Authorization"])
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def answer(self, target, body, authorization):
        assert f"/{HOME}/" in authorization, authorization
        if self.fail_next > 0:
            self.fail_next -= 1
            return 500, {}
        if target == "AWSEvents.PutEvents":
            assert 1 <= len(body["Entries"]) <= 10
            self.batch_sizes.append(len(body["Entries"]))
            self.events.extend(body["Entries"])
            return 200, {"FailedEntryCount": 0, "Entries": [{"EventId": "x"} for _ in body["Entries"]]}
        if target == "DynamoDB_20120810.BatchGetItem":
            ((table, wanted),) = body["RequestItems"].items()
            assert len(wanted["Keys"]) <= 100
            found = [{"pk": key["pk"]} for key in wanted["Keys"] if key["pk"]["S"] in self.rows]
            return 200, {"Responses": {table: found}, "UnprocessedKeys": {}}
        if target == "DynamoDB_20120810.UpdateItem":
            self.rows[body["Key"]["pk"]["S"]] = body["ExpressionAttributeValues"]
            return 200, {}
        return 400, {"__type": target}

    def states(self, instance_id, source="spawn.ec2-sim"):
        details = [json.loads(event["Detail"]) for event in self.events if event["Source"] == source]
        return [one["state"] for one in details if one.get("instance-id") == instance_id and "state" in one]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Simulator:
    def __init__(self, *arguments):
        self.process = subprocess.Popen([BINARY, "--port", "0", *arguments], stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        prefix = "ec2-sim listening on "
        assert line.startswith(prefix), line
        self.url = line[len(prefix) :].strip()

    def client(self, region=HOME, account="test", **config):
        return boto3.client(
            "ec2",
            region_name=region,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="test",
            config=Config(retries={"total_max_attempts": 1}, **config),
        )

    def control(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        method = method or ("GET" if body is None else "POST")
        request = urllib.request.Request(f"{self.url}/_sim/{path}", data=data, method=method)
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)

    def fault(self, **fault):
        return self.control("faults", fault)["id"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(timeout=PATIENCE_S)
        self.process.stdout.close()


def until(condition, what="condition"):
    """Waits for a condition; a simulator is fast, so this polls often and gives up loudly."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"{what} did not come true in {PATIENCE_S} s")


def ids_of(answer):
    return [one["InstanceId"] for one in answer["Instances"]]


def described(ec2, **query):
    pages = ec2.get_paginator("describe_instances").paginate(**query)
    return [one for page in pages for group in page["Reservations"] for one in group["Instances"]]


def state(ec2, instance_id):
    return described(ec2, InstanceIds=[instance_id])[0]["State"]["Name"]


def wait_state(ec2, instance_id, wanted):
    until(lambda: state(ec2, instance_id) == wanted, f"{instance_id} {wanted}")


class Case(unittest.TestCase):
    arguments = [*FAST, "--no-throttling"]

    @classmethod
    def setUpClass(cls):
        cls.gateway = Gateway()
        cls.work = tempfile.TemporaryDirectory()
        cls.sim = Simulator("--gateway", cls.gateway.url, "--work-dir", cls.work.name, *cls.arguments)
        cls.ec2 = cls.sim.client()

    @classmethod
    def tearDownClass(cls):
        cls.sim.stop()
        cls.gateway.close()
        cls.work.cleanup()

    def setUp(self):
        self.sim.control("reset", {})
        self.gateway.events.clear()
        self.gateway.rows.clear()

    def run_one(self, ec2=None, **more):
        request = {"ImageId": FIXED_IMAGE, "InstanceType": "t3.micro", "MinCount": 1, "MaxCount": 1, **more}
        return (ec2 or self.ec2).run_instances(**request)

    def refused(self, code, call, *arguments, status=400, **more):
        with self.assertRaises(ClientError) as caught:
            call(*arguments, **more)
        error = caught.exception.response
        self.assertEqual(error["Error"]["Code"], code, error["Error"]["Message"])
        self.assertEqual(error["ResponseMetadata"]["HTTPStatusCode"], status)
        self.assertTrue(error["ResponseMetadata"]["RequestId"])
        return error["Error"]["Message"]
