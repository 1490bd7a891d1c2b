"""What instances do: metadata, processes, hollow members."""

import json
import os
import signal
import tempfile
import time
import unittest
import urllib.error
import urllib.request

from harness import FAST, FIXED_IMAGE, Case, Simulator, ids_of, state, until, wait_state


class Metadata(Case):
    def get(self, one, path, token=None):
        headers = {"X-aws-ec2-metadata-token": token} if token else {}
        request = urllib.request.Request(f"{self.sim.url}/imds/{one}/{path}", headers=headers)
        try:
            with urllib.request.urlopen(request) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            error.close()
            return error.code, ""

    def token(self, one, ttl="60"):
        headers = {"X-aws-ec2-metadata-token-ttl-seconds": ttl} if ttl else {}
        request = urllib.request.Request(f"{self.sim.url}/imds/{one}/latest/api/token", method="PUT", headers=headers)
        with urllib.request.urlopen(request) as response:
            return response.read().decode()

    def test_version_two_only(self):
        west = self.sim.client("us-west-2", account="111122223333")
        answer = self.run_one(west, MaxCount=2, UserData="#!/bin/sh\n: ünïcode\n", InstanceMarketOptions={"MarketType": "spot"})
        one = ids_of(answer)[1]
        wait_state(west, one, "running")
        self.assertEqual(self.get(one, "latest/meta-data/instance-id")[0], 401)
        self.assertEqual(self.get(one, "latest/meta-data/instance-id", "wrong")[0], 401)
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.token(one, ttl=None)
        self.assertEqual(caught.exception.code, 400)
        caught.exception.close()
        token = self.token(one)
        self.assertEqual(self.get(ids_of(answer)[0], "latest/meta-data/instance-id", token)[0], 401)
        for path, wanted in (
            ("instance-id", one),
            ("placement/region", "us-west-2"),
            ("placement/availability-zone", "us-west-2a"),
            ("instance-type", "t3.micro"),
            ("ami-launch-index", "1"),
        ):
            self.assertEqual(self.get(one, f"latest/meta-data/{path}", token), (200, wanted))
        document = json.loads(self.get(one, "latest/dynamic/instance-identity/document", token)[1])
        self.assertEqual((document["accountId"], document["region"], document["instanceId"]), ("111122223333", "us-west-2", one))
        self.assertEqual(self.get(one, "latest/user-data", token), (200, "#!/bin/sh\n: ünïcode\n"))
        self.assertEqual(self.get(one, "latest/meta-data/spot/instance-action", token)[0], 404)
        self.sim.control(f"instances/{one}/interrupt", {})
        notice = json.loads(self.get(one, "latest/meta-data/spot/instance-action", token)[1])
        self.assertEqual(notice["action"], "terminate")
        self.assertRegex(notice["time"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")


def read(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def alive(pid):
    """A process may end between the opening of its file, which is then not found, and the reading, which finds no process."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Processes(Case):
    arguments = [*FAST, "--no-throttling", "--mode", "process", "--processes", "2", "--time-scale", "600"]

    def boot(self, script, **more):
        return ids_of(self.run_one(UserData=script, InstanceInitiatedShutdownBehavior="terminate", **more))

    def console(self, one):
        answer = self.ec2.get_console_output(InstanceId=one)
        return answer.get("Output", "")

    def test_user_data_runs_with_its_own_shutdown(self):
        script = """#!/bin/sh
echo "root=$SPAWN_ROOT region=$AWS_DEFAULT_REGION endpoint=$AWS_ENDPOINT_URL imds=$AWS_EC2_METADATA_SERVICE_ENDPOINT"
[ "$PWD" = "$SPAWN_ROOT" ] && echo here; command -v shutdown
shutdown -P +600; shutdown -c; shutdown -h now
sleep 100
"""
        (one,) = self.boot(script)
        wait_state(self.ec2, one, "terminated")
        console = self.console(one)
        self.assertIn(f"endpoint={self.gateway.url}", console)
        self.assertIn(f"imds={self.sim.url}/imds/{one}", console)
        self.assertIn("region=us-east-1", console)
        self.assertIn("here", console)
        self.assertIn(f"/{one}/shim/shutdown", console)

    def test_the_timer_ends_an_instance_that_hangs(self):
        (one,) = self.boot("#!/bin/sh\nshutdown -P +5\nsleep 1000\n")
        wait_state(self.ec2, one, "terminated")

    def test_nothing_of_an_ended_instance_stays(self):
        script = """#!/bin/sh
sleep 1000 & echo "pid $!"
timeout 1000 sleep 1000 & echo "pid $!"
setsid sleep 1000 & echo "pid $!"
trap '' TERM
echo ready
while :; do sleep 1; done
"""
        (one,) = self.boot(script)
        until(lambda: "ready" in self.console(one), "the boot")
        pids = [int(line.split()[1]) for line in self.console(one).splitlines() if line.startswith("pid")]
        self.assertEqual(len(pids), 3)
        self.assertTrue(all(alive(pid) for pid in pids))
        self.ec2.terminate_instances(InstanceIds=[one])
        until(lambda: not any(alive(pid) for pid in pids), "end of the processes")

    def test_later_instances_wait_for_a_slot(self):
        ids = self.boot("#!/bin/sh\necho up\nsleep 1000\n", MaxCount=3)
        for one in ids:
            wait_state(self.ec2, one, "running")
        until(lambda: sum("up" in self.console(one) for one in ids) == 2, "two boots")
        time.sleep(0.3)
        self.assertEqual(sum("up" in self.console(one) for one in ids), 2)
        up = [one for one in ids if "up" in self.console(one)]
        self.ec2.terminate_instances(InstanceIds=up[:1])
        until(lambda: sum("up" in self.console(one) for one in ids) == 3, "the third boot")

    def test_an_instance_goes_on_when_its_user_data_ends(self):
        (one,) = self.boot("#!/bin/sh\nexit 3\n")
        until(lambda: "user data ended, exit status: 3" in self.console(one), "the end of user data")
        self.assertEqual(state(self.ec2, one), "running")

    def test_hibernation_freezes_and_thaws(self):
        root = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True}}]
        script = "#!/bin/sh\nn=0; while :; do n=$((n+1)); echo $n > count; sleep 0.02; done\n"
        (one,) = self.boot(script, InstanceType="m5.large", HibernationOptions={"Configured": True}, BlockDeviceMappings=root)
        path = os.path.join(self.work.name, one, "root", "count")

        def count():
            try:
                with open(path, encoding="utf-8") as file:
                    return int(file.read() or 0)
            except FileNotFoundError:
                return 0

        until(lambda: count() > 2, "the program")
        self.ec2.stop_instances(InstanceIds=[one], Hibernate=True)
        wait_state(self.ec2, one, "stopped")
        frozen = count()
        time.sleep(0.3)
        self.assertLessEqual(abs(count() - frozen), 1)
        self.ec2.start_instances(InstanceIds=[one])
        until(lambda: count() > frozen + 2, "the program to go on")

    def test_halt_leaves_the_instance_running(self):
        (one,) = self.boot("#!/bin/sh\nhalt\nsleep 1000\n")
        until(lambda: "all processes of the instance were ended" in self.console(one), "the halt")
        self.assertEqual(state(self.ec2, one), "running")


class ProcessesEndWithTheSimulator(unittest.TestCase):
    def check(self, how):
        with tempfile.TemporaryDirectory() as work:
            sim = Simulator(*FAST, "--mode", "process", "--work-dir", work)
            script = "#!/bin/sh\ntrap '' TERM INT HUP\nsetsid sleep 1000 & echo $! > stray\necho $$ > own\nwhile :; do sleep 1; done\n"
            answer = sim.client().run_instances(ImageId=FIXED_IMAGE, InstanceType="t3.micro", MinCount=1, MaxCount=1, UserData=script)
            root = os.path.join(work, ids_of(answer)[0], "root")
            until(lambda: read(f"{root}/own").endswith("\n"), "the boot")
            pids = [int(read(f"{root}/{name}")) for name in ("own", "stray")]
            self.assertTrue(all(alive(pid) for pid in pids))
            sim.process.send_signal(how)
            until(lambda: not any(alive(pid) for pid in pids), "end of the processes")
            sim.stop()

    def test_on_sigterm(self):
        self.check(signal.SIGTERM)

    def test_on_sigint(self):
        self.check(signal.SIGINT)

    def test_on_sigkill(self):
        self.check(signal.SIGKILL)


class Hollow(Case):
    arguments = [*FAST, "--no-throttling", "--mode", "hollow", "--hollow-after-ms", "200"]

    def test_members_report_once_their_row_is_there(self):
        ids = ids_of(self.run_one(MaxCount=150, InstanceInitiatedShutdownBehavior="terminate"))
        arns = {one: f"arn:aws:ec2:us-east-1:000000000000:instance/{one}" for one in ids}
        wait_state(self.ec2, ids[-1], "running")
        time.sleep(0.5)
        self.assertEqual(self.sim.control("instances")["states"], {"running": 150})
        for one in ids[:-1]:
            self.gateway.rows[f"INSTANCE#{arns[one]}"] = {}
        until(lambda: self.sim.control("instances")["states"] == {"running": 1, "terminated": 149}, "the reports")
        report = self.gateway.rows[f"INSTANCE#{arns[ids[0]]}"]
        self.assertEqual(report[":code"], {"N": "0"})
        until(lambda: sum(event["Source"] == "spawn.member" for event in self.gateway.events) == 149, "the member events")
        event = next(event for event in self.gateway.events if event["Source"] == "spawn.member")
        self.assertEqual(event["DetailType"], "Spawn Member Report")
        self.assertIn(json.loads(event["Detail"])["instance_arn"], arns.values())
