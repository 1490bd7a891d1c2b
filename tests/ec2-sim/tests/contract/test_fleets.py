"""CreateFleet of type instant."""


from harness import FIXED_IMAGE, Case, described, until


class Fleets(Case):
    def setUp(self):
        super().setUp()
        data = {"ImageId": FIXED_IMAGE, "InstanceInitiatedShutdownBehavior": "terminate"}
        made = self.ec2.create_launch_template(LaunchTemplateName="fleet", LaunchTemplateData=data)
        self.template = made["LaunchTemplate"]["LaunchTemplateId"]

    def request(self, total, overrides, market="spot", options=None, **more):
        name = "SpotOptions" if market == "spot" else "OnDemandOptions"
        default = "price-capacity-optimized" if market == "spot" else "lowest-price"
        return {
            "Type": "instant",
            "LaunchTemplateConfigs": [
                {
                    "LaunchTemplateSpecification": {"LaunchTemplateId": self.template, "Version": "1"},
                    "Overrides": overrides,
                }
            ],
            "TargetCapacitySpecification": {"TotalTargetCapacity": total, "DefaultTargetCapacityType": market},
            name: {"AllocationStrategy": default, **(options or {})},
            **more,
        }

    def types(self, answer):
        return {one["InstanceType"]: len(one["InstanceIds"]) for one in answer["Instances"]}

    def test_a_fleet_takes_the_cheapest_pool_and_answers_a_repeat_alike(self):
        overrides = [{"InstanceType": "c5.xlarge"}, {"InstanceType": "c5.large"}]
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "k", "Value": "v"}]}]
        request = self.request(4, overrides, ClientToken="f", TagSpecifications=tags)
        first = self.ec2.create_fleet(**request)
        self.assertEqual(self.types(first), {"c5.large": 4})
        self.assertEqual(first["Instances"][0]["Lifecycle"], "spot")
        again = self.ec2.create_fleet(**request)
        self.assertEqual((again["FleetId"], again["Instances"]), (first["FleetId"], first["Instances"]))
        self.assertEqual(len(described(self.ec2)), 4)
        self.refused("IdempotentParameterMismatch", self.ec2.create_fleet, **{**request, **self.request(5, overrides)})
        one = described(self.ec2)[0]
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        self.assertEqual((tags["k"], tags["aws:ec2:fleet-id"]), ("v", first["FleetId"]))
        self.assertEqual(self.ec2.describe_fleets(FleetIds=[first["FleetId"]])["Fleets"][0]["Type"], "instant")
        self.ec2.delete_fleets(FleetIds=[first["FleetId"]], TerminateInstances=True)
        until(lambda: all(one["State"]["Name"] == "terminated" for one in described(self.ec2)), "end of the fleet")

    def test_a_partial_fleet_says_why(self):
        self.sim.fault(kind="pool-dry", instance_type="c5.large")
        self.sim.fault(kind="pool-dry", instance_type="c5.xlarge", capacity=2)
        zone = {"AvailabilityZone": "us-east-1a"}
        overrides = [{"InstanceType": "c5.large", **zone}, {"InstanceType": "c5.xlarge", **zone}, {"InstanceType": "c5.nano", **zone}]
        answer = self.ec2.create_fleet(**self.request(5, overrides))
        self.assertEqual(self.types(answer), {"c5.xlarge": 2})
        codes = {one["LaunchTemplateAndOverrides"]["Overrides"]["InstanceType"]: one["ErrorCode"] for one in answer["Errors"]}
        self.assertEqual(
            codes,
            {"c5.large": "InsufficientInstanceCapacity", "c5.xlarge": "InsufficientInstanceCapacity", "c5.nano": "InvalidParameterValue"},
        )

    def test_min_target_capacity_launches_all_or_nothing(self):
        self.sim.fault(kind="pool-dry", capacity=3)
        overrides = [{"InstanceType": "c5.large"}]
        answer = self.ec2.create_fleet(**self.request(8, overrides, options={"MinTargetCapacity": 5, "SingleAvailabilityZone": True}))
        self.assertEqual(answer["Instances"], [])
        self.assertIn("UnfulfillableCapacity", {one["ErrorCode"] for one in answer["Errors"]})
        self.refused("InvalidParameterCombination", self.ec2.create_fleet, **self.request(8, overrides, options={"MinTargetCapacity": 5}))

    def test_single_instance_type_does_not_mix(self):
        zone = {"AvailabilityZone": "us-east-1a"}
        self.sim.fault(kind="pool-dry", instance_type="c5.large", capacity=2)
        overrides = [{"InstanceType": "c5.large", **zone}, {"InstanceType": "c5.xlarge", **zone}]
        mixed = self.ec2.create_fleet(**self.request(4, overrides))
        self.assertEqual(self.types(mixed), {"c5.large": 2, "c5.xlarge": 2})
        self.sim.control("faults", method="DELETE")
        self.sim.fault(kind="pool-dry", instance_type="c5.large", capacity=2)
        single = self.ec2.create_fleet(**self.request(4, overrides, options={"SingleInstanceType": True}))
        self.assertEqual(self.types(single), {"c5.xlarge": 4})

    def test_on_demand_and_priorities(self):
        overrides = [{"InstanceType": "c5.large", "Priority": 2}, {"InstanceType": "c5.4xlarge", "Priority": 1}]
        answer = self.ec2.create_fleet(**self.request(2, overrides, market="on-demand", options={"AllocationStrategy": "prioritized"}))
        self.assertEqual(self.types(answer), {"c5.4xlarge": 2})
        self.assertEqual(answer["Instances"][0]["Lifecycle"], "on-demand")
        self.refused("InvalidParameterValue", self.ec2.create_fleet, **{**self.request(1, overrides), "Type": "maintain"})

    def test_quotas_strike_a_fleet_too(self):
        self.sim.control("quotas", {"class": "standard", "market": "spot", "vcpus": 4})
        answer = self.ec2.create_fleet(**self.request(4, [{"InstanceType": "c5.large"}]))
        self.assertEqual(answer["Instances"], [])
        self.assertEqual({one["ErrorCode"] for one in answer["Errors"]}, {"MaxSpotInstanceCountExceeded"})
