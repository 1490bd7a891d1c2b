"""Accounts beside the home account, prepared as the guide for deployments says."""

import pathlib

import boto3

from conftest import ACCOUNT, DATA, HOME, RESULTS

INFRA = pathlib.Path(__file__).parents[3] / "infra"
# As the deployment of this stack knows them.
EXTERNAL_ID = "a secret of the two deployments"
MEMBERS = ("111122223333", "444455556666")


def client(stack, account, service, region=HOME):
    """A client of another account: its id is the access key."""
    settings = {**stack.settings(region), "aws_access_key_id": account}
    return boto3.client(service, **settings)


def prepare(stack, account, external_id=EXTERNAL_ID):
    """Deploys infra/member-account.yaml in an account."""
    formation = client(stack, account, "cloudformation")
    values = {
        "HomeAccount": ACCOUNT,
        "HomeRegion": HOME,
        "ExternalId": external_id,
        "ResultsBucketName": RESULTS,
        "DataBucketName": DATA,
    }
    formation.create_stack(
        StackName="spawn-member-account",
        TemplateBody=(INFRA / "member-account.yaml").read_text(),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in values.items()],
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName="spawn-member-account", WaiterConfig={"Delay": 1, "MaxAttempts": 30}
    )


def instances(stack, account, region, sweep):
    """The instances of a sweep in one place, by id, each with its state."""
    pages = client(stack, account, "ec2", region).get_paginator("describe_instances").paginate(
        Filters=[{"Name": "tag:spawn:sweep-id", "Values": [sweep]}]
    )
    shown = [one for page in pages for held in page["Reservations"] for one in held["Instances"]]
    return {one["InstanceId"]: one["State"]["Name"] for one in shown}
