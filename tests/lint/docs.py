"""Docs tell no tales: every command, option, field, metric, alarm, dashboard, tag, log group, state machine, setting, file and
section that README.md and docs/ name is there, in the code, the template, or AWS's own service models.
"""

import pathlib
import re
import subprocess
import sys

import botocore.session
import yaml
from botocore import xform_name

ROOT = pathlib.Path(__file__).resolve().parents[2]
SOURCES = ("shared", "functions", "infra", "statemachines", "tests", "examples", ".cargo")
# What stands for a value in examples, of AWS's documents and of ours.
PLACEHOLDERS = re.compile(r"123456789012|111122223333|hyperparam-20260122-abc123|i-1234567890abcdef0|\.\.\.|…|[<>{}*]|\bPORT\b")
# Of the AWS CLI, not of a service, and of both its versions: that of the local stack is 1.
CLI_OPTIONS = {"--query", "--output", "--region", "--profile", "--endpoint-url", "--no-cli-pager"}
CLI_COMMANDS = {("s3", "cp"), ("s3", "ls"), ("s3", "rm"), ("s3", "sync"), ("cloudformation", "deploy"), ("sam", "deploy")}
# These are CloudFormation's, EC2's and Lambda's own words, which our code does not spell.
FOREIGN = {"spawn.example.com"}
WORD = r"[A-Za-z0-9_]"


def files(pattern):
    listed = subprocess.run(["git", "ls-files", "-z", "--", *pattern], cwd=ROOT, capture_output=True, check=True).stdout
    return [ROOT / name for name in listed.decode().split("\0") if name]


class Known:
    """What there is to be named."""

    def __init__(self):
        paths = [path for path in files(SOURCES) if path.suffix not in (".tsv", ".csv") and path.is_file()]
        # The lints name things in order to look for them, and prove nothing.
        paths = [path for path in paths if "tests/lint" not in path.as_posix()]
        self.source = "\n".join(path.read_text(errors="replace") for path in paths)
        self.words = set(re.findall(rf"{WORD}+", self.source))
        template = (ROOT / "infra/template.yaml").read_text()
        self.resources = yaml.load(template, Loader=loader())["Resources"]
        self.parameters = set(re.findall(r"^  (\w+):$", template.split("Parameters:\n")[1].split("\nConditions:")[0], re.M))
        for other in ("governance", "member-account", "satellite"):
            self.parameters |= set(re.findall(r"^  (\w+):$", (ROOT / f"infra/{other}.yaml").read_text(), re.M))
        cli = (ROOT / "tests/local/src/cli.rs").read_text()
        commands = cli.split("pub enum Command {")[1].split("\n}")[0]
        self.local = {name.lower() for name in re.findall(r"^    (\w+)\(", commands, re.M)}
        self.local_options = {"--" + name.replace("_", "-") for name in re.findall(r"pub (\w+):", cli)}
        self.local_options |= {f'--{name}' for name in re.findall(r'long = "([\w-]+)"', cli)} | {"--help"}
        self.aws = botocore.session.get_session()
        self.services = {"configservice": "config", "deploy": "codedeploy"}

    def named(self, kind, key):
        """The values that resources of a type have for a property."""
        for resource in self.resources.values():
            if resource["Type"] == kind and key in resource.get("Properties", {}):
                yield str(resource["Properties"][key])


def loader():
    class Loose(yaml.SafeLoader):
        """Reads CloudFormation's short functions as their arguments."""

    def argument(reader, _suffix, node):
        if isinstance(node, yaml.ScalarNode):
            return reader.construct_scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return reader.construct_sequence(node, deep=True)
        return reader.construct_mapping(node, deep=True)

    Loose.add_multi_constructor("!", argument)
    return Loose


