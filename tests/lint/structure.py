"""What the common linters do not see in the state machines: waiting without an end, variables that nobody assigns,
substitutions that the template does not make, error names that no function has."""

import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Error types of spawn's functions are read from the source; these are the services' own.
SERVICE_ERRORS = re.compile(r"^(States|Lambda|Sandbox|Runtime|SNS|StepFunctions)\.\w+$")
# Variables that JSONata or Step Functions gives.
GIVEN = {"states"}


def function_errors():
    """The names that `FunctionError::error_type` answers."""
    source = (ROOT / "shared/core/src/errors.rs").read_text()
    return set(re.findall(r'Self::\w+\(_\) => "([\w.]+)"', source))


def states_of(machine, path=""):
    """Every state with its name, those inside Map and Parallel too, and the scope that they are in."""
    for name, state in machine["States"].items():
        yield path + name, state
        for inner in [state.get("ItemProcessor"), *state.get("Branches", [])]:
            if inner:
                yield from states_of(inner, f"{path}{name} / ")


def expressions(value):
    if isinstance(value, str):
        yield from re.findall(r"\{%(.*?)%\}", value, re.S)
    elif isinstance(value, dict):
        for inner in value.values():
            yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def own_parts(state):
    """A state without the states inside it."""
    return {key: value for key, value in state.items() if key not in ("ItemProcessor", "Branches")}


def assigned(state):
    names = set(state.get("Assign", {}))
    for catch in state.get("Catch", []):
        names |= set(catch.get("Assign", {}))
    for choice in state.get("Choices", []):
        names |= set(choice.get("Assign", {}))
    return names


def check(path, template, errors):
    machine = json.loads(path.read_text())
    faults = []
    if machine.get("QueryLanguage") != "JSONata":
        faults.append("the machine's QueryLanguage is not JSONata")
    if not machine.get("Comment"):
        faults.append("the machine has no Comment")
    states = list(states_of(machine))
    variables = GIVEN.union(*(assigned(state) for _, state in states))
    for name, state in states:

        def fault(text, name=name):
            faults.append(f"{name}: {text}")

        if not state.get("Comment"):
            fault("no Comment says why it exists")
        if state["Type"] == "Task":
            if "TimeoutSeconds" not in state:
                fault("a task without TimeoutSeconds can wait for ever")
            if not state.get("Retry"):
                fault("a task without Retry gives up at the first hiccup")
            elif "States.ALL" in [e for retry in state["Retry"] for e in retry["ErrorEquals"]]:
                fault("retries States.ALL: name the errors that another try can cure")
            for retry in state.get("Retry", []):
                if retry.get("JitterStrategy") != "FULL" or "MaxDelaySeconds" not in retry:
                    fault("a retry without MaxDelaySeconds and JitterStrategy FULL comes back in step with others")
        for handler in state.get("Retry", []) + state.get("Catch", []):
            for error in handler["ErrorEquals"]:
                if error not in errors and not SERVICE_ERRORS.match(error):
                    fault(f"`{error}` is no error of a function or a service")
        for expression in expressions(own_parts(state)):
            text = re.sub(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", "''", expression)
            for variable in re.findall(r"\$([A-Za-z_]\w*)(?!\w*\()", text):
                if variable not in variables:
                    fault(f"${variable} is assigned nowhere")
    # A dead error name in a list hides that a real one is missing.
    definition = path.read_text()
    block = re.search(rf"DefinitionUri: \.\./statemachines/{re.escape(path.name)}\n(.*?)\n      Role:", template, re.S)
    if not block:
        faults.append("no state machine of infra/template.yaml uses it")
    else:
        made = set(re.findall(r"^        (\w+):", block.group(1), re.M))
        used = set(re.findall(r"\$\{(\w+)\}", definition))
        for name in used - made:
            faults.append(f"${{{name}}} is not substituted by the template")
        for name in made - used:
            faults.append(f"the template substitutes {name}, which is not used")
    return [f"{path.relative_to(ROOT)}: {text}" for text in faults]


def main():
    template = (ROOT / "infra/template.yaml").read_text()
    errors = function_errors()
    faults = [] if errors else ["shared/core/src/errors.rs: no error types found"]
    handled = set()
    machines = sorted((ROOT / "statemachines").glob("*.asl.json"))
    for path in machines:
        faults += check(path, template, errors)
        for _, state in states_of(json.loads(path.read_text())):
            for handler in state.get("Retry", []) + state.get("Catch", []):
                handled |= set(handler["ErrorEquals"])
    # Config and Bug are for people: no retry cures them, and the catch-all of the sweep drains.
    for error in sorted(errors - handled - {"Spawn.Config", "Spawn.Bug"}):
        faults.append(f"`{error}` of the functions is handled by no state machine")
    if re.search(r"^\s*(\S+:\s*)?[&*][A-Za-z]|<<:", template, re.M):
        faults.append("infra/template.yaml: CloudFormation knows no YAML anchors, aliases or merges")
    for fault in faults:
        print(fault, file=sys.stderr)
    if faults:
        sys.exit(1)
    print(f"structure: {len(machines)} state machines")


if __name__ == "__main__":
    main()
