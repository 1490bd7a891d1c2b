"""Service Quotas for EC2's quotas of vCPUs and of the rate of launch calls (API reference "Service Quotas"). Their values are
those that `ec2-sim` keeps and enforces, so that what is read here is what a launch meets.

An increase is granted at once, which AWS does for small ones only.
"""

import asyncio
import json
import re
import time
import urllib.request
import uuid

TARGET = "ServiceQuotasV20190624."
# MiniStack adds to the headers of an answer: each gets its own.
CONTENT_TYPE = {"Content-Type": "application/x-amz-json-1.1"}
TIMEOUT_S = 10

# Code, name, AWS's default, the simulator's class of families and its market.
QUOTAS = [
    ("L-1216C47A", "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances", 5, "standard", "on-demand"),
    ("L-DB2E81BA", "Running On-Demand G and VT instances", 0, "g", "on-demand"),
    ("L-417A185B", "Running On-Demand P instances", 0, "p", "on-demand"),
    ("L-1945791B", "Running On-Demand Inf instances", 0, "inf", "on-demand"),
    ("L-2C3B7624", "Running On-Demand Trn instances", 0, "trn", "on-demand"),
    ("L-6E869C2A", "Running On-Demand DL instances", 0, "dl", "on-demand"),
    ("L-74FC7D96", "Running On-Demand F instances", 0, "f", "on-demand"),
    ("L-F7808C92", "Running On-Demand HPC instances", 0, "hpc", "on-demand"),
    ("L-43DA4232", "Running On-Demand High Memory instances", 0, "high-memory", "on-demand"),
    ("L-7295265B", "Running On-Demand X instances", 0, "x", "on-demand"),
    ("L-34B43A08", "All Standard (A, C, D, H, I, M, R, T, Z) Spot Instance Requests", 5, "standard", "spot"),
    ("L-3819A6DF", "All G and VT Spot Instance Requests", 0, "g", "spot"),
    ("L-7212CCBC", "All P4, P3 and P2 Spot Instance Requests", 0, "p", "spot"),
    # The simulator counts P5 with the other P families.
    ("L-C4BD4855", "All P5 Spot Instance Requests", 0, "p", "spot"),
    ("L-B5D1601B", "All Inf Spot Instance Requests", 0, "inf", "spot"),
    ("L-6B0D517C", "All Trn Spot Instance Requests", 0, "trn", "spot"),
    ("L-85EED4F7", "All DL Spot Instance Requests", 0, "dl", "spot"),
    ("L-88CF9481", "All F Spot Instance Requests", 0, "f", "spot"),
    ("L-E3A00192", "All X Spot Instance Requests", 0, "x", "spot"),
]

# Code, name, AWS's default, the simulator's bucket and what of its size. The guide ("Request throttling for the Amazon EC2 API",
# Amazon EC2 Developer Guide) has the names and no codes: clients must look them up. Those of CreateFleet are made up.
RATES = [
    ("L-8EEB235C", "RunInstances request bucket maximum capacity", 5, "RunInstances", "capacity"),
    ("L-A2D70E6C", "RunInstances request bucket refill rate", 2, "RunInstances", "refill_per_s"),
    ("L-0C4EA7E1", "CreateFleet request bucket maximum capacity", 50, "CreateFleet", "capacity"),
    ("L-0C4EA7E2", "CreateFleet request bucket refill rate", 5, "CreateFleet", "refill_per_s"),
]
ALL = QUOTAS + RATES


class Refused(Exception):
    """An error of the service: its code and words."""


