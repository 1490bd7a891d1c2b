"""The public parameters of Amazon Linux 2023's images, with the ids that `ec2-sim` has in the region (AWS Systems Manager User
Guide, "Calling AMI public parameters in Parameter Store"; Amazon Linux 2023 User Guide, "AL2023 on Amazon EC2").

MiniStack has that of the default kernel on x86_64 alone, and keeps it.
"""

import functools
import re
import urllib.parse
import urllib.request
import xml.etree.ElementTree

PARAMETER = re.compile(r"/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-(?:default|6\.1)-(x86_64|arm64)")
# The account of Amazon's public images.
OWNER = "137112412989"
TIMEOUT_S = 10


def apply(ec2_url):
    """Has every call of Parameter Store that reads public parameters know these."""
    from ministack.services import ssm

    known = ssm._public_parameter

    def parameter(name):
        found = known(name)
        asked = PARAMETER.fullmatch(name or "")
        if found or not asked:
            return found
        region = ssm.get_region()
        return {
            "Name": name,
            "Type": "String",
            "Value": newest(ec2_url, region, asked[1]),
            "Version": 1,
            "LastModifiedDate": 1767571200,
            "ARN": f"arn:aws:ssm:{region}::parameter{name}",
            "DataType": "text",
        }

    ssm._public_parameter = parameter


@functools.cache
def newest(ec2_url, region, architecture):
    """The id of the newest image for an architecture. The simulator's images never change."""
    request = {
        "Action": "DescribeImages",
        "Version": "2016-11-15",
        "Owner.1": OWNER,
        "Filter.1.Name": "architecture",
        "Filter.1.Value.1": architecture,
        "Filter.2.Name": "name",
        "Filter.2.Value.1": "al2023-ami-2023.*",
    }
    # The simulator knows the region by the credential's scope, and checks no signature.
    scope = f"AWS4-HMAC-SHA256 Credential=000000000000/20260105/{region}/ec2/aws4_request"
    asked = urllib.request.Request(ec2_url, urllib.parse.urlencode(request).encode(), {"Authorization": scope})
    with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
        found = xml.etree.ElementTree.parse(answer)
    images = [
        (image.findtext("{*}name"), image.findtext("{*}imageId")) for image in found.iterfind("{*}imagesSet/{*}item")
    ]
    return max(images)[1]
