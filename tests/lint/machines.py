"""What the common linters do not see in the state machines: waits without an end, errors that nobody catches, variables that
some path does not assign.
"""

import json
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Error types of spawn's functions are read from the source; these are the services' own.
SERVICE_ERRORS = re.compile(r"^(States|Lambda|Sandbox|Runtime|SNS|SQS|StepFunctions|CostExplorer|CloudWatchLogs|CloudWatch)\.\w+$|^ExecutionAlreadyExists$")
# An inline Map runs at most so many iterations at a time, and a state's name has at most so many characters (AWS Step
# Functions Developer Guide, "Service quotas" and "Map state processing modes").
MAP_CONCURRENCY_MAX = 40
STATE_NAME_CHARS_MAX = 80


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
