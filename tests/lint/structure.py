"""What the common linters do not see in the state machines and in the template, each by itself and of one another."""

import sys

from machines import ROOT, Machine, function_errors, substitutions
from template import check_member_account, check_template


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
