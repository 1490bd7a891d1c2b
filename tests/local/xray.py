"""X-Ray for the local stack: the daemon's UDP port that Lambda has beside each function, the segments that Step Functions and
Lambda write themselves, and the calls that read traces.

MiniStack has no X-Ray; it gives each invocation of a function a trace of its own. Here an execution begins a trace, and the
executions and functions that it starts belong to it (AWS Step Functions Developer Guide, "Trace Step Functions request data in AWS
X-Ray").
"""

import contextvars
import json
import re
import secrets
import socket
import threading
import time

# Requests of X-Ray are told by the service that they are signed for.
TARGET = "XRay_REST."
HEADER = b'{"format": "json", "version": 1}\n'
# The trace of the execution under way, and its own segment.
CURRENT = contextvars.ContextVar("trace", default=None)
TRACES_MAX = 2_000
# Of one answer (API reference, BatchGetTraces).
ASKED_MAX = 5

lock = threading.Lock()
traces = {}


def new_id():
    return secrets.token_hex(8)


def keep(segment):
    with lock:
        traces.setdefault(segment["trace_id"], []).append(segment)
        while len(traces) > TRACES_MAX:
            del traces[next(iter(traces))]


def listen():
    """Starts the daemon's port, and answers its address as Lambda tells it to functions."""
    port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    port.bind(("127.0.0.1", 0))

    def take():
        while True:
            packet, _ = port.recvfrom(65_535)
            if packet.startswith(HEADER):
                try:
                    keep(json.loads(packet.removeprefix(HEADER)))
                except (ValueError, KeyError, TypeError) as error:
                    print(f"xray: a segment document that is none: {error}")

    threading.Thread(target=take, daemon=True).start()
    return "127.0.0.1:{}".format(port.getsockname()[1])


def follow():
    """Gives executions and the functions that they call their traces."""
    from ministack.services import lambda_svc, stepfunctions

    run_execution = stepfunctions._run_execution
    header_of = lambda_svc._xray_trace_id_for_invocation

    def run_traced(arn):
        execution = stepfunctions._executions[arn]
        above = CURRENT.get()
        root, parent = above or (f"1-{int(time.time()):08x}-{secrets.token_hex(12)}", None)
        own = new_id()
        CURRENT.set((root, own))
        began = time.time()
        try:
            run_execution(arn)
        finally:
            machine = execution["stateMachineArn"].rsplit(":", 1)[-1]
            segment = {"name": machine, "id": own, "trace_id": root, "start_time": began, "end_time": time.time()}
            keep({**segment, **({"parent_id": parent} if parent else {}), "aws": {"execution_arn": arn}})

    def header_in_trace(config, inbound=None):
        header = header_of(config, inbound)
        current = CURRENT.get()
        if not header or inbound:
            return header
        parts = dict(part.split("=", 1) for part in header.split(";"))
        own, parent = parts["Parent"], None
        root = parts["Root"]
        if current:
            root, parent = current
        segment = {"name": config["FunctionName"], "id": own, "trace_id": root, "start_time": time.time()}
        keep({**segment, **({"parent_id": parent} if parent else {}), "origin": "AWS::Lambda::Function"})
        return f"Root={root};Parent={own};Sampled=1"

    stepfunctions._run_execution = run_traced
    lambda_svc._xray_trace_id_for_invocation = header_in_trace


def annotations(segments):
    found = {}
    for segment in segments:
        for name, value in segment.get("annotations", {}).items():
            found.setdefault(name, []).append(value)
    return found


def matches(expression):
    """What a filter expression asks for. Of the language, what the guide uses: `annotation.NAME CONTAINS "TEXT"` and `=`."""
    read = re.fullmatch(r'\s*annotation[.\[](\w+)\]?\s*(CONTAINS|=)\s*"([^"]*)"\s*', expression or "")
    if expression and not read:
        raise ValueError(f"this stand-in of X-Ray does not understand {expression!r}")

    def holds(segments):
        if not read:
            return True
        values = annotations(segments).get(read[1], [])
        return any(read[3] in value if read[2] == "CONTAINS" else read[3] == value for value in values)

    return holds


def summaries(asked):
    holds = matches(asked.get("FilterExpression"))
    found = []
    for root, segments in traces.items():
        began = min(segment["start_time"] for segment in segments)
        if asked["StartTime"] <= began <= asked["EndTime"] and holds(segments):
            noted = {
                name: [{"AnnotationValue": {"StringValue": value}} for value in values]
                for name, values in annotations(segments).items()
            }
            found.append({"Id": root, "StartTime": began, "Annotations": noted, "IsPartial": False})
    return {"TraceSummaries": found, "TracesProcessedCount": len(traces)}


def documents(asked):
    ids = asked["TraceIds"]
    if len(ids) > ASKED_MAX:
        raise ValueError(f"at most {ASKED_MAX} traces at a time")
    shown = [
        {"Id": one, "Segments": [{"Id": segment["id"], "Document": json.dumps(segment)} for segment in traces[one]]}
        for one in ids
        if one in traces
    ]
    return {"Traces": shown, "UnprocessedTraceIds": [one for one in ids if one not in traces]}


CALLS = {"/TraceSummaries": summaries, "/Traces": documents}


async def handle(method, path, headers, body, query):
    """MiniStack's handler protocol."""
    kind = {"Content-Type": "application/json"}
    call = CALLS.get(path)
    if not call:
        return 404, kind, json.dumps({"Message": f"this stand-in of X-Ray has no {method} {path}"}).encode()
    try:
        with lock:
            return 200, kind, json.dumps(call(json.loads(body))).encode()
    except (KeyError, ValueError, TypeError) as error:
        return 400, {**kind, "x-amzn-errortype": "InvalidRequestException"}, json.dumps({"Message": str(error)}).encode()
