"""The Price List's GetProducts, in the shape in which AWS answers it (API reference "AWS Price List", GetProducts).

Prices are those of `price_list.json`, which says where they were published and when. What is not in it has a stand-in, so that
every type and region of `ec2-sim` can be planned with a budget: the price of us-east-1, which `types.tsv` has of every type, times
the percent of the region in `stand_in_prices.json`. The types `without_price` there have none: what a document meets then can be
seen by them.
"""

import decimal
import functools
import hashlib
import json
import pathlib

TARGET = "AWSPriceListService"
PAGE_PRODUCTS_MAX = 100
FOLDER = pathlib.Path(__file__).parent
DATA = json.loads((FOLDER / "price_list.json").read_text())
STAND_INS = json.loads((FOLDER / "stand_in_prices.json").read_text())
# As many decimals as AWS's prices of instances have.
DECIMALS = decimal.Decimal("0.00001")


def table_of_types():
    """Every type that the simulator has, with its price in us-east-1: the first and the last column of its table."""
    # A running stack has it beside this file; run from the sources, it is the simulator's.
    beside, source = FOLDER / "types.tsv", FOLDER.parent / "ec2-sim/src/catalogue/types.tsv"
    lines = (beside if beside.exists() else source).read_text().splitlines()
    rows = [line.split("\t") for line in lines if line and not line.startswith("#")]
    return {row[0]: row[-1] for row in rows}


TYPES = table_of_types()


def place_of(region):
    """A region's prices: the published ones, and stand-ins for all others."""
    stand_in = STAND_INS["regions"][region]
    factor = decimal.Decimal(stand_in["percent"]) / 100

    def of(price):
        return format((decimal.Decimal(price) * factor).quantize(DECIMALS).normalize(), "f")

    instances = {name: of(price) for name, price in TYPES.items() if name not in STAND_INS["without_price"]}
    # AWS charges the same for an address everywhere.
    made = {"gp3_gib_month": of(DATA["regions"]["us-east-1"]["gp3_gib_month"]), "public_ipv4_hour": "0.005"}
    published = DATA["regions"].get(region, {})
    return {**made, **stand_in, **published, "instances": {**instances, **published.get("instances", {})}}


def sku(*parts):
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:16].upper()


def product(service, family, region, place, unit, price, description, **attributes):
    """A product with its one term on demand, as the text that GetProducts lists."""
    prefix = place["usage_prefix"]
    usage = attributes.pop("usagetype")
    number = sku(service, region, usage)
    term, rate = f"{number}.JRTCKXETXF", f"{number}.JRTCKXETXF.6YS6EN2CT7"
    usd = format(float(price), ".10f")
    return {
        "product": {
            **({"productFamily": family} if family else {}),
            "attributes": {
                "servicecode": service,
                "regionCode": region,
                "location": place["location"],
                "locationType": "AWS Region",
                "usagetype": (prefix or attributes.pop("own_prefix", "")) + usage,
                **{name: value for name, value in attributes.items() if name != "own_prefix"},
            },
            "sku": number,
        },
        "serviceCode": service,
        "terms": {
            "OnDemand": {
                term: {
                    "priceDimensions": {
                        rate: {
                            "unit": unit,
                            "endRange": "Inf",
                            "description": f"${price} per {description}",
                            "appliesTo": [],
                            "rateCode": rate,
                            "beginRange": "0",
                            "pricePerUnit": {"USD": usd},
                        }
                    },
                    "sku": number,
                    "effectiveDate": f"{DATA['as_of']}T00:00:00Z",
                    "offerTermCode": "JRTCKXETXF",
                    "termAttributes": {},
                }
            }
        },
        "version": DATA["as_of"].replace("-", "") + "000000",
        "publicationDate": f"{DATA['as_of']}T00:00:00Z",
    }


@functools.cache
def products(region):
    return list(products_of(region, place_of(region)))


def products_of(region, place):
    for name, price in place["instances"].items():
        yield product(
            "AmazonEC2", "Compute Instance", region, place, "Hrs", price, f"On Demand Linux {name} Instance Hour",
            usagetype=f"BoxUsage:{name}", instanceType=name, operatingSystem="Linux", tenancy="Shared",
            capacitystatus="Used", preInstalledSw="NA", licenseModel="No License required",
            marketoption="OnDemand", operation="RunInstances", servicename="Amazon Elastic Compute Cloud",
        )
    yield product(
        "AmazonEC2", "Storage", region, place, "GB-Mo", place["gp3_gib_month"], "GB-month of General Purpose (gp3) provisioned storage",
        usagetype="EBS:VolumeUsage.gp3", volumeApiName="gp3", volumeType="General Purpose",
        storageMedia="SSD-backed", servicename="Amazon Elastic Compute Cloud",
    )
    # AWS has no family for these, and names even us-east-1 in their usage.
    for usage, price, words in (
        ("PublicIPv4:InUseAddress", place["public_ipv4_hour"], "In-use public IPv4 address per hour"),
        ("PublicIPv4:IdleAddress", place["public_ipv4_hour"], "Idle public IPv4 address per hour"),
        ("PublicIPv4:ContiguousBlock", "0.008", "Amazon-provided contiguous IPv4 address per hour"),
    ):
        yield product(
            "AmazonVPC", "", region, place, "Hrs", price, words,
            usagetype=usage, own_prefix="USE1-", group="VPCPublicIPv4Address", groupDescription=words,
            servicename="Amazon Virtual Private Cloud",
        )


def get_products(request):
    service = request.get("ServiceCode")
    if not service:
        raise Refused("InvalidParameterException", "ServiceCode is required")
    filters = request.get("Filters", [])
    regions = {wanted["Value"] for wanted in filters if wanted.get("Field") == "regionCode"} or STAND_INS["regions"]
    places = [region for region in STAND_INS["regions"] if region in regions]
    found = [one for region in places for one in products(region) if one["serviceCode"] == service]
    for wanted in filters:
        if wanted.get("Type") != "TERM_MATCH":
            raise Refused("InvalidParameterException", f"filters of type {wanted.get('Type')} are not served here")
        found = [one for one in found if attribute(one, wanted["Field"]) == wanted["Value"]]
    start = int(request.get("NextToken") or 0)
    size = min(int(request.get("MaxResults") or PAGE_PRODUCTS_MAX), PAGE_PRODUCTS_MAX)
    answer = {
        "FormatVersion": request.get("FormatVersion", "aws_v1"),
        "PriceList": [json.dumps(one) for one in found[start : start + size]],
    }
    if start + size < len(found):
        answer["NextToken"] = str(start + size)
    return answer


def attribute(one, field):
    if field in ("productFamily", "ProductFamily"):
        return one["product"].get("productFamily")
    return one["product"]["attributes"].get(field)


class Refused(Exception):
    """A request that AWS would not answer either: its code and words."""


async def handle(method, path, headers, body, query):
    """MiniStack's handler protocol."""
    action = headers.get("x-amz-target", "").split(".")[-1]
    try:
        if action != "GetProducts":
            raise Refused("UnknownOperationException", f"{action} is not served here")
        answer, status = get_products(json.loads(body or b"{}")), 200
    except Refused as refused:
        code, message = refused.args
        answer, status = {"__type": code, "message": message}, 400
    return status, {"Content-Type": "application/x-amz-json-1.1"}, json.dumps(answer).encode()
