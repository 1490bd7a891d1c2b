"""What the common linters do not see: in the state machines waits without an end, errors that nobody catches, variables that
some path does not assign; in the template permissions that no function uses, and calls that nobody would miss when they fail.
"""

import json
import pathlib
import re
import sys

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Error types of spawn's functions are read from the source; these are the services' own.
SERVICE_ERRORS = re.compile(r"^(States|Lambda|Sandbox|Runtime|SNS|SQS|StepFunctions|CostExplorer|CloudWatchLogs|CloudWatch)\.\w+$|^ExecutionAlreadyExists$")
# An inline Map runs at most so many iterations at a time, and a state's name has at most so many characters (AWS Step
# Functions Developer Guide, "Service quotas" and "Map state processing modes").
MAP_CONCURRENCY_MAX = 40
STATE_NAME_CHARS_MAX = 80


# ---- State machines -------------------------------------------------------------------------------------------------------


def function_errors():
    """The names that `FunctionError::error_type` answers."""
    source = (ROOT / "shared/core/src/errors.rs").read_text()
    return set(re.findall(r'Self::\w+\(_\) => "([\w.]+)"', source))


def expressions(value):
    """Every JSONata expression in a part of a state."""
    if isinstance(value, str):
        yield from re.findall(r"\{%(.*?)%\}", value, re.S)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def variables_of(part):
    """The variables that a part of a state reads, without those that an expression makes for itself."""
    read = set()
    for expression in expressions(part):
        text = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", expression)
        own = set(re.findall(r"\$(\w+)\s*:=", text))
        read |= set(re.findall(r"\$([A-Za-z_]\w*)(?!\w*\()", text)) - own - {"states"}
    return read


def exits(state):
    """Where a state leads, and what it has assigned on that way."""
    own = set(state.get("Assign", {}))
    if "Next" in state:
        yield state["Next"], own
    if "Default" in state:
        yield state["Default"], own
    for way in [*state.get("Choices", []), *state.get("Catch", [])]:
        yield way["Next"], set(way.get("Assign", {}))


