"""Faults of the control API, quotas and token buckets."""

import json
import time
import urllib.error

from botocore.exceptions import ClientError, ConnectionClosedError, EndpointConnectionError, HTTPClientError

from harness import FAST, FIXED_IMAGE, Case, described, ids_of, until, wait_state


class Faults(Case):
    def test_dry_pools(self):
        self.sim.fault(kind="pool-dry", region="us-east-1", zone="us-east-1a", instance_type="c5.*", market="on-demand")
        message = self.refused(
            "InsufficientInstanceCapacity", self.run_one, InstanceType="c5.large", Placement={"AvailabilityZone": "us-east-1a"}, status=500
        )
        self.assertIn("We currently do not have sufficient c5.large capacity in the Availability Zone you requested (us-east-1a)", message)
        # Without a named zone EC2 takes another.
        self.assertEqual(self.run_one(InstanceType="c5.large")["Instances"][0]["Placement"]["AvailabilityZone"], "us-east-1b")
        self.sim.control("faults", method="DELETE")
        self.sim.fault(kind="pool-dry", capacity=3)
        self.assertEqual(len(ids_of(self.run_one(MinCount=1, MaxCount=10, Placement={"AvailabilityZone": "us-east-1a"}))), 3)
        self.sim.control("faults", method="DELETE")
        self.sim.fault(kind="pool-dry", market="spot", count=1)
        spot = {"InstanceMarketOptions": {"MarketType": "spot"}}
        message = self.refused("InsufficientInstanceCapacity", self.run_one, status=500, **spot)
        self.assertEqual(message, "There is no Spot capacity available that matches your request.")
        self.run_one(**spot)

    def test_errors_and_throttling(self):
        self.sim.fault(kind="throttle", action="RunInstances", count=2)
        for _ in range(2):
            self.refused("RequestLimitExceeded", self.run_one, status=503)
        self.run_one()
        self.sim.fault(kind="error", action="Terminate*", code="InternalError", count=1)
        self.refused("InternalError", self.ec2.terminate_instances, InstanceIds=["i-00000000000000000"], status=500)
        calls = self.sim.control("calls")
        self.assertEqual((calls["RunInstances"]["total"], calls["RunInstances"]["ok"]), (3, 1))
        self.assertEqual(calls["RunInstances"]["errors"], {"RequestLimitExceeded": 2})

    def test_a_lost_response_has_taken_effect(self):
        self.sim.fault(kind="lost-response", action="RunInstances", count=1)
        with self.assertRaises((ConnectionClosedError, EndpointConnectionError, HTTPClientError)):
            self.run_one(MaxCount=3, ClientToken="lost")
        self.assertEqual(len(described(self.ec2)), 3)
        self.assertEqual(len(ids_of(self.run_one(MaxCount=3, ClientToken="lost"))), 3)
        self.assertEqual(len(described(self.ec2)), 3)

    def test_hanging_and_slow_calls(self):
        self.sim.fault(kind="hang", action="RunInstances", count=1)
        with self.assertRaises(HTTPClientError):
            self.run_one(self.sim.client(read_timeout=0.3))
        self.assertEqual(described(self.ec2), [])
        self.sim.fault(kind="latency", action="RunInstances", ms=300, count=1)
        began = time.monotonic()
        self.run_one()
        self.assertGreaterEqual(time.monotonic() - began, 0.3)

    def test_quotas(self):
        self.sim.control("quotas", {"region": "us-east-1", "class": "standard", "market": "on-demand", "vcpus": 4})
        self.run_one(MaxCount=2)
        message = self.refused("VcpuLimitExceeded", self.run_one)
        self.assertIn("your current vCPU limit of 4", message)
        self.run_one(self.sim.client("us-west-2"))

    def test_spot_interruption(self):
        self.sim.control("timing", {"time_scale": 240})
        one = ids_of(self.run_one(InstanceMarketOptions={"MarketType": "spot"}))[0]
        wait_state(self.ec2, one, "running")
        self.sim.control(f"instances/{one}/rebalance", {})
        self.sim.control(f"instances/{one}/interrupt", {"notice_s": 120})
        wait_state(self.ec2, one, "terminated")
        self.assertEqual(described(self.ec2, InstanceIds=[one])[0]["StateReason"]["Code"], "Server.SpotInstanceTermination")
        until(lambda: self.gateway.states(one)[-1:] == ["terminated"], "the last event")
        kinds = [event["DetailType"] for event in self.gateway.events]
        self.assertIn("EC2 Instance Rebalance Recommendation", kinds)
        warning = next(event for event in self.gateway.events if event["DetailType"] == "EC2 Spot Instance Interruption Warning")
        self.assertEqual(json.loads(warning["Detail"]), {"instance-id": one, "instance-action": "terminate"})
        self.sim.control("timing", {"time_scale": 1})

    def test_events_are_lost_doubled_and_late(self):
        self.sim.fault(kind="lost-event", state="pending")
        self.sim.fault(kind="duplicate-event", state="running")
        self.sim.fault(kind="late-event", state="shutting-down", ms=400)
        one = ids_of(self.run_one())[0]
        wait_state(self.ec2, one, "running")
        self.ec2.terminate_instances(InstanceIds=[one])
        until(lambda: len(self.gateway.states(one)) == 4, "the events")
        self.assertEqual(self.gateway.states(one), ["running", "running", "terminated", "shutting-down"])

    def test_the_gateway_may_be_away_for_a_moment(self):
        self.gateway.fail_next = 3
        one = ids_of(self.run_one())[0]
        until(lambda: self.gateway.states(one) == ["pending", "running"], "the events")

    def test_events_travel_in_batches(self):
        del self.gateway.batch_sizes[:]
        self.run_one(MaxCount=60)
        until(lambda: len(self.gateway.events) == 120, "the events")
        self.assertLess(len(self.gateway.batch_sizes), 60)

    def test_a_misspelt_fault_is_refused(self):
        with self.assertRaises(urllib.error.HTTPError) as caught:
            self.sim.fault(kind="throttle", acton="x")
        self.assertEqual(caught.exception.code, 400)
        caught.exception.close()


