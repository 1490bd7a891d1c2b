"""What the common linters do not see in the template: permissions that no function uses, calls that nobody would miss when they
fail, alarms that reach nobody.
"""

import pathlib
import re

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


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
    r"\.get_object\(|prices::operators\(": {"s3:GetObject", "s3:ListBucket"},
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
# What of the ledger's calls a function comes to by the core's functions, which its own source does not spell.
LEDGER_CALLS = {
    r"unlaunched::end|ledger::forget|Write::Delete|track::wake": "DeleteItem",
    r"\.commit\(": "PutItem",
    r"Write::Update|unlaunched::end|drain::mark|track::(apply|register)": "UpdateItem",
}
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


def topics_of_alarms():
    """The topics of infra/governance.yaml that take what CloudWatch publishes, by their names."""
    resources = yaml.load((ROOT / "infra/governance.yaml").read_text(), Loader)["Resources"]
    for policy in (one["Properties"] for one in resources.values() if one["Type"] == "AWS::SNS::TopicPolicy"):
        if any(one["Principal"] == {"Service": "cloudwatch.amazonaws.com"} for one in policy["PolicyDocument"]["Statement"]):
            yield from (resources[topic.removeprefix("!Ref ")]["Properties"]["TopicName"] for topic in policy["Topics"])


def check_alarms(alarms):
    """Whoever is woken by an alarm must find in it what to do, and is to hear when it is over. A topic that is encrypted with
    the key of Amazon SNS takes nothing of CloudWatch (Amazon SNS Developer Guide, "Encryption at rest"): those of governance
    are not."""
    sections = runbook_sections()
    topics = tuple(f":{name}" for name in topics_of_alarms())
    for name, alarm in alarms.items():
        properties = alarm["Properties"]
        runbook = re.search(r"docs/runbooks/\S+$", properties.get("AlarmDescription", ""))
        if not runbook:
            yield f"{name}: its description names no section of a runbook"
        elif runbook[0] not in sections:
            yield f"{name}: there is no section {runbook[0]}"
        for of in ("AlarmActions", "OKActions"):
            told = properties.get(of)
            if not told or not all(str(one).endswith(topics) for one in told):
                yield f"{name}: {of} tells no topic of infra/governance.yaml that takes what CloudWatch publishes"


def check_searches(text, names):
    """What a search expression puts in quotes must match exactly (Amazon CloudWatch User Guide, "Search expression syntax")."""
    for designator, value in re.findall(r'(\w*)(?:=| )\\"([^"\\]+)\\"', "".join(re.findall(r"SEARCH\('[^']*'", text))):
        if designator != "MetricName" and value not in names:
            yield f"a search for `{value}` finds nothing: no function or queue is called so"


# Saved queries about all functions.
OF_ALL_FUNCTIONS = ("spawn/errors", "spawn/slowest invocations")


def check_queries(queries, functions):
    """What is asked of all functions is asked of the logs of each."""
    logs = {str(one["Properties"]["LoggingConfig"]["LogGroup"]) for one in functions}
    source = "".join(path.read_text() for folder in ("functions", "shared") for path in (ROOT / folder).glob("*/src/**/*.rs"))
    for query in (one["Properties"] for one in queries):
        for message in re.findall(r'message = "([^"]+)"', query["QueryString"]):
            if f'"{message}"' not in source:
                yield f"query {query['Name']}: nobody logs `{message}`"
        if query["Name"] in OF_ALL_FUNCTIONS:
            for missing in sorted(logs - {str(one) for one in query["LogGroupNames"]}):
                yield f"query {query['Name']}: does not look at {missing.removeprefix('!Ref ')}"


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
        on_ledger = {a.removeprefix("dynamodb:") for s in statements(resources[role]) for a in several(s["Action"]) if a.startswith("dynamodb:")}
        for calls, needed in LEDGER_CALLS.items():
            if re.search(calls, source) and needed not in on_ledger:
                faults.append(f"{name}: may not {needed} in the ledger, which `{calls}` comes to")
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
    functions = of_type("AWS::Serverless::Function").values()
    names = {r["Properties"].get("FunctionName") or r["Properties"].get("QueueName") for r in resources.values() if "Properties" in r}
    faults += check_searches(text, names)
    faults += check_queries(of_type("AWS::Logs::QueryDefinition").values(), functions)
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