class Machine:
    """One machine under examination."""

    def __init__(self, path, errors, time_limits):
        self.errors = errors
        self.time_limits = time_limits
        self.faults = []
        self.handled = set()
        self.text = path.read_text()
        self.states = 0
        machine = json.loads(self.text)
        if machine.get("QueryLanguage") != "JSONata":
            self.fault("the machine", "its QueryLanguage is not JSONata")
        if not machine.get("Comment"):
            self.fault("the machine", "it has no Comment")
        self.scope(machine, set(), False)

    def fault(self, where, text):
        self.faults.append(f"{where}: {text}")

    def scope(self, machine, outer, caught):
        """Checks the states of a machine or of a Map's processor. `outer` is assigned when it is entered; `caught` says
        that whatever fails inside is caught outside."""
        before = {machine["StartAt"]: outer}
        waiting = [machine["StartAt"]]
        while waiting:
            name = waiting.pop()
            for following, assigned in exits(machine["States"][name]):
                known = before[name] | assigned
                # What is assigned on every path, not on some.
                merged = known & before[following] if following in before else known
                if before.get(following) != merged:
                    before[following] = merged
                    waiting.append(following)
        for name, state in machine["States"].items():
            self.states += 1
            if name in before:
                self.state(name, state, before[name], outer, caught)
            else:
                self.fault(name, "no state leads to it")

    def state(self, name, state, known, outer, caught):
        if not state.get("Comment"):
            self.fault(name, "no Comment says why it exists")
        if len(name) > STATE_NAME_CHARS_MAX:
            self.fault(name, f"its name is longer than {STATE_NAME_CHARS_MAX} characters")
        for variable in sorted(variables_of({k: v for k, v in state.items() if k != "ItemProcessor"}) - known):
            self.fault(name, f"${variable} is not assigned on every path to it")
        ways = [state, *state.get("Choices", []), *state.get("Catch", [])]
        for variable in sorted(set().union(*(way.get("Assign", {}) for way in ways)) & outer):
            self.fault(name, f"assigns ${variable}, which belongs to the machine around it")
        for catch in state.get("Catch", []):
            words = catch.get("Assign", {}).get("failedState", name)
            if words != name:
                self.fault(name, f"tells the failure as that of `{words}`")
        for handler in [*state.get("Retry", []), *state.get("Catch", [])]:
            self.handled |= set(handler["ErrorEquals"])
            for error in handler["ErrorEquals"]:
                if error not in self.errors and not SERVICE_ERRORS.match(error):
                    self.fault(name, f"`{error}` is no error of a function or a service")
        for choice in state.get("Choices", []):
            for error in re.findall(r"\.error = '([\w.]+)'", choice.get("Condition", "")):
                self.handled.add(error)
                if error not in self.errors:
                    self.fault(name, f"`{error}` is no error of a function")
        catches_all = any("States.ALL" in catch["ErrorEquals"] for catch in state.get("Catch", []))
        if state["Type"] in ("Task", "Map") and not (catches_all or caught):
            self.fault(name, "an error of it is caught nowhere")
        if state["Type"] == "Task":
            self.task(name, state)
        if state["Type"] == "Map":
            if not 0 < state.get("MaxConcurrency", 0) <= MAP_CONCURRENCY_MAX:
                self.fault(name, f"MaxConcurrency is not 1 to {MAP_CONCURRENCY_MAX}, what an inline Map can do")
            self.scope(state["ItemProcessor"], known, catches_all or caught)

    def task(self, name, state):
        limit = state.get("TimeoutSeconds")
        if limit is None:
            self.fault(name, "a task without TimeoutSeconds can wait for ever")
        if not state.get("Retry"):
            self.fault(name, "a task without Retry gives up at the first hiccup")
        for retry in state.get("Retry", []):
            if "States.ALL" in retry["ErrorEquals"] or "States.TaskFailed" in retry["ErrorEquals"]:
                self.fault(name, "retries everything: name the errors that another try can cure")
            if retry.get("JitterStrategy") != "FULL" or "MaxDelaySeconds" not in retry:
                self.fault(name, "a retry without MaxDelaySeconds and JitterStrategy FULL comes back in step with others")
        for literal in re.findall(r'"(arn:[^"]*)"', json.dumps(state)):
            if literal != state["Resource"]:
                self.fault(name, f"`{literal}` is written out: let the template substitute it")
        function = re.match(r"\$\{(\w+)\}$", str(state["Arguments"].get("FunctionName", "")))
        if function and state["Resource"].endswith(":invoke"):
            least = self.time_limits.get(function[1], 0)
            if not isinstance(limit, int) or limit <= least:
                self.fault(name, f"TimeoutSeconds ends the wait before the function's own limit of {least} s")


# ---- Template -------------------------------------------------------------------------------------------------------------


class Intrinsic(str):
    """A value that CloudFormation fills in, as its text."""


class Loader(yaml.SafeLoader):
    pass


def intrinsic(loader, suffix, node):
    if suffix == "If":
        # Both sides count: what a parameter can allow is allowed.
        condition, *sides = loader.construct_sequence(node, deep=True)
        return next((side for side in sides if not isinstance(side, Intrinsic)), sides[0])
    if isinstance(node, yaml.ScalarNode):
        return Intrinsic(f"!{suffix} {node.value}")
    return Intrinsic(f"!{suffix} {loader.construct_sequence(node, deep=True)}")


Loader.add_multi_constructor("!", intrinsic)