class Throttling(Case):
    arguments = FAST

    def test_the_documented_buckets(self):
        codes = []
        for _ in range(9):
            try:
                self.run_one()
                codes.append("ok")
            except ClientError as error:
                codes.append(error.response["Error"]["Code"])
        self.assertEqual(codes[:5], ["ok"] * 5)
        self.assertIn("RequestLimitExceeded", codes[5:])
        self.sim.control("buckets", {"sizes": {"RunInstances": {"capacity": 100, "refill_per_s": 100}}})
        self.refused("RequestLimitExceeded", self.run_one, MaxCount=1001, status=503)
        self.run_one(MaxCount=900)
        self.refused("RequestLimitExceeded", self.run_one, MaxCount=200, status=503)
        # A region of its own has buckets of its own.
        self.run_one(self.sim.client("us-west-2"), MaxCount=200)
        data = {"ImageId": FIXED_IMAGE, "InstanceType": "c5.large"}
        self.ec2.create_launch_template(LaunchTemplateName="throttled", LaunchTemplateData=data)
        fleet = self.ec2.create_fleet(
            Type="instant",
            LaunchTemplateConfigs=[{"LaunchTemplateSpecification": {"LaunchTemplateName": "throttled", "Version": "$Latest"}}],
            TargetCapacitySpecification={"TotalTargetCapacity": 200, "DefaultTargetCapacityType": "on-demand"},
        )
        self.assertEqual(fleet["Instances"], [])
        self.assertEqual({one["ErrorCode"] for one in fleet["Errors"]}, {"RequestLimitExceeded"})
        self.sim.control("buckets", {"enabled": False})
        self.run_one(MaxCount=500)
        self.sim.control("buckets", {"enabled": True})