def code_of(text):
    """The blocks of code of a page, and its text without them."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.M | re.S)
    return blocks, re.sub(r"^```\w*\n.*?^```", "", text, flags=re.M | re.S)


def tales(text, known):
    """What a page names and nothing has."""
    blocks, prose = code_of(text)
    spans = re.findall(r"`([^`\n]+)`", prose)
    for block in blocks:
        yield from commands(block, known)
    for span in spans:
        if re.search(r"(^|\| )(aws|cargo) ", span):
            yield from commands(span, known)
        yield from span_of(span, known)
    for block in blocks:
        # How an operator calls stacks and topics of their own is theirs to choose.
        own = re.sub(r"--stack-name \S+|arn:aws:sns:\S+", " ", block)
        for name in re.findall(r"spawn[-:][a-z][a-z0-9:-]*[a-z0-9]", PLACEHOLDERS.sub(" ", own)):
            yield from resource(name, known)


def span_of(span, known):
    """What is wrong with what stands between backticks."""
    word = PLACEHOLDERS.sub("", span)
    if word != span:
        return
    if re.fullmatch(r"spawn[-:][a-z0-9:-]+", span):
        yield from resource(span, known)
    elif re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)+", span) or re.fullmatch(r"(SPAWN|SWEEP|AWS)_[A-Z_]+", span):
        if span not in known.words:
            yield f"`{span}` is in no code"
    elif re.fullmatch(r"/spawn/[a-z/-]+", span):
        if span.rstrip("/") not in known.source:
            yield f"log group or parameter `{span}` is in no code"
    elif re.fullmatch(r"[\w.-]+(/[\w.-]+)+/?", span) and span.split("/")[0] in SOURCES + ("docs",):
        if not (ROOT / span).exists():
            yield f"file `{span}` is not there"
    elif re.fullmatch(r"(spawn|Spawn)[./][\w ./-]+", span) and span not in FOREIGN:
        if span not in known.source:
            yield f"`{span}` is in no code"


def resource(name, known):
    # Or what a name begins with, before the account and the region.
    if not re.search(rf"(?<![\w-]){re.escape(name)}(-\$\{{|(?![\w-]))", known.source):
        yield f"`{name}` is in no code: no machine, function, alarm, dashboard, queue, topic, role or tag"


def commands(block, known):
    """Faults of the commands in a block."""
    joined = re.sub(r"\\\n\s*", " ", block)
    for service, operation, rest in re.findall(r"\baws (?:--[\w-]+[ =]\S+ )*([a-z0-9-]+) ([a-z0-9-]+)([^\n|`]*)", joined):
        yield from aws(service, operation, rest, known)
    for command, rest in re.findall(r"\bcargo local ([a-z]+)([^\n|`]*)", joined):
        if command not in known.local:
            yield f"`cargo local {command}` is no command"
        for option in re.findall(r"(?<!\S)(--[a-z-]+)", rest):
            if option not in known.local_options:
                yield f"`cargo local {command}` has no {option}"


def aws(service, operation, rest, known):
    if (service, operation) in CLI_COMMANDS or operation == "wait":
        return
    try:
        model = known.aws.get_service_model(service)
    except Exception:
        yield f"`aws {service}` is no service"
        return
    operations = {xform_name(name, "-"): name for name in model.operation_names}
    if operation not in operations:
        yield f"`aws {service} {operation}` is no command"
        return
    shape = model.operation_model(operations[operation]).input_shape
    members = {"--" + xform_name(name, "-") for name in (shape.members if shape else {})}
    plain = re.sub(r"'[^']*'|\"[^\"]*\"", "''", rest)
    for option in re.findall(r"(?<!\S)(--[a-z0-9-]+)", plain):
        if option not in members | CLI_OPTIONS and option.replace("--no-", "--", 1) not in members:
            yield f"`aws {service} {operation}` has no {option}"
    for option, value in re.findall(r"(--[a-z-]+)[ =]([\w/.-]+)", plain):
        yield from value_of(option, value, rest, known)
    for machine in re.findall(r":stateMachine:([\w-]+)", rest):
        names = set(known.named("AWS::Serverless::StateMachine", "Name"))
        if machine not in names:
            yield f"there is no state machine {machine}"


def value_of(option, value, rest, known):
    """Names of ours that a command is given."""
    if PLACEHOLDERS.search(value):
        return
    ours = {
        "--function-name": ("AWS::Serverless::Function", "FunctionName"),
        "--dashboard-name": ("AWS::CloudWatch::Dashboard", "DashboardName"),
        "--table-name": ("AWS::DynamoDB::Table", "TableName"),
    }
    if option in ours and value not in set(known.named(*ours[option])):
        yield f"{option} {value}: there is none"
    if option == "--metric-name" and "--namespace spawn" in rest and f'"{value}"' not in known.source:
        yield f"there is no metric {value}"
    if option == "--log-group-name" and value not in known.source:
        yield f"there is no log group {value}"


def sections(path):
    """The anchors of a page's headings."""
    found = set()
    for heading in re.findall(r"^#+ (.+)$", code_of(path.read_text())[1], re.M):
        words = re.sub(r"[^\w\- ]", "", heading.replace("`", "").lower())
        found.add(words.strip().replace(" ", "-"))
    return found


