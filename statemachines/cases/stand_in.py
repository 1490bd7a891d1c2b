"""A stand-in for every function: asks the test what to answer. Speaks Lambda's runtime API, as the real ones do.

    python stand_in.py FUNCTION TEST_URL
"""

import json
import os
import sys
import urllib.error
import urllib.request

RUNTIME = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"


def post(url, body):
    with urllib.request.urlopen(urllib.request.Request(url, data=body, method="POST")) as answer:
        return answer.read()


def main(function, test_url):
    while True:
        with urllib.request.urlopen(f"{RUNTIME}/next") as invocation:
            request = invocation.headers["Lambda-Runtime-Aws-Request-Id"]
            event = invocation.read()
        kind, answer = json.loads(post(f"{test_url}/{function}", event))
        if kind == "die":
            # As a process that the machine killed: no answer, no last word.
            os._exit(137)
        post(f"{RUNTIME}/{request}/{kind}", json.dumps(answer).encode())


if __name__ == "__main__":
    main(*sys.argv[1:])
