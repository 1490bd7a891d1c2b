"""DecodeAuthorizationMessage of AWS STS, which MiniStack does not have (AWS STS API Reference).

AWS encrypts what a denial says; here it is the JSON of it in base64, with the letters of URLs, as whoever plays a denial has made it.
"""

import base64
import binascii
import json
import urllib.parse
import uuid
from xml.sax.saxutils import escape

ACTION = "DecodeAuthorizationMessage"
NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


def beside(sts):
    """MiniStack's STS, and the one action more."""

    async def handle(method, path, headers, body, query):
        asked = urllib.parse.parse_qs((body or b"").decode("utf-8", errors="replace"))
        asked.update(query)
        if asked.get("Action", [""])[0] != ACTION:
            return await sts(method, path, headers, body, query)
        return answer(asked.get("EncodedMessage", [""])[0])

    return handle


def answer(encoded):
    try:
        decoded = base64.urlsafe_b64decode(encoded).decode()
        json.loads(decoded)
    except (binascii.Error, ValueError):
        return 400, {"Content-Type": "text/xml"}, refusal()
    return 200, {"Content-Type": "text/xml"}, (
        f'<{ACTION}Response xmlns="{NAMESPACE}"><{ACTION}Result><DecodedMessage>{escape(decoded)}</DecodedMessage></{ACTION}Result>'
        f"<ResponseMetadata><RequestId>{uuid.uuid4()}</RequestId></ResponseMetadata></{ACTION}Response>"
    ).encode()


def refusal():
    return (
        f'<ErrorResponse xmlns="{NAMESPACE}"><Error><Type>Sender</Type><Code>InvalidAuthorizationMessageException</Code>'
        "<Message>The message is invalid.</Message></Error>"
        f"<RequestId>{uuid.uuid4()}</RequestId></ErrorResponse>"
    ).encode()
