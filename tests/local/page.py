"""The page of live sweeps: `GET /_spawn` of the gateway. It is drawn by the deployed function that draws the dashboard's widget, so
that what is seen here is what is seen there."""

import asyncio
import json
import urllib.error
import urllib.parse
import urllib.request

# No bucket's name begins so: a path-style request of S3 cannot be meant.
PATH = "/_spawn"
FUNCTION = "spawn-describe-sweeps"
TIMEOUT_S = 30


def beside(app, port):
    """The ASGI application `app`, with the page."""

    async def with_page(scope, receive, send):
        if scope["type"] != "http" or scope["path"].rstrip("/") != PATH:
            await app(scope, receive, send)
            return
        query = urllib.parse.parse_qs(scope.get("query_string", b"").decode())
        event = {"is_page": True, "sweep_id": query.get("sweep_id", [""])[0]}
        status, kind, body = await asyncio.get_running_loop().run_in_executor(None, draw, port, event)
        headers = [(b"content-type", kind), (b"cache-control", b"no-store"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return with_page


def draw(port, event):
    """Status, content type and body of the page."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/2015-03-31/functions/{FUNCTION}/invocations", json.dumps(event).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
            page = json.load(answer)
    except (OSError, ValueError) as error:
        return 503, b"text/plain; charset=utf-8", f"{FUNCTION} does not answer: {error}\n".encode()
    if not isinstance(page, str):
        return 502, b"text/plain; charset=utf-8", f"{FUNCTION} has failed: {json.dumps(page)}\n".encode()
    return 200, b"text/html; charset=utf-8", page.encode()