def links(page, text):
    """Links to pages and sections that are not there."""
    for target in re.findall(r"\]\(([^)\s]+)\)", code_of(text)[1]):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"the link {target} leads nowhere"
        elif anchor and file.suffix == ".md" and anchor not in sections(file):
            yield f"the link {target} names a section that is not there"


def runbooks(known):
    """Alarms whose description leads nowhere."""
    there = sections(ROOT / "docs/runbooks/alarms.md")
    for description in known.named("AWS::CloudWatch::Alarm", "AlarmDescription"):
        anchor = re.search(r"docs/runbooks/alarms\.md#([\w-]+)", description)
        if not anchor or anchor[1] not in there:
            yield f"an alarm leads to no section of the runbook: {description}"


def parameters_told():
    """Whoever deploys is asked for every parameter of the template, and finds each in the guide."""
    template = (ROOT / "infra/template.yaml").read_text()
    parameters = yaml.load(template, Loader=loader())["Parameters"]
    guide = (ROOT / "docs/guides/deploy.md").read_text()
    told = set(re.findall(r"`(\w+)`", "".join(row.split("|")[1] for row in guide.splitlines() if row.startswith("| `"))))
    yield from (f"does not say what the parameter {name} means" for name in parameters if name not in told)


# A page that lies in every way that is looked for; each must be seen.
LIES = """`spawn-levitate` `no_such_field` `SPAWN_NO_SUCH` `/spawn/nothing` `shared/nowhere` `spawn:no-tag` `cargo local fly`
`cargo local up --wings` `aws levitate things` `aws sqs levitate` `aws sqs receive-message --gravity 0`
`aws logs filter-log-events --log-group-name /spawn/nobody` `aws lambda invoke --function-name spawn-nobody`
`aws cloudwatch get-dashboard --dashboard-name spawn-nothing`
`aws cloudwatch get-metric-statistics --namespace spawn --metric-name no_metric`
`aws stepfunctions start-execution --state-machine-arn arn:aws:states:us-east-1:0:stateMachine:spawn-nothing`
`echo | aws lambda invoke --cli-binary-format raw-in-base64-out`
"""
LIES_COUNT = 17


def main():
    known = Known()
    seen = list(tales(LIES, known))
    if len(seen) != LIES_COUNT:
        sys.exit(f"docs: of {LIES_COUNT} lies {len(seen)} were seen:\n" + "\n".join(seen))
    pages = [path for path in files(["README.md", "docs"]) if path.suffix == ".md"]
    faults = []
    for page in pages:
        text = page.read_text()
        # A decision is history: it may name what has gone.
        found = [] if "decisions" in page.parts else tales(text, known)
        faults += [f"{page.relative_to(ROOT)}: {fault}" for fault in [*dict.fromkeys(found), *links(page, text)]]
    faults += [f"infra/template.yaml: {fault}" for fault in runbooks(known)]
    faults += [f"docs/guides/deploy.md: {fault}" for fault in parameters_told()]
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"docs: {len(pages)} pages")


if __name__ == "__main__":
    main()
