"""Where instances can be: zones that offer a type, opt-in regions, placement groups, adapters, quotas."""

from harness import Case, described, ids_of, wait_state


class Placing(Case):
    def test_offerings_tell_the_zones_of_a_type(self):
        names = {"Name": "instance-type", "Values": ["c5.large", "t2.micro"]}
        pages = self.ec2.get_paginator("describe_instance_type_offerings")
        zones = {}
        for page in pages.paginate(LocationType="availability-zone", Filters=[names]):
            for offering in page["InstanceTypeOfferings"]:
                zones.setdefault(offering["InstanceType"], set()).add(offering["Location"])
        self.assertEqual(zones["t2.micro"] - zones["c5.large"], {"us-east-1e"})

    def test_an_opt_in_region_is_there_once_it_is_enabled(self):
        def regions(**words):
            return {one["RegionName"]: one["OptInStatus"] for one in self.ec2.describe_regions(**words)["Regions"]}

        self.assertNotIn("af-south-1", regions())
        self.assertEqual(regions(AllRegions=True)["af-south-1"], "not-opted-in")
        there = self.sim.client(region="af-south-1")
        self.refused("AuthFailure", there.describe_availability_zones)
        self.sim.control("regions", {"region": "af-south-1", "enabled": True})
        self.assertEqual(regions()["af-south-1"], "opted-in")
        self.assertEqual(len(there.describe_availability_zones()["AvailabilityZones"]), 3)
        self.assertEqual(regions()["us-east-1"], "opt-in-not-required")

    def test_a_cluster_placement_group_is_in_one_zone_and_takes_no_burstable_types(self):
        made = self.ec2.create_placement_group(
            GroupName="tight",
            Strategy="cluster",
            TagSpecifications=[{"ResourceType": "placement-group", "Tags": [{"Key": "spawn:managed", "Value": "true"}]}],
        )["PlacementGroup"]
        self.assertEqual((made["Strategy"], made["State"]), ("cluster", "available"))
        self.refused("InvalidPlacementGroup.Duplicate", self.ec2.create_placement_group, GroupName="tight")
        shown = self.ec2.describe_placement_groups(GroupNames=["tight"])["PlacementGroups"]
        self.assertEqual(shown[0]["Tags"], [{"Key": "spawn:managed", "Value": "true"}])
        self.refused("InvalidPlacementGroup.Unknown", self.ec2.describe_placement_groups, GroupNames=["loose"])
        group = {"GroupName": "tight"}
        self.refused("InvalidParameterCombination", self.run_one, Placement=group)
        self.refused("InvalidPlacementGroup.Unknown", self.run_one, Placement={"GroupName": "loose"})
        first = self.run_one(InstanceType="c5.large", Placement={**group, "AvailabilityZone": "us-east-1c"})
        second = self.run_one(InstanceType="c5.large", Placement=group)
        self.assertEqual(second["Instances"][0]["Placement"]["AvailabilityZone"], "us-east-1c")
        self.assertEqual(second["Instances"][0]["Placement"]["GroupName"], "tight")
        self.refused("InvalidPlacementGroup.InUse", self.ec2.delete_placement_group, GroupName="tight")
        ids = ids_of(first) + ids_of(second)
        self.ec2.terminate_instances(InstanceIds=ids)
        for one in ids:
            wait_state(self.ec2, one, "terminated")
        self.ec2.delete_placement_group(GroupName="tight")
        self.refused("InvalidPlacementGroup.Unknown", self.ec2.delete_placement_group, GroupName="tight")

    def test_an_adapter_is_for_types_that_support_one(self):
        types = self.ec2.describe_instance_types(InstanceTypes=["c5n.18xlarge", "t3.micro"])["InstanceTypes"]
        facts = {one["InstanceType"]: one for one in types}
        self.assertTrue(facts["c5n.18xlarge"]["NetworkInfo"]["EfaSupported"])
        self.assertFalse(facts["t3.micro"]["NetworkInfo"]["EfaSupported"])
        self.assertIn("cluster", facts["c5n.18xlarge"]["PlacementGroupInfo"]["SupportedStrategies"])
        self.assertNotIn("cluster", facts["t3.micro"]["PlacementGroupInfo"]["SupportedStrategies"])
        adapter = [{"DeviceIndex": 0, "InterfaceType": "efa", "DeleteOnTermination": True}]
        self.refused("InvalidParameterCombination", self.run_one, NetworkInterfaces=adapter)
        one = ids_of(self.run_one(InstanceType="c5n.18xlarge", NetworkInterfaces=adapter))[0]
        shown = described(self.ec2, InstanceIds=[one])[0]["NetworkInterfaces"][0]
        self.assertEqual(shown["InterfaceType"], "efa")

    def test_the_quotas_in_force_are_told(self):
        self.sim.control("quotas", {"vcpus": 8, "class": "standard", "market": "spot", "region": "us-west-2"})
        limits = self.sim.control("quotas/limits?region=us-west-2")
        self.assertEqual(limits["standard"], {"on-demand": 1_000_000, "spot": 8})
        self.assertEqual(self.sim.control("quotas/limits")["standard"]["spot"], 1_000_000)
