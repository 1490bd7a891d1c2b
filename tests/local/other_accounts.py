"""Where the pinned MiniStack differs from AWS in what passes between accounts."""

from urllib.parse import parse_qs


def apply():
    give_roles_to_whom_they_trust()
    let_other_accounts_put_events()


def give_roles_to_whom_they_trust():
    """A role is given to those that its trust policy names, under its conditions, such as an external id (IAM User Guide, "Access to
    AWS accounts owned by third parties"). MiniStack asks that only where it checks every call's permissions."""
    from ministack import app
    from ministack.core import iam_evaluator
    from ministack.core.responses import get_account_id, get_region
    from ministack.services import iam, sts

    handle = app.SERVICE_HANDLERS["sts"]

    async def handle_with_trust(method, path, headers, body, query):
        asked = {**{name: values[0] for name, values in parse_qs((body or b"").decode()).items()}, **query}
        role_arn = asked.get("RoleArn", "")
        account, name = role_arn.split(":")[4:5], role_arn.rsplit("/", 1)[-1]
        if asked.get("Action") != "AssumeRole" or account in ([], [get_account_id()]):
            return await handle(method, path, headers, body, query)
        caller = sts._caller_identity(headers, query)["userArn"]
        context = iam_evaluator.EvalContext(
            principal_arn=caller,
            principal_type="AssumedRole",
            principal_account=get_account_id(),
            action="sts:AssumeRole",
            resource_arn=role_arn,
            region=get_region(),
            service_context={"sts:externalid": asked.get("ExternalId")},
        )
        role = iam._roles.get_scoped(account[0], None, name)
        if role and iam_evaluator.evaluate_trust_policy(role["AssumeRolePolicyDocument"], caller, context):
            return await handle(method, path, headers, body, query)
        words = f"User: {caller} is not authorized to perform: sts:AssumeRole on resource: {role_arn}"
        return iam._error(403, "AccessDenied", words, ns="sts")

    app.SERVICE_HANDLERS["sts"] = handle_with_trust


def let_other_accounts_put_events():
    """CloudFormation gives an event bus its policy. MiniStack knows the policy, and not the resource."""
    from ministack.services import eventbridge
    from ministack.services.cloudformation import provisioners

    def create(_logical_id, properties, _stack):
        statement = properties["Statement"]
        eventbridge._put_permission({**statement, "StatementId": properties["StatementId"]})
        return properties["StatementId"], {}

    def update(_identity, _old, properties, stack):
        return create(None, properties, stack)

    def delete(identity, _properties):
        eventbridge._remove_permission({"StatementId": identity})

    provisioners._RESOURCE_HANDLERS["AWS::Events::EventBusPolicy"] = {"create": create, "update": update, "delete": delete}