class ServiceQuotas:
    """Answers from the simulator at `url`."""

    TARGET = TARGET

    def __init__(self, url):
        self.url = url

    async def handle(self, method, path, headers, body, query):
        """MiniStack's handler protocol."""
        headers = {name.lower(): value for name, value in headers.items()}
        action = headers.get("x-amz-target", "").removeprefix(TARGET)
        from ministack.core.responses import get_account_id

        # MiniStack knows the account of a session, whose access key says nothing.
        account, region = get_account_id(), region_of(headers.get("authorization", ""))
        try:
            request = json.loads(body or b"{}")
            answer = await asyncio.to_thread(self.answer, action, request, account, region)
        except Refused as refusal:
            code, words = refusal.args
            return 400, dict(CONTENT_TYPE), json.dumps({"__type": code, "Message": words}).encode()
        return 200, dict(CONTENT_TYPE), json.dumps(answer).encode()

    def answer(self, action, request, account, region):
        if request.get("ServiceCode") != "ec2":
            raise Refused("NoSuchResourceException", "The request failed because the specified service does not exist.")
        if action == "ListServiceQuotas":
            return self.page(request, lambda quota: self.shown(quota, account, region))
        if action == "ListAWSDefaultServiceQuotas":
            return self.page(request, lambda quota: default(quota, region))
        quota = next((quota for quota in ALL if quota[0] == request.get("QuotaCode")), None)
        if quota is None:
            raise Refused("NoSuchResourceException", "The request failed because the specified quota does not exist.")
        if action == "GetServiceQuota":
            return {"Quota": self.shown(quota, account, region)}
        if action == "GetAWSDefaultServiceQuota":
            return {"Quota": default(quota, region)}
        if action == "RequestServiceQuotaIncrease":
            return {"RequestedQuota": self.raised(quota, request, account, region)}
        raise Refused("UnknownOperationException", f"{action} is not served on the local stack.")

    def page(self, request, show):
        first = int(request.get("NextToken") or 0)
        last = first + int(request.get("MaxResults") or 100)
        page = {"Quotas": [show(quota) for quota in ALL[first:last]]}
        return {**page, **({"NextToken": str(last)} if last < len(ALL) else {})}

    def shown(self, quota, account, region):
        return {**described(quota, account, region), "Value": float(self.value(quota, account, region))}

    def value(self, quota, account, region):
        _, _, default_value, name, part = quota
        if quota in RATES:
            return self.control("buckets")["sizes"].get(name, {}).get(part, default_value)
        return self.limits(account, region)[name][part]

    def limits(self, account, region):
        return self.control(f"quotas/limits?account={account}&region={region}")

    def raised(self, quota, request, account, region):
        code, name, _, families, market = quota
        if quota in RATES:
            words = "The quota is not adjustable: the rate of calls is raised by a support case."
            raise Refused("IllegalArgumentException", words)
        wanted = float(request.get("DesiredValue", 0))
        if wanted <= self.limits(account, region)[families][market]:
            words = "The increased value must be greater than the current value."
            raise Refused("IllegalArgumentException", words)
        rule = {"account": account, "region": region, "class": families, "market": market, "vcpus": int(wanted)}
        self.control("quotas", rule)
        return {
            "Id": uuid.uuid4().hex,
            "ServiceCode": "ec2",
            "QuotaCode": code,
            "QuotaName": name,
            "DesiredValue": wanted,
            "Status": "APPROVED",
            "Created": time.time(),
            "Requester": f'{{"accountId":"{account}"}}',
            "GlobalQuota": False,
            "Unit": "None",
        }

    def control(self, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        with urllib.request.urlopen(f"{self.url}/_sim/{path}", data=data, timeout=TIMEOUT_S) as answer:
            return json.load(answer)


def region_of(authorization):
    """The region of a signed request."""
    found = re.search(r"Credential=[^/]+/[^/]+/([^/]+)/", authorization)
    return found[1] if found else "us-east-1"


def described(quota, account, region):
    code, name = quota[:2]
    return {
        "ServiceCode": "ec2",
        "ServiceName": "Amazon Elastic Compute Cloud (Amazon EC2)",
        "QuotaArn": f"arn:aws:servicequotas:{region}:{account}:ec2/{code}",
        "QuotaCode": code,
        "QuotaName": name,
        "Unit": "None",
        "Adjustable": quota in QUOTAS,
        "GlobalQuota": False,
    }


def default(quota, region):
    return {**described(quota, "", region), "Value": float(quota[2])}