# Actions that know no resources (Service Authorization Reference).
WITHOUT_RESOURCE = re.compile(r"ec2:Describe\w+|sts:DecodeAuthorizationMessage|dynamodb:ListStreams|pricing:GetProducts|ce:GetCostAndUsage|servicequotas:(GetServiceQuota|ListAWSDefaultServiceQuotas)|cloudwatch:(PutMetricData|GetMetricStatistics|GetMetricData)|xray:\w+|logs:\w+(LogDeliver(y|ies)|ResourcePolic(y|ies)|LogGroups)|states:SendTaskSuccess")
# What a function's code calls, by what it says in its source. A port's method is one call.
CALLS = {
    r"\.launch\(&request": {"ec2:RunInstances", "ec2:CreateFleet", "sts:DecodeAuthorizationMessage"},
    r"\.ensure_template\(": {"ec2:CreateLaunchTemplate", "ec2:CreatePlacementGroup"},
    r"\.launched_by\(": {"ec2:DescribeInstances"},
    r"\bec2\.list\(|track::reconcile\(": {"ec2:DescribeInstances"},
    r"ec2\.of\(|track::reconcile\(": {"sts:AssumeRole"},
    r"\.terminate\(": {"ec2:TerminateInstances"},
    r"\.(stop|hibernate)\(": {"ec2:StopInstances"},
    r"\.(managed|shown)\(": {"ec2:DescribeInstances"},
    r"\.mark\(": {"ec2:CreateTags"},
    r"\.impaired\(": {"ec2:DescribeInstanceStatus"},
    r"\.usage\(": {"cloudwatch:GetMetricData"},
    r"\.find_instances\(": {"ec2:DescribeInstances"},
    r"\.change_records\(": {"route53:ChangeResourceRecordSets"},
    r"\.list_records\(": {"route53:ListResourceRecordSets"},
    r"\.zone\(": {"route53:GetHostedZone", "route53:GetHostedZoneLimit"},
    r"\.start\(": {"ec2:StartInstances"},
    r"\.unprotect\(": {"ec2:CreateTags"},
    r"\.delete_template\(": {"ec2:DeleteLaunchTemplate"},
    r"\.delete_placement_group\(": {"ec2:DeletePlacementGroup"},
    r"\.instance_types\(": {"ec2:DescribeInstanceTypes"},
    r"\.image\(": {"ec2:DescribeImages"},
    r"\.zones\(": {"ec2:DescribeInstanceTypeOfferings"},
    r"\.enabled_regions\(": {"ec2:DescribeRegions"},
    r"\.has_placement_group\(": {"ec2:DescribePlacementGroups"},
    r"\.vcpu_quota\(|limits::ask\(": {"servicequotas:GetServiceQuota"},
    r"\.quota_codes\(": {"servicequotas:ListAWSDefaultServiceQuotas"},
    r"\.running_vcpus\(": {"ec2:DescribeInstances", "ec2:DescribeInstanceTypes"},
    r"\.bucket_region\(": {"s3:ListBucket"},
    r"\.parameter\(": {"ssm:GetParameter"},
    r"prices::(look_up|refresh)\(": {"pricing:GetProducts", "ec2:DescribeSpotPriceHistory"},
    r"\.get_object\(": {"s3:GetObject", "s3:ListBucket"},
    r"\.put_object\(": {"s3:PutObject"},
    r"track::(wake|register)\(": {"states:SendTaskSuccess"},
    r"\.bad_end\(": {"states:DescribeExecution"},
    r"\.start_drain\(": {"states:StartExecution"},
    r"\.start_delivery\(": {"states:StartExecution"},
    r"\.publish\(": {"sns:Publish", "kms:GenerateDataKey", "kms:Decrypt"},
    r"\.secret\(": {"ssm:GetParameter", "secretsmanager:GetSecretValue"},
    r"\.metrics\.send\(": {"cloudwatch:PutMetricData"},
    r"\.metrics\.has\(": {"cloudwatch:GetMetricStatistics"},
}
# What calls need besides: tags in the request, and the right to hand over a role.
NEEDED_WITH = {"ec2:RunInstances": {"ec2:CreateTags", "iam:PassRole", "iam:CreateServiceLinkedRole"}}
# What every function does, or what its triggers do for it; the ledger's calls are those of one adapter.
OF_EVERY_FUNCTION = re.compile(r"(logs|xray|sqs|dynamodb):")
# These change what costs money or what others own: only under a condition.
CONDITIONED = re.compile(r"ec2:(Run|Create|Terminate|Start|Stop|Delete|Modify)\w*|iam:\w+")


