"""Where the pinned MiniStack differs from AWS in what our state machines rely on.

Each correction names what AWS does. They reach into MiniStack's insides, which is only sound because its version is pinned;
a name that is gone stops the gateway at its start.
"""

import json
import re
import select
import socketserver
import threading
import time
import uuid

import other_accounts

JSONATA = ("{%", "%}")
# Amazon Route 53 Developer Guide, "Quotas".
RECORDS_OF_A_ZONE_MAX = 10_000


def apply():
    send_answers_at_once()
    evaluate_timeouts()
    fail_waiting_tasks_whose_call_failed()
    answer_repeated_starts()
    keep_every_line_of_functions()
    make_metrics_of_logs()
    tell_metrics_without_dimensions_apart()
    tell_functions_who_calls_their_url()
    other_accounts.apply()
    tell_limits_of_hosted_zones()
    keep_query_definitions()
    run_insights_queries()
    understand_filter_patterns()
    read_secrets_by_reference()


def send_answers_at_once():
    """Functions fetch their work from small HTTP servers that send headers and body separately. With Nagle's algorithm each
    answer waits for a delayed acknowledgement: 40 ms for every invocation."""
    socketserver.StreamRequestHandler.disable_nagle_algorithm = True


def evaluate_timeouts():
    """TimeoutSeconds of a Task may be a JSONata expression (Step Functions Developer Guide, "Task workflow state").
    MiniStack compares its text with a number."""
    from ministack.services import stepfunctions

    execute_task = stepfunctions._execute_task
    evaluate = stepfunctions._jsonata_state_field

    def execute_with_evaluated_timeout(state, raw_input, execution, context):
        timeout = state.get("TimeoutSeconds")
        if isinstance(timeout, str) and timeout.startswith(JSONATA[0]) and timeout.endswith(JSONATA[1]):
            state = {**state, "TimeoutSeconds": evaluate(state, "TimeoutSeconds", "number", raw_input, context)}
        return execute_task(state, raw_input, execution, context)

    stepfunctions._execute_task = execute_with_evaluated_timeout


def fail_waiting_tasks_whose_call_failed():
    """A `lambda:invoke.waitForTaskToken` whose function fails is a failed task, with its Retry and Catch. MiniStack forgets
    the error and waits for a token that nobody has."""
    from ministack.services import stepfunctions

    invoke_with_callback = stepfunctions._invoke_with_callback
    call_lambda = stepfunctions._call_lambda
    waiting = threading.local()

    class CallFailed(Exception):
        """Carries the error past MiniStack's own handler."""

    def call_and_tell(function, event):
        try:
            return call_lambda(function, event)
        except stepfunctions._ExecutionError as error:
            if getattr(waiting, "for_token", False):
                raise CallFailed(error) from error
            raise

    def invoke_or_fail(resource, input_data, token, state):
        waiting.for_token = True
        try:
            return invoke_with_callback(resource, input_data, token, state)
        except CallFailed as failure:
            stepfunctions._task_tokens.pop(token, None)
            raise failure.args[0] from None
        finally:
            waiting.for_token = False

    stepfunctions._call_lambda = call_and_tell
    stepfunctions._invoke_with_callback = invoke_or_fail


def answer_repeated_starts():
    """A start with the name and the input of a running execution answers with that execution (Step Functions API Reference,
    StartExecution). MiniStack refuses every name that was used."""
    from ministack.services import stepfunctions

    start = stepfunctions._start_execution

    def start_or_find(request):
        answer = start(request)
        if answer[0] == 200 or json.loads(answer[2]).get("__type") != "ExecutionAlreadyExists":
            return answer
        machine = stepfunctions._resolve_state_machine_arn(request["stateMachineArn"])
        there = stepfunctions._executions.get(f"{machine.replace(':stateMachine:', ':execution:')}:{request.get('name')}")
        if there is None or there["status"] != "RUNNING" or there["input"] != request.get("input", "{}"):
            return answer
        return stepfunctions.json_response({"executionArn": there["executionArn"], "startDate": there["startDate"]})

    stepfunctions._start_execution = start_or_find


