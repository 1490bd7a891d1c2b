"""A stand-in of the CloudWatch agent for members that run as local processes: `amazon-cloudwatch-agent-ctl` and the agent itself.

    amazon-cloudwatch-agent-ctl -m ec2 -a append-config -s -c file:/path/to/configuration.json

It takes the configuration that the boot runner wrote, refuses what the agent's own JSON schema refuses, and does by it what the
agent does (github.com/aws/amazon-cloudwatch-agent 1.300048 and later): names and units, dimensions, aggregation, original
metrics that are dropped, the first reading of the processors that yields nothing, OTLP by HTTP. The machine that it reads is
`SPAWN_PROC`, which the simulator of EC2 keeps for each instance.
"""

import http.server
import json
import os
import pathlib
import queue
import signal
import subprocess
import sys
import threading
import time

HOME = pathlib.Path(os.environ.get("SPAWN_ROOT", "/")) / "opt/aws/amazon-cloudwatch-agent"
CONFIGURATIONS = HOME / "etc/amazon-cloudwatch-agent.d"
PID = HOME / "var/amazon-cloudwatch-agent.pid"
PROC = pathlib.Path(os.environ.get("SPAWN_PROC", "/proc"))

# The names that the agent gives to readings, by plugin (docs: "Metrics collected by the CloudWatch agent").
READINGS = {"cpu": {"cpu_usage_active"}, "mem": {"mem_used_percent"}, "nvidia_gpu": {"utilization_gpu"}}
# Units by the agent's internal/cloudwatch/unit.go: CloudWatch's own names, whatever their case.
UNITS = {"": "None", "1": "None", "%": "Percent", "by": "Bytes", "by/s": "Bytes/Second", "mby/s": "Megabytes/Second"}
UNITS |= {name.lower(): name for name in ("None", "Percent", "Bytes", "Bytes/Second", "Megabytes", "Megabytes/Second", "Count")}


class Refused(Exception):
    """The agent does not take this configuration."""


def check(value, keys, where):
    """The schema has no room for other keys in most of its objects, so that a misspelt one is found."""
    if not isinstance(value, dict):
        raise Refused(f"{where} is no object")
    if unknown := value.keys() - keys:
        raise Refused(f"{where}: additional property {sorted(unknown)[0]} is not allowed")


def checked(config):
    check(config, {"agent", "metrics"}, "the configuration")
    agent, metrics = config.get("agent", {}), config["metrics"]
    check(agent, {"region", "metrics_collection_interval", "omit_hostname"}, "agent")
    if not isinstance(agent.get("metrics_collection_interval"), int) or agent["metrics_collection_interval"] < 1:
        raise Refused("agent.metrics_collection_interval is no whole number above 0")
    check(metrics, {"namespace", "aggregation_dimensions", "metrics_collected", "force_flush_interval"}, "metrics")
    collected = metrics["metrics_collected"]
    if not collected:
        raise Refused("metrics.metrics_collected is empty")
    check(collected, {*READINGS, "otlp"}, "metrics.metrics_collected")
    for plugin, part in collected.items():
        where = f"metrics.metrics_collected.{plugin}"
        if plugin == "otlp":
            check(part, {"http_endpoint", "grpc_endpoint", "tls"}, where)
            continue
        more = {"totalcpu", "resources"} if plugin == "cpu" else set()
        check(part, {"measurement", "drop_original_metrics", "append_dimensions", "metrics_collection_interval", *more}, where)
        for measurement in part["measurement"]:
            check(measurement, {"name", "rename", "unit"}, f"{where}.measurement")
            if measurement["name"] not in READINGS[plugin]:
                raise Refused(f"{where}: there is no measurement {measurement['name']}")
        for name, value in part.get("append_dimensions", {}).items():
            if not isinstance(value, str) or not value or "@" in value:
                raise Refused(f"{where}.append_dimensions.{name}: {value!r} is no value")
    return config


