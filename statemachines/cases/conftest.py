"""The deployed template on a local stack, with a stand-in for each function that answers what a test has written down."""

import collections
import http.server
import io
import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import zipfile

import boto3
import botocore.config
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
ACCOUNT = "000000000000"
REGION = "us-east-1"
SWEEP = "demo-20260101-abc123"
# A stand-in answers at once; what takes so long hangs.
PATIENCE_S = 60


class Error:
    """A function's error."""

    def __init__(self, kind, message="words"):
        self.body = {"errorType": kind, "errorMessage": message}


DIE = object()


class Script:
    """What functions answer, by function or `function/kind`: a value, an error, a list of them whose last one stays, or a
    callable that is given the event. And what they were asked."""

    def __init__(self, states):
        self.states = states
        self.lock = threading.Lock()
        self.asked = collections.defaultdict(list)
        self.answers = {
            "plan-sweep": plan(),
            "launch-batch": step("done"),
            "track-instances/register": self.wake,
            "track-instances/Records": {"batchItemFailures": []},
            "track-instances/reconcile": {},
            "track-instances/overdue": {"overdue": True, "wait_s": 0},
            "idle-reaper/drain": {"known": False, "sweep_id": None, "lanes": []},
            "idle-reaper/reap_lane": {"live": 0, "wait_s": 0},
            "idle-reaper/places": {"places": []},
            "idle-reaper/reap_place": {"instances": 0},
            "collect-results": outcome("completed"),
            "describe-sweeps/status": {"sweep_id": SWEEP, "status": "running"},
            "describe-sweeps/list": {"sweeps": []},
            "control/check": {"sweep_id": SWEEP, "way": "places", "places": ["us-east-1.on-demand"], "reason": "by hand"},
            "control/act": {"settled": True, "wait_s": 0, "outcomes": []},
            "notify/look": {"notified": []},
            "notify/deliver": {"target": "somebody", "subject": "something"},
            "control/note": {"sweep_id": SWEEP, "outcome": []},
            "cost-guard/check": {"checked": 0, "failed": 0, "decisions": []},
            "cost-guard/refresh_prices": {"renewed": 0, "problems": []},
        }

    def __setitem__(self, function, answer):
        self.answers[function] = answer

    def answer(self, function, event):
        if function in ("track-instances", "idle-reaper", "describe-sweeps", "control", "notify", "cost-guard"):
            function = f"{function}/{next(iter(event))}"
        with self.lock:
            self.asked[function].append(event)
            answer = self.answers[function]
            if isinstance(answer, list):
                answer = answer.pop(0) if len(answer) > 1 else answer[0]
        if callable(answer):
            answer = answer(event)
        if answer is DIE:
            return "die", None
        return ("error", answer.body) if isinstance(answer, Error) else ("response", answer)

    def wake(self, event):
        """Registers, and answers the token a moment later."""
        return self.wake_with(event, {})

    def wake_with(self, event, output):
        token, output = event["register"]["task_token"], json.dumps(output)
        threading.Timer(0.3, lambda: self.states.send_task_success(taskToken=token, output=output)).start()
        return {}


def plan(**changes):
    return {
        "sweep_id": SWEEP,
        "sweep_name": "demo",
        "dry_run": False,
        "members": 2,
        "lanes": ["us-east-1.on-demand"],
        "timeout_s": 3600,
        "manifest": "s3://bucket/plan.json",
    } | changes


def step(following, wait_s=0):
    return {"next": following, "wait_s": wait_s, "launched": 1, "remaining": 0}


def outcome(status, **changes):
    return {"sweep_id": SWEEP, "status": status, "counts": {"completed": 2}, "cost_usd": None, "reasons": []} | changes


def known(*lanes):
    return {"known": True, "sweep_id": SWEEP, "lanes": list(lanes)}