def keep_every_line_of_functions():
    """Whatever a function has written before it answers is in its log. MiniStack takes a pause of 5 ms for the end of the lines: on a
    busy machine those that come later are told with the next invocation, or never."""
    from ministack.core.lambda_runtime import ProvidedWorker

    bounded = ProvidedWorker._drain_stderr_bounded

    def patient(self, *arguments, **named):
        log = [bounded(self, *arguments, **named)]
        pipe = getattr(self._proc, "stdout", None)
        deadline = time.monotonic() + 2
        quiet_since = time.monotonic()
        # What is in the pipe was written before the answer; what was read from it is put into the queue by another thread.
        while time.monotonic() < min(deadline, quiet_since + 0.01):
            if not self._stderr_queue.empty() or is_readable(pipe):
                quiet_since = time.monotonic()
                log.append(self._drain_stderr())
            time.sleep(0.001)
        return "\n".join(text for text in log if text)

    ProvidedWorker._drain_stderr_bounded = patient


def is_readable(pipe):
    """Whether a pipe has something to read; one that is closed has not."""
    try:
        return bool(pipe) and bool(select.select([pipe], [], [], 0)[0])
    except (OSError, ValueError):
        return False


def make_metrics_of_logs():
    """CloudWatch Logs makes metrics of lines in the embedded metric format (Amazon CloudWatch User Guide, "Specification:
    Embedded metric format"). MiniStack keeps them as text."""
    from ministack.services import cloudwatch, cloudwatch_logs

    append = cloudwatch_logs._append_log_events
    store = cloudwatch._store_datum

    def append_and_measure(stream, events):
        append(stream, events)
        for event in events:
            for datum in embedded_metrics(event["message"]):
                store(*datum)

    cloudwatch_logs._append_log_events = append_and_measure


def embedded_metrics(message):
    """The arguments of `_store_datum` for each metric of a line; none for any other line."""
    if not message.startswith('{"_aws"'):
        return
    line = json.loads(message)
    seconds = line["_aws"]["Timestamp"] / 1000
    for directive in line["_aws"]["CloudWatchMetrics"]:
        for names in directive["Dimensions"]:
            dimensions = {name: line[name] for name in names}
            for metric in directive["Metrics"]:
                value = line[metric["Name"]]
                values = value if isinstance(value, list) else None
                single = None if values else value
                unit = metric.get("Unit", "None")
                yield directive["Namespace"], metric["Name"], dimensions, seconds, unit, single, values, None, None


def tell_metrics_without_dimensions_apart():
    """A request without dimensions means the metric that has none (Amazon CloudWatch API Reference, GetMetricStatistics:
    combinations that were not published cannot be retrieved). MiniStack adds up all there are of that name."""
    from ministack.services import cloudwatch

    dimensions_of = cloudwatch._dims_from_list

    class Exactly(dict):
        """MiniStack asks for truth when it means presence."""

        def __bool__(self):
            return True

    cloudwatch._dims_from_list = lambda dimensions: Exactly(dimensions_of(dimensions))


def tell_functions_who_calls_their_url():
    """A function's URL with IAM authorisation tells the function who has signed the request (AWS Lambda Developer Guide,
    "Invoking Lambda function URLs"). MiniStack leaves it out."""
    from ministack.services import lambda_svc, sts

    build = lambda_svc._build_function_url_event

    def build_with_caller(url_id, account_id, region, method, path, headers, *rest, **named):
        event = build(url_id, account_id, region, method, path, headers, *rest, **named)
        if headers.get("authorization", "").startswith("AWS4-HMAC-SHA256"):
            caller = sts._caller_identity(headers)
            event["requestContext"]["authorizer"] = {
                "iam": {
                    "accessKey": caller["accessKey"],
                    "accountId": caller["accountId"],
                    "callerId": caller["userId"],
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": caller["userArn"],
                    "userId": caller["userId"],
                }
            }
        return event

    lambda_svc._build_function_url_event = build_with_caller


def tell_limits_of_hosted_zones():
    """GetHostedZoneLimit (Amazon Route 53 API Reference). MiniStack does not know it."""
    from ministack import app
    from ministack.services import route53

    handle = app.SERVICE_HANDLERS["route53"]
    path_of_limit = re.compile(r"/2013-04-01/hostedzonelimit/(\w+)/MAX_RRSETS_BY_ZONE")

    async def handle_with_limits(method, path, headers, body, query):
        asked = path_of_limit.fullmatch(path)
        if not asked or asked[1] not in route53._zones:
            return await handle(method, path, headers, body, query)
        answer = (
            '<GetHostedZoneLimitResponse xmlns="https://route53.amazonaws.com/doc/2013-04-01/">'
            f"<Limit><Type>MAX_RRSETS_BY_ZONE</Type><Value>{RECORDS_OF_A_ZONE_MAX}</Value></Limit>"
            f"<Count>{len(route53._records[asked[1]])}</Count></GetHostedZoneLimitResponse>"
        )
        return 200, {"Content-Type": "text/xml"}, answer.encode()

    app.SERVICE_HANDLERS["route53"] = handle_with_limits