class Agent:
    """Reads, aggregates and sends."""

    def __init__(self, config):
        self.config = checked(config)
        self.metrics = config["metrics"]
        self.collected = self.metrics["metrics_collected"]
        self.every = config["agent"]["metrics_collection_interval"]
        self.sets = self.metrics.get("aggregation_dimensions", [])
        self.dropped = {
            measurement.get("rename", measurement["name"])
            for plugin, part in self.collected.items()
            if plugin != "otlp"
            for measurement in part["measurement"]
            if measurement["name"] in part.get("drop_original_metrics", [])
        }
        self.data = queue.SimpleQueue()
        self.ticks = None

    # Readings: dimensions of their own, and a value.
    def cpu(self):
        user, nice, system, idle, iowait, *others = map(int, (PROC / "stat").read_text().split("\n")[0].split()[1:9])
        busy = user + nice + system + sum(others)
        before, self.ticks = self.ticks, (busy, busy + idle + iowait)
        if before and self.ticks[1] > before[1]:
            yield {"cpu": "cpu-total"}, 100 * (busy - before[0]) / (self.ticks[1] - before[1])

    def mem(self):
        lines = (line.split(":") for line in (PROC / "meminfo").read_text().splitlines())
        kib = {name: int(value.split()[0]) for name, value in lines}
        yield {}, 100 * (kib["MemTotal"] - kib["MemAvailable"]) / kib["MemTotal"]

    def nvidia_gpu(self):
        asked = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits"]
        answer = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=True)
        for number, percent in enumerate(answer.stdout.split()):
            yield {"index": str(number), "name": "stand-in"}, float(percent)

    def read(self):
        now = time.time()
        for plugin in READINGS.keys() & self.collected.keys():
            part = self.collected[plugin]
            for own, value in getattr(self, plugin)():
                for measurement in part["measurement"]:
                    name = measurement.get("rename", measurement["name"])
                    self.put(name, measurement.get("unit", ""), own | part.get("append_dimensions", {}), value, now)

    def put(self, name, unit, dimensions, value, at):
        """Once with all dimensions, unless that is dropped, and once for each smaller set of which it has all."""
        sets = [] if name in self.dropped else [dimensions]
        for wanted in self.sets:
            if len(wanted) < len(dimensions) and all(key in dimensions for key in wanted):
                sets.append({key: dimensions[key] for key in wanted})
        for one in sets:
            self.data.put(
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": one[key]} for key in sorted(one)],
                    "Timestamp": at,
                    "Value": value,
                    "Unit": UNITS.get(unit.lower(), "None"),
                    "StorageResolution": 1 if self.every < 60 else 60,
                }
            )

    def take(self, body):
        """A request of OTLP, as JSON; attributes of the resource become dimensions, too."""
        for resource in body["resourceMetrics"]:
            shared = resource.get("resource", {}).get("attributes", [])
            for metric in (metric for scope in resource["scopeMetrics"] for metric in scope["metrics"]):
                for point in metric["gauge"]["dataPoints"]:
                    pairs = [*shared, *point.get("attributes", [])]
                    dimensions = {pair["key"]: pair["value"]["stringValue"] for pair in pairs}
                    value = float(point["asDouble"] if "asDouble" in point else point["asInt"])
                    self.put(metric["name"], metric.get("unit", ""), dimensions, value, int(point["timeUnixNano"]) / 1e9)

    def listen(self):
        agent = self

        class Otlp(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = 404 if self.path != "/v1/metrics" else 415
                if status == 415 and self.headers["Content-Type"] == "application/json":
                    try:
                        agent.take(json.loads(body))
                        status = 200
                    except (KeyError, ValueError, TypeError):
                        status = 400
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        host, port = self.collected["otlp"]["http_endpoint"].rsplit(":", 1)
        server = http.server.ThreadingHTTPServer((host, int(port)), Otlp)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def send(self, client):
        data = []
        while not self.data.empty():
            data.append(self.data.get())
        for start in range(0, len(data), 1000):
            client.put_metric_data(Namespace=self.metrics["namespace"], MetricData=data[start : start + 1000])

    def run(self):
        if "otlp" in self.collected:
            self.listen()
        # It takes a while to load, and the port is waited for.
        import botocore.session

        client = botocore.session.get_session().create_client("cloudwatch", region_name=self.config["agent"]["region"])
        stop = threading.Event()
        signal.signal(signal.SIGTERM, lambda *_: stop.set())
        while not stop.is_set():
            self.read()
            self.send(client)
            stop.wait(self.every)
        self.send(client)


def stop():
    """Ends the agent that runs, if one does."""
    try:
        os.kill(int(PID.read_text()), signal.SIGTERM)
        PID.unlink()
    except (OSError, ValueError):
        pass


def start():
    stop()
    files = sorted(CONFIGURATIONS.glob("file_*.json"))
    if len(files) != 1:
        raise Refused(f"{len(files)} configurations: this stand-in merges none")
    PID.parent.mkdir(parents=True, exist_ok=True)
    # In the process group of its instance, which is ended as a whole.
    command = [sys.executable, __file__, "run", str(files[0])]
    with open(HOME / "agent.log", "ab") as log:
        agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    PID.write_text(str(agent.pid))


def control(words):
    """The control script: the actions and options that the boot runner uses."""
    options = dict(zip(words[0::2], words[1::2])) if "-s" not in words else None
    if options is None:
        rest = [word for word in words if word != "-s"]
        options = dict(zip(rest[0::2], rest[1::2]))
    action, mode = options.get("-a"), options.get("-m")
    if mode != "ec2" or options.keys() - {"-a", "-m", "-c"}:
        raise Refused(f"unknown options: {words}")
    if action in ("append-config", "remove-config"):
        source = pathlib.Path(options["-c"].removeprefix("file:"))
        kept = CONFIGURATIONS / f"file_{source.name}"
        if action == "remove-config":
            kept.unlink(missing_ok=True)
            return
        config = json.loads(source.read_text())
        checked(config)
        CONFIGURATIONS.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(config))
    if action == "stop":
        stop()
    elif action == "start" or "-s" in words:
        start()


def main():
    try:
        if sys.argv[1] == "run":
            Agent(json.loads(pathlib.Path(sys.argv[2]).read_text())).run()
        else:
            control(sys.argv[1:])
    except (Refused, KeyError, ValueError, OSError) as error:
        print(f"Configuration validation failed: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