# What functions do in the accounts of members by the role that they take there; and what of it they only do at home.
IN_MEMBER_ACCOUNTS = re.compile(r"(ec2|iam|cloudwatch):.+|servicequotas:GetServiceQuota|sts:DecodeAuthorizationMessage")
AT_HOME_ONLY = {"ec2:DescribeRegions", "ec2:DescribeSpotPriceHistory"}


def several(value):
    return value if isinstance(value, list) and not isinstance(value, Intrinsic) else [value]


def statements(role):
    for policy in role["Properties"]["Policies"]:
        yield from policy["PolicyDocument"]["Statement"]


def runbook_sections():
    """The sections of the runbooks, as descriptions name them."""
    found = set()
    for path in (ROOT / "docs/runbooks").glob("*.md"):
        for heading in re.findall(r"^## (.+)$", path.read_text(), re.M):
            found.add(f"docs/runbooks/{path.name}#{heading.strip().lower().replace(' ', '-')}")
    return found


def check_alarms(alarms):
    """Whoever is woken by an alarm must find in it what to do."""
    sections = runbook_sections()
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        runbook = re.search(r"docs/runbooks/\S+$", properties.get("AlarmDescription", ""))
        if not runbook:
            yield f"{name}: its description names no section of a runbook"
        elif runbook[0] not in sections:
            yield f"{name}: there is no section {runbook[0]}"
        if not properties.get("AlarmActions"):
            yield f"{name}: it tells nobody"


def check_template(text):
    faults = []
    if re.search(r"^\s*(\S+:\s*)?[&*][A-Za-z]|<<:", text, re.M):
        faults.append("CloudFormation knows no YAML anchors, aliases or merges")
    resources = yaml.load(text, Loader)["Resources"]
    of_type = lambda kind: {name: r for name, r in resources.items() if r["Type"] == kind}
    for name, role in of_type("AWS::IAM::Role").items():
        if role["Properties"].get("ManagedPolicyArns"):
            faults.append(f"{name}: managed policies allow more than what is called")
        for statement in statements(role):
            where = f"{name}, {statement.get('Sid', 'a statement without Sid')}"
            for action in several(statement["Action"]):
                if "*" in action:
                    faults.append(f"{where}: `{action}` allows what nobody has thought of")
                if "*" in several(statement["Resource"]) and not WITHOUT_RESOURCE.fullmatch(action):
                    faults.append(f"{where}: `{action}` on every resource")
                if CONDITIONED.fullmatch(action) and "Condition" not in statement and "LaunchWith" != statement["Sid"]:
                    faults.append(f"{where}: `{action}` without a condition")
    for name, function in of_type("AWS::Serverless::Function").items():
        properties = function["Properties"]
        role = str(properties.get("Role", "")).removeprefix("!GetAtt ").removesuffix(".Arn")
        if role not in resources:
            faults.append(f"{name}: has no role of its own")
            continue
        if not properties.get("LoggingConfig"):
            faults.append(f"{name}: its logs would be kept for ever")
        crate = ROOT / "functions" / properties["CodeUri"].split("/")[-1]
        source = "\n".join(path.read_text() for path in sorted(crate.glob("src/**/*.rs")))
        source = re.sub(r"\s+\.", ".", source)
        called = set().union(*(actions for call, actions in CALLS.items() if re.search(call, source)))
        for action in list(called):
            called |= NEEDED_WITH.get(action, set())
        allowed = {a for s in statements(resources[role]) for a in several(s["Action"])}
        allowed = {action for action in allowed if not OF_EVERY_FUNCTION.match(action)}
        faults += [f"{name}: calls {action}, which its role does not allow" for action in sorted(called - allowed)]
        faults += [f"{name}: its role allows {action}, which it does not call" for action in sorted(allowed - called)]
    launching = [one for one in statements(resources["LaunchBatchRole"]) if one.get("Sid") == "LaunchOnlyWhatIsTagged"]
    demanded = str([one.get("Condition") for one in launching])
    for tag in ("managed", "sweep-id", "sweep-name", "owner", "project"):
        if f"aws:RequestTag/spawn:{tag}" not in demanded:
            faults.append(f"LaunchBatchRole: an instance or volume could be launched without the tag spawn:{tag}")
    for name, rule in of_type("AWS::Events::Rule").items():
        for target in rule["Properties"]["Targets"]:
            if not target.get("DeadLetterConfig"):
                faults.append(f"{name}: what cannot be delivered is lost without a DeadLetterConfig")
    faults += check_alarms(of_type("AWS::CloudWatch::Alarm"))
    sources = re.findall(r"Queue: !GetAtt (\w+)\.Arn", text)
    for name in sources:
        if not resources[name]["Properties"].get("RedrivePolicy"):
            faults.append(f"{name}: a message that cannot be taken comes back for ever without a RedrivePolicy")
    return [f"infra/template.yaml: {fault}" for fault in faults], resources


