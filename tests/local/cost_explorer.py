"""Cost Explorer's GetCostAndUsage, in the shape in which AWS answers it (API reference "AWS Cost Explorer Service").

AWS renews bills once a day, so a fresh stack has none. A test or a reader puts lines into the file that `SPAWN_LOCAL_BILL` names
(or `bill.json` beside this one): `[{"day": "2026-01-22", "usage_type": "BoxUsage:c5.4xlarge", "instance_type": "c5.4xlarge",
"tags": {"spawn:managed": "true", "spawn:sweep-id": "..."}, "cost": "1.25", "usage": "2"}]`.
"""

import datetime
import decimal
import json
import os
import pathlib

TARGET = "AWSInsightsIndexService"


def lines():
    path = pathlib.Path(os.environ.get("SPAWN_LOCAL_BILL") or pathlib.Path(__file__).parent / "bill.json")
    return json.loads(path.read_text()) if path.exists() else []


def accepts(line, wanted):
    """Whether a line fits an expression of filters."""
    if not wanted:
        return True
    if "And" in wanted:
        return all(accepts(line, one) for one in wanted["And"])
    if "Or" in wanted:
        return any(accepts(line, one) for one in wanted["Or"])
    if "Not" in wanted:
        return not accepts(line, wanted["Not"])
    if "Tags" in wanted:
        return line.get("tags", {}).get(wanted["Tags"]["Key"]) in wanted["Tags"]["Values"]
    if "Dimensions" in wanted:
        return dimension(line, wanted["Dimensions"]["Key"]) in wanted["Dimensions"]["Values"]
    raise Refused("ValidationException", f"the filter {sorted(wanted)} is not served here")


def dimension(line, key):
    known = {"USAGE_TYPE": "usage_type", "INSTANCE_TYPE": "instance_type", "REGION": "region", "SERVICE": "service"}
    if key not in known:
        raise Refused("ValidationException", f"the dimension {key} is not served here")
    return line.get(known[key], "NoInstanceType" if key == "INSTANCE_TYPE" else "")


def key_of(line, group):
    if group["Type"] == "TAG":
        # AWS writes key and value together, with nothing after the sign for what has no such tag.
        return f"{group['Key']}${line.get('tags', {}).get(group['Key'], '')}"
    return dimension(line, group["Key"])


def periods(start, end, granularity):
    day = start
    while day < end:
        if granularity == "DAILY":
            after = day + datetime.timedelta(days=1)
        else:
            after = (day.replace(day=1) + datetime.timedelta(days=32)).replace(day=1)
        yield day, min(after, end)
        day = after


def metrics_of(some, names):
    units = {"UsageQuantity": ("usage", "N/A")}
    answer = {}
    for name in names:
        field, unit = units.get(name, ("cost", "USD"))
        amount = sum((decimal.Decimal(str(line.get(field, "0"))) for line in some), decimal.Decimal(0))
        answer[name] = {"Amount": format(amount, "f"), "Unit": unit}
    return answer


def get_cost_and_usage(request):
    try:
        start, end = (datetime.date.fromisoformat(request["TimePeriod"][key]) for key in ("Start", "End"))
    except (KeyError, ValueError) as error:
        raise Refused("ValidationException", f"TimePeriod: {error}") from error
    if start >= end:
        raise Refused("ValidationException", "Start date (and hour) should be before end date (and hour)")
    names, groups = request.get("Metrics") or [], request.get("GroupBy") or []
    if not names:
        raise Refused("ValidationException", "Metrics is required")
    results = []
    for begins, ends in periods(start, end, request.get("Granularity", "MONTHLY")):
        inside = [
            line
            for line in lines()
            if begins.isoformat() <= line["day"] < ends.isoformat() and accepts(line, request.get("Filter"))
        ]
        result = {"TimePeriod": {"Start": begins.isoformat(), "End": ends.isoformat()}, "Total": {}, "Groups": []}
        # A bill is final days after its month; yesterday's is not.
        result["Estimated"] = ends > datetime.date.today() - datetime.timedelta(days=2)
        if groups:
            keys = sorted({tuple(key_of(line, group) for group in groups) for line in inside})
            for keyed in keys:
                some = [line for line in inside if tuple(key_of(line, group) for group in groups) == keyed]
                result["Groups"].append({"Keys": list(keyed), "Metrics": metrics_of(some, names)})
        else:
            result["Total"] = metrics_of(inside, names)
        results.append(result)
    answer = {"ResultsByTime": results, "DimensionValueAttributes": []}
    if groups:
        answer["GroupDefinitions"] = groups
    return answer


class Refused(Exception):
    """A request that AWS would not answer either: its code and words."""


async def handle(method, path, headers, body, query):
    """MiniStack's handler protocol."""
    action = headers.get("x-amz-target", "").split(".")[-1]
    try:
        if action != "GetCostAndUsage":
            raise Refused("UnknownOperationException", f"{action} is not served here")
        answer, status = get_cost_and_usage(json.loads(body or b"{}")), 200
    except Refused as refused:
        code, message = refused.args
        answer, status = {"__type": code, "message": message}, 400
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