def read_secrets_by_reference():
    """A parameter's name that begins with a reference is a secret of Secrets Manager, which wants decryption (AWS Systems Manager
    User Guide, "Referencing AWS Secrets Manager secrets from Parameter Store parameters"). MiniStack knows no references."""
    from ministack.services import secretsmanager, ssm

    get_parameter = ssm._get_parameter
    reference = "/aws/reference/secretsmanager/"

    def get_parameter_or_secret(data):
        name = data.get("Name") or ""
        if not name.startswith(reference):
            return get_parameter(data)
        if not data.get("WithDecryption"):
            text = "WithDecryption flag must be True for retrieving a Secret Manager secret."
            return ssm.error_response_json("ValidationException", text, 400)
        status, _, body = secretsmanager._get_secret_value({"SecretId": name.removeprefix(reference)})
        secret = json.loads(body)
        if status != 200:
            text = f"An error occurred ({secret.get('__type')}) when referencing Secrets Manager: {secret.get('message')}"
            return ssm.error_response_json("ParameterNotFound", text, 400)
        parameter = {
            "Name": name,
            "Type": "SecureString",
            "Value": secret["SecretString"],
            "Version": 0,
            "SourceResult": json.dumps(secret),
            "LastModifiedDate": secret["CreatedDate"],
            "ARN": secret["ARN"],
        }
        return ssm.json_response({"Parameter": parameter})

    ssm._get_parameter = get_parameter_or_secret


def understand_filter_patterns():
    """FilterLogEvents knows patterns of words and of JSON. MiniStack knows terms."""
    import filter_patterns
    from ministack.services import cloudwatch_logs

    compile_terms = cloudwatch_logs._compile_filter_pattern
    cloudwatch_logs._compile_filter_pattern = lambda raw: filter_patterns.matcher(raw) or compile_terms(raw)


def run_insights_queries():
    """CloudWatch Logs Insights has a query language. MiniStack knows little of it and passes over the rest."""
    import insights
    from ministack.core.responses import error_response_json
    from ministack.services import cloudwatch_logs

    start = cloudwatch_logs._start_query

    def start_and_run(data):
        groups = cloudwatch_logs._resolve_query_log_groups(data)
        records = cloudwatch_logs._collect_query_records(groups, data.get("startTime", 0), data.get("endTime", 0))
        try:
            results, matched = insights.run(data.get("queryString", ""), records)
        except insights.Malformed as error:
            return error_response_json("MalformedQueryException", str(error), 400)
        answer = start(data)
        if answer[0] == 200:
            query = cloudwatch_logs._queries[json.loads(answer[2])["queryId"]]
            query["results"] = results[: data.get("limit", insights.ROWS_MAX)]
            query["statistics"]["recordsMatched"] = float(matched)
        return answer

    cloudwatch_logs._start_query = start_and_run


def keep_query_definitions():
    """CloudFormation makes saved queries of Logs Insights, which DescribeQueryDefinitions lists. MiniStack knows neither."""
    from ministack.services import cloudwatch_logs
    from ministack.services.cloudformation import provisioners

    definitions = {}

    def create(_logical_id, properties, _stack):
        identity = str(uuid.uuid4())
        definitions[identity] = properties
        return identity, {"QueryDefinitionId": identity}

    def update(identity, _old, properties, _stack):
        definitions[identity] = properties
        return identity, {"QueryDefinitionId": identity}

    def delete(identity, _properties):
        definitions.pop(identity, None)

    provisioners._RESOURCE_HANDLERS["AWS::Logs::QueryDefinition"] = {"create": create, "update": update, "delete": delete}
    handle = cloudwatch_logs.handle_request

    async def handle_with_definitions(method, path, headers, body, query):
        if not headers.get("x-amz-target", "").endswith(".DescribeQueryDefinitions"):
            return await handle(method, path, headers, body, query)
        prefix = json.loads(body or b"{}").get("queryDefinitionNamePrefix", "")
        found = [
            {
                "queryDefinitionId": identity,
                "name": kept["Name"],
                "queryString": kept["QueryString"],
                "logGroupNames": kept.get("LogGroupNames", []),
            }
            for identity, kept in definitions.items()
            if kept["Name"].startswith(prefix)
        ]
        content = json.dumps({"queryDefinitions": sorted(found, key=lambda query: query["name"])}).encode()
        return 200, {"Content-Type": "application/x-amz-json-1.1"}, content

    cloudwatch_logs.handle_request = handle_with_definitions
