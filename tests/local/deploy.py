"""Deploys infra/template.yaml on the local stack: packages it as `sam package` would, and creates the stack.

Usage: deploy.py --endpoint URL --root REPOSITORY --functions DIRECTORY [--parameter NAME=VALUE ...]. Prints the stack's
outputs as one line of JSON; on failure the events that say why, and exits with 1.
"""

import argparse
import io
import json
import pathlib
import platform
import sys
import time
import zipfile

import boto3
import yaml

STACK = "spawn"
BUCKET = "spawn-deployment"


class Tagged:
    """A CloudFormation tag such as !Sub, kept as it is."""

    def __init__(self, tag, value):
        self.tag = tag
        self.value = value


def load_tagged(loader, suffix, node):
    if isinstance(node, yaml.ScalarNode):
        return Tagged("!" + suffix, loader.construct_scalar(node))
    if isinstance(node, yaml.SequenceNode):
        return Tagged("!" + suffix, loader.construct_sequence(node, deep=True))
    return Tagged("!" + suffix, loader.construct_mapping(node, deep=True))


def dump_tagged(dumper, tagged):
    if isinstance(tagged.value, str):
        return dumper.represent_scalar(tagged.tag, tagged.value)
    if isinstance(tagged.value, list):
        return dumper.represent_sequence(tagged.tag, tagged.value)
    return dumper.represent_mapping(tagged.tag, tagged.value)


class Loader(yaml.SafeLoader):
    pass


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data):
        return True


Loader.add_multi_constructor("!", load_tagged)
Dumper.add_representer(Tagged, dump_tagged)


def bootstrap_zip(binary):
    """A function's code: a bootstrap that runs the built binary where it is. Nothing is copied, so nothing is slow."""
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        entry = zipfile.ZipInfo("bootstrap")
        entry.external_attr = 0o755 << 16
        archive.writestr(entry, f'#!/bin/sh\nexec "{binary}"\n')
    return code.getvalue()


def packaged(root, functions, s3):
    """The template with its code and definitions uploaded."""
    source = root / "infra" / "template.yaml"
    template = yaml.load(source.read_text(), Loader)
    for resource in template["Resources"].values():
        properties = resource.get("Properties", {})
        if resource["Type"] == "AWS::Serverless::Function":
            name = pathlib.PurePath(properties["CodeUri"]).name
            binary = functions / name
            if not binary.exists():
                sys.exit(f"{binary} is missing: build the functions with `cargo build --workspace --bins`")
            s3.put_object(Bucket=BUCKET, Key=f"{name}.zip", Body=bootstrap_zip(binary))
            properties["CodeUri"] = {"Bucket": BUCKET, "Key": f"{name}.zip"}
        if resource["Type"] == "AWS::Serverless::StateMachine":
            path = (source.parent / properties["DefinitionUri"]).resolve()
            s3.put_object(Bucket=BUCKET, Key=path.name, Body=path.read_bytes())
            properties["DefinitionUri"] = {"Bucket": BUCKET, "Key": path.name}
    return yaml.dump(template, Dumper=Dumper, sort_keys=False)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--root", required=True, type=pathlib.Path)
    parser.add_argument("--functions", required=True, type=pathlib.Path)
    parser.add_argument("--parameter", action="append", default=[])
    arguments = parser.parse_args()

    def client(service):
        return boto3.client(
            service,
            endpoint_url=arguments.endpoint,
            region_name="us-east-1",
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    s3 = client("s3")
    s3.create_bucket(Bucket=BUCKET)
    body = packaged(arguments.root.resolve(), arguments.functions.resolve(), s3)
    s3.put_object(Bucket=BUCKET, Key="template.yaml", Body=body.encode())
    architecture = "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"
    parameters = {"Architecture": architecture, "Ec2EventSource": "spawn.ec2-sim"}
    parameters.update(one.split("=", 1) for one in arguments.parameter)
    cloudformation = client("cloudformation")
    cloudformation.create_stack(
        StackName=STACK,
        TemplateURL=f"{arguments.endpoint}/{BUCKET}/template.yaml",
        Parameters=[{"ParameterKey": k, "ParameterValue": v} for k, v in parameters.items()],
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_NAMED_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        stack = cloudformation.describe_stacks(StackName=STACK)["Stacks"][0]
        if stack["StackStatus"] == "CREATE_COMPLETE":
            print(json.dumps({o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}))
            return
        if not stack["StackStatus"].endswith("IN_PROGRESS"):
            break
        time.sleep(0.1)
    print(f"the stack is {stack['StackStatus']}", file=sys.stderr)
    for event in reversed(cloudformation.describe_stack_events(StackName=STACK)["StackEvents"]):
        if "FAILED" in event["ResourceStatus"]:
            print(
                f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', '')}",
                file=sys.stderr,
            )
    sys.exit(1)


if __name__ == "__main__":
    main()
