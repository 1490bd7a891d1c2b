"""A measurement, no story: how long after a member's report its instance is stopped, and the ledger knows of it.

Run by `cargo run -p e2e --example latency`. Members run two at a time, so that it is the control plane that is
measured and not how many programs this machine can run at once.
"""

import os

from conftest import HOME, Stack

MEMBERS = 24


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def main():
    stack = Stack(os.environ["AWS_ENDPOINT_URL"], os.environ["SPAWN_SIM"])
    output = stack.run(
        {
            "name": "latency",
            "owner": "nobody",
            "project": "measure",
            "instance_type": "t3.micro",
            "regions": [HOME],
            "ttl": "30m",
            "count": MEMBERS,
            "max_concurrent": 2,
            "on_complete": "stop",
            "command": "true",
        },
        seconds=600,
    )
    measured = {"report to the stop": [], "report to the ledger": [], "freed slot to the next instance": []}
    shown = {one["instance_id"]: one["history"] for one in stack.sim("instances")["instances"]}
    freed, launched = [], []
    for member in stack.members(output["sweep_id"]):
        row = stack.table.get_item(Key={"pk": f"INSTANCE#{member['instance']}", "sk": "INSTANCE"})["Item"]
        history = shown[member["instance"].rsplit("/", 1)[1]]
        stopping = next(change["at_ms"] for change in history if change["state"] == "stopping")
        measured["report to the stop"].append(stopping - int(row["report_at"]))
        measured["report to the ledger"].append(int(member["ended_at"]) - int(row["report_at"]))
        freed.append(stopping)
        launched.append(history[0]["at_ms"])
    # The first two had free slots; each of the others came when one before it had stopped.
    for slot, began in zip(sorted(freed), sorted(launched)[2:]):
        measured["freed slot to the next instance"].append(began - slot)
    print(f"{output['status']}: {MEMBERS} members, two at a time")
    print(f"{'from':<32} {'p50 s':>7} {'p99 s':>7} {'max s':>7}")
    for name, values in measured.items():
        figures = (percentile(values, 50), percentile(values, 99), max(values))
        print(f"{name:<32} " + " ".join(f"{value / 1000:7.2f}" for value in figures))


if __name__ == "__main__":
    main()