def check_member_account(text, resources):
    """The role in another account allows what the functions that take it do there: all of that, and no more."""
    wanted = set()
    for role in (one for one in resources.values() if one["Type"] == "AWS::IAM::Role"):
        if any(one.get("Sid") == "TakeTheRoleOfOtherAccounts" for one in statements(role)):
            wanted |= {action for one in statements(role) for action in several(one["Action"])}
    wanted = {action for action in wanted if IN_MEMBER_ACCOUNTS.fullmatch(action)} - AT_HOME_ONLY
    role = yaml.load(text, Loader)["Resources"]["MemberAccountRole"]
    allowed = {action for one in statements(role) for action in several(one["Action"])}
    yield from (f"MemberAccountRole: does not allow {action}, which functions call there" for action in sorted(wanted - allowed))
    yield from (f"MemberAccountRole: allows {action}, which no function calls there" for action in sorted(allowed - wanted))
    for statement in statements(role):
        where = f"MemberAccountRole, {statement['Sid']}"
        for action in several(statement["Action"]):
            if CONDITIONED.fullmatch(action) and "Condition" not in statement and "LaunchWith" != statement["Sid"]:
                yield f"{where}: `{action}` without a condition"


def substitutions(path, text, resources):
    """Names that the definition wants and the template does not give, or the other way round."""
    for machine in resources.values():
        properties = machine.get("Properties", {})
        if properties.get("DefinitionUri") == f"../statemachines/{path.name}":
            made = properties["DefinitionSubstitutions"]
            used = set(re.findall(r"\$\{(\w+)\}", text))
            yield from (f"${{{name}}} is not substituted by the template" for name in sorted(used - set(made)))
            yield from (f"the template substitutes {name}, which is not used" for name in sorted(set(made) - used))
            return
    yield "no state machine of infra/template.yaml uses it"


def main():
    faults, resources = check_template((ROOT / "infra/template.yaml").read_text())
    member_account = (ROOT / "infra/member-account.yaml").read_text()
    faults += [f"infra/member-account.yaml: {fault}" for fault in check_member_account(member_account, resources)]
    time_limits = {
        name: resource["Properties"]["Timeout"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    errors = function_errors()
    if not errors:
        faults.append("shared/core/src/errors.rs: no error types found")
    handled, states = set(), 0
    for path in sorted((ROOT / "statemachines").glob("*.asl.json")):
        machine = Machine(path, errors, time_limits)
        handled |= machine.handled
        states += machine.states
        found = [*machine.faults, *substitutions(path, machine.text, resources)]
        faults += [f"{path.relative_to(ROOT)}: {fault}" for fault in found]
    # Config and Bug are for people: no retry cures them, and the catch-all of the sweep drains.
    for error in sorted(errors - handled - {"Spawn.Config", "Spawn.Bug"}):
        faults.append(f"`{error}` of the functions is handled by no state machine")
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"structure: {states} states, {len(resources)} resources")


if __name__ == "__main__":
    main()
