"""Starts MiniStack as the gateway of the local stack, with EC2 answered by another server.

    python3 launcher.py --port 4566 --ec2 http://127.0.0.1:4567

MiniStack's own EC2 launches at once, forgets client tokens and tells nobody, so every EC2 call is passed on to `ec2-sim`,
whichever way it came: from a client, or from a state machine. What else is changed of MiniStack stands in `corrections.py`.
It serves 127.0.0.1 only, runs functions as plain processes, and opens no other port.
"""

import argparse
import asyncio
import concurrent.futures
import http.client
import os
import queue
import re
import select
import sys
import urllib.parse
from xml.sax.saxutils import escape

# A region's burst of launch calls, each held for EC2's latency, must not queue here.
EC2_CALLS_AT_ONCE = 64
# Longer than the longest fault that the simulator plays.
EC2_TIMEOUT_S = 120


def settings(port):
    """What MiniStack reads from its environment, and what every function inherits."""
    return {
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        # Functions run as processes; no container is looked for.
        "LAMBDA_EXECUTOR": "local",
        "DOCKER_HOST": "unix:///nonexistent",
        # No MQTT broker, no SFTP server, no state on disk.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PERSIST_STATE": "0",
        "S3_PERSIST": "0",
        "MINISTACK_ACCOUNT_ID": "000000000000",
        "MINISTACK_REGION": "us-east-1",
        # For the functions: this gateway, fixed credentials, and nothing of the user's own set-up.
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }


class Ec2:
    """Passes calls on to the simulator over connections that stay open."""

    def __init__(self, url):
        address = urllib.parse.urlsplit(url)
        self.host, self.port = address.hostname, address.port
        self.idle = queue.LifoQueue()
        self.threads = concurrent.futures.ThreadPoolExecutor(EC2_CALLS_AT_ONCE, thread_name_prefix="ec2")

    async def handle(self, method, path, headers, body, query):
        """MiniStack's handler protocol. It is awaited on more than one event loop, so blocking calls do the work."""
        from ministack.core.responses import get_account_id

        loop = asyncio.get_running_loop()
        headers = of_account(headers, get_account_id())
        return await loop.run_in_executor(self.threads, self.forward, method, path, headers, body, query)

    def forward(self, method, path, headers, body, query):
        target = path + ("?" + urllib.parse.urlencode(query, doseq=True) if query else "")
        kept = {name: value for name, value in headers.items() if name.lower() not in DROPPED_HEADERS}
        connection = self.connection()
        try:
            connection.request(method, target, body=body or b"", headers=kept)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            # Never asked again from here: the call may have taken effect. The client knows its token and may repeat it.
            connection.close()
            return 500, {"Content-Type": "text/xml"}, lost(error)
        self.idle.put(connection)
        return answer.status, {"Content-Type": answer.getheader("Content-Type", "text/xml")}, content

    def connection(self):
        """An idle connection that the simulator has not closed, or a new one."""
        while True:
            try:
                connection = self.idle.get_nowait()
            except queue.Empty:
                return http.client.HTTPConnection(self.host, self.port, timeout=EC2_TIMEOUT_S)
            # Readable while idle means closed, or broken.
            if connection.sock is not None and not select.select([connection.sock], [], [], 0)[0]:
                return connection
            connection.close()


def of_account(headers, account):
    """The headers with the account as access key, by which the simulator knows it. MiniStack knows the account of a session."""
    authorization = headers.get("authorization", "")
    return {**headers, "authorization": re.sub(r"(?<=Credential=)[^/]+", account, authorization)}


# `Host` and the lengths are those of the new request.
DROPPED_HEADERS = {"connection", "content-length", "expect", "host", "keep-alive", "transfer-encoding"}


def lost(error):
    """What EC2 answers when it fails inside; clients treat it as a call whose outcome is unknown."""
    text = escape(f"the connection to ec2-sim was lost: {error or type(error).__name__}")
    return (
        "<Response><Errors><Error><Code>InternalError</Code>"
        f"<Message>{text}</Message></Error></Errors><RequestID>local</RequestID></Response>"
    ).encode()


def serve(name, service, of_state_machines=None):
    """Adds a service that MiniStack does not have: a module with the `TARGET` of its requests and their handler, and if state
    machines call it, its name in their integrations."""
    import ministack.app
    from ministack.core import router
    from ministack.services import stepfunctions

    if of_state_machines:
        stepfunctions._AWS_SDK_SERVICE_MAP[of_state_machines] = {
            "target_prefix": service.TARGET,
            "protocol": "json",
            "service_key": name,
        }

    router.SERVICE_PATTERNS[name] = {"target_prefixes": [service.TARGET]}
    ministack.app.SERVICE_HANDLERS[name] = service.handle


def main():
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--port", type=int, required=True)
    arguments.add_argument("--ec2", required=True, metavar="URL")
    options = arguments.parse_args()
    # Before the import: MiniStack reads most of it while it is being loaded.
    os.environ.update(settings(options.port))

    import ministack.app

    import corrections
    import cost_explorer
    import denials
    import page
    import price_list
    import public_images
    import xray
    from service_quotas import ServiceQuotas

    corrections.apply()
    public_images.apply(options.ec2)
    xray.follow()
    # Every function inherits it.
    os.environ["AWS_XRAY_DAEMON_ADDRESS"] = xray.listen()
    serve("xray", xray)
    serve("pricing", price_list)
    serve("servicequotas", ServiceQuotas(options.ec2))
    serve("ce", cost_explorer, of_state_machines="costexplorer")
    ministack.app.SERVICE_HANDLERS["sts"] = denials.beside(ministack.app.SERVICE_HANDLERS["sts"])
    ministack.app.SERVICE_HANDLERS["ec2"] = Ec2(options.ec2).handle
    ministack.app.app = page.beside(ministack.app.app, options.port)
    sys.argv[1:] = []
    ministack.app.main()


if __name__ == "__main__":
    main()