class Stack:
    """The gateway, the template on it, and a way to run its machines."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.log = open(folder / "gateway.log", "wb")
        # No machine calls EC2, so nobody listens there.
        command = [sys.executable, ROOT / "tests/local/launcher.py", "--port", str(port), "--ec2", "http://127.0.0.1:9"]
        self.gateway = subprocess.Popen(command, stdout=self.log, stderr=self.log)
        until(lambda: self.gateway.poll() is not None or listens(port), "the gateway listens")
        self.states = self.client("stepfunctions")
        self.script = Script(self.states)
        self.functions = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self.handler())
        threading.Thread(target=self.functions.serve_forever, daemon=True).start()
        self.deploy()

    def client(self, service, **more):
        return boto3.client(
            service,
            **more,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    def handler(self):
        stack = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                try:
                    answer = stack.script.answer(self.path[1:], event)
                except Exception as error:
                    answer = "error", Error("Spawn.Bug", f"the test has no answer: {error!r}").body
                body = json.dumps(answer).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        return Handler

    def deploy(self):
        """What `sam deploy` does, with stand-ins for the functions' code."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket="artifacts")

        def upload(path):
            name = path.split("/")[-1]
            if path.endswith(".asl.json"):
                s3.put_object(Bucket="artifacts", Key=name, Body=(ROOT / "infra" / path).resolve().read_bytes())
                return f"s3://artifacts/{name}"
            code = io.BytesIO()
            with zipfile.ZipFile(code, "w") as archive:
                entry = zipfile.ZipInfo("bootstrap")
                entry.external_attr = 0o755 << 16
                here = pathlib.Path(__file__).parent
                test = f"http://127.0.0.1:{self.functions.server_address[1]}"
                archive.writestr(entry, f"#!/bin/sh\nexec '{sys.executable}' '{here}/stand_in.py' {name} {test}\n")
            s3.put_object(Bucket="artifacts", Key=f"{name}.zip", Body=code.getvalue())
            return f"s3://artifacts/{name}.zip"

        template = (ROOT / "infra/template.yaml").read_text()
        local = re.compile(r"^( +(?:CodeUri|DefinitionUri): )(\.\..+)$", re.M)
        s3.put_object(Bucket="artifacts", Key="template.yaml", Body=local.sub(lambda m: m[1] + upload(m[2]), template))
        formation = self.client("cloudformation")
        formation.create_stack(
            StackName="spawn",
            TemplateURL=f"{self.url}/artifacts/template.yaml",
            Parameters=[
                {"ParameterKey": "Architecture", "ParameterValue": "x86_64"},
                {"ParameterKey": "Ec2EventSource", "ParameterValue": "spawn.ec2-sim"},
            ],
            Capabilities=["CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
        )
        look = lambda: formation.describe_stacks(StackName="spawn")["Stacks"][0]
        until(lambda: not look()["StackStatus"].endswith("IN_PROGRESS"), "the stack is made")
        made = look()
        assert made["StackStatus"] == "CREATE_COMPLETE", formation.describe_stack_events(StackName="spawn")["StackEvents"]
        self.outputs = {output["OutputKey"]: output["OutputValue"] for output in made["Outputs"]}

    def machine(self, name):
        return f"arn:aws:states:{REGION}:{ACCOUNT}:stateMachine:spawn-{name}"

    def run(self, machine, given=None, stop_when=None):
        """Runs a machine to its end. `output` is read; `entered` are the names of the states that were entered."""
        started = self.states.start_execution(stateMachineArn=self.machine(machine), input=json.dumps(given or {"name": "demo"}))
        arn = started["executionArn"]
        if stop_when:
            until(stop_when, "the execution is where it is to be stopped")
            self.states.stop_execution(executionArn=arn, error="Changed", cause="my mind")
        until(lambda: self.has_ended(arn), f"{machine} ends")
        ended = self.states.describe_execution(executionArn=arn)
        if ended["status"] == "SUCCEEDED":
            ended["output"] = json.loads(ended["output"])
        return ended

    def ask(self, machine, given):
        """Runs an Express machine to its end, as its answer. The SDK would ask a host of its own, `sync-...`."""
        client = self.client("stepfunctions", config=botocore.config.Config(inject_host_prefix=False))
        ended = client.start_sync_execution(stateMachineArn=self.machine(machine), input=json.dumps(given))
        if ended["status"] == "SUCCEEDED":
            ended["output"] = json.loads(ended["output"])
        return ended

    def has_ended(self, execution_arn):
        return self.states.describe_execution(executionArn=execution_arn)["status"] != "RUNNING"

    def executions(self, machine):
        return self.states.list_executions(stateMachineArn=self.machine(machine), maxResults=1000)["executions"]

    def change(self, machine, old, new):
        """Changes a definition, to see in seconds what takes hours; answers how to change it back."""
        arn = self.machine(machine)
        whole = self.states.describe_state_machine(stateMachineArn=arn)["definition"]
        assert old in whole
        self.states.update_state_machine(stateMachineArn=arn, definition=whole.replace(old, new))
        return lambda: self.states.update_state_machine(stateMachineArn=arn, definition=whole)

    def close(self):
        self.functions.shutdown()
        self.gateway.terminate()
        try:
            self.gateway.wait(10)
        except subprocess.TimeoutExpired:
            self.gateway.kill()
        self.log.close()


def listens(port):
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def until(condition, what, seconds=PATIENCE_S):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"after {seconds} s it is not so that {what}"
        time.sleep(0.1)


@pytest.fixture(scope="session")
def whole_stack(tmp_path_factory):
    stack = Stack(tmp_path_factory.mktemp("stack"))
    yield stack
    stack.close()


@pytest.fixture
def stack(whole_stack):
    """The stack with a new script, so that nothing of one test answers another."""
    whole_stack.script = Script(whole_stack.states)
    yield whole_stack
    # A failed or stopped sweep starts a drain by rule: it belongs to this test.
    until(lambda: all(e["status"] != "RUNNING" for e in whole_stack.executions("drain")), "all drains have ended")


@pytest.fixture
def changed(stack):
    """`stack.change`, undone at the end."""
    undo = []
    yield lambda *change: undo.append(stack.change(*change))
    for one in undo:
        one()
