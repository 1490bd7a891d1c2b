"""Describe calls: instances, tags, and what EC2 offers."""

import datetime

from harness import FIXED_IMAGE, Case, described, ids_of, until, wait_state


class Describing(Case):
    def test_filters(self):
        def tags(value):
            return [{"ResourceType": "instance", "Tags": [{"Key": "spawn:sweep-id", "Value": value}]}]

        one = ids_of(self.run_one(TagSpecifications=tags("alpha-1"), InstanceType="c5.large"))[0]
        other = ids_of(self.run_one(TagSpecifications=tags("beta-1"), Placement={"AvailabilityZone": "us-east-1b"}))[0]
        vpc = self.ec2.describe_vpcs()["Vpcs"][0]["VpcId"]

        def found(*filters):
            return {seen["InstanceId"] for seen in described(self.ec2, Filters=[{"Name": name, "Values": values} for name, values in filters])}

        self.assertEqual(found(("tag:spawn:sweep-id", ["alpha-*"])), {one})
        self.assertEqual(found(("tag-key", ["spawn:*"])), {one, other})
        self.assertEqual(found(("instance-type", ["c5.*"])), {one})
        self.assertEqual(found(("instance-id", [other])), {other})
        self.assertEqual(found(("availability-zone", ["us-east-1b", "us-east-1c"])), {other})
        self.assertEqual(found(("vpc-id", [vpc]), ("image-id", [FIXED_IMAGE])), {one, other})
        self.assertEqual(found(("instance-lifecycle", ["spot"])), set())
        wait_state(self.ec2, one, "running")
        self.assertIn(one, found(("instance-state-name", ["running"])))
        self.refused("InvalidParameterValue", self.ec2.describe_instances, Filters=[{"Name": "colour", "Values": ["red"]}])

    def test_pages(self):
        self.run_one(MaxCount=7)
        self.run_one(MaxCount=6)
        first = self.ec2.describe_instances(MaxResults=5)
        self.assertEqual(sum(len(group["Instances"]) for group in first["Reservations"]), 5)
        self.assertEqual(len(described(self.ec2, PaginationConfig={"PageSize": 5})), 13)
        one = first["Reservations"][0]["Instances"][0]["InstanceId"]
        self.refused("InvalidParameterCombination", self.ec2.describe_instances, InstanceIds=[one], MaxResults=5)
        self.refused("InvalidParameterValue", self.ec2.describe_instances, MaxResults=4)
        self.refused("InvalidNextToken", self.ec2.describe_instances, NextToken="x")

    def test_status(self):
        one = ids_of(self.run_one())[0]
        wait_state(self.ec2, one, "running")
        status = self.ec2.describe_instance_status(InstanceIds=[one])["InstanceStatuses"][0]
        self.assertEqual(status["InstanceStatus"]["Status"], "ok")
        self.ec2.stop_instances(InstanceIds=[one])
        wait_state(self.ec2, one, "stopped")
        self.assertEqual(self.ec2.describe_instance_status()["InstanceStatuses"], [])
        shown = self.ec2.describe_instance_status(IncludeAllInstances=True)["InstanceStatuses"]
        self.assertEqual([status["InstanceState"]["Name"] for status in shown], ["stopped"])

    def test_eventual_consistency(self):
        self.sim.control("timing", {"describe_lag_ms": 400})
        one = ids_of(self.run_one())[0]
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[one])
        self.refused("InvalidInstanceID.NotFound", self.ec2.create_tags, Resources=[one], Tags=[{"Key": "a", "Value": "b"}])
        self.assertEqual(described(self.ec2), [])
        until(lambda: described(self.ec2), "the instance to be seen")
        wait_state(self.ec2, one, "running")
        self.sim.control("timing", {"describe_lag_ms": 0})

    def test_terminated_instances_are_forgotten_after_their_time(self):
        self.sim.control("timing", {"terminated_visible_s": 0})
        one = ids_of(self.run_one())[0]
        self.ec2.terminate_instances(InstanceIds=[one])
        until(lambda: not described(self.ec2), "the instance to be forgotten")
        self.refused("InvalidInstanceID.NotFound", self.ec2.describe_instances, InstanceIds=[one])
        self.sim.control("timing", {"terminated_visible_s": 3600})

    def test_tags(self):
        one, other = ids_of(self.run_one(MaxCount=2))
        self.ec2.create_tags(Resources=[one, other], Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": ""}])
        self.ec2.delete_tags(Resources=[one], Tags=[{"Key": "a", "Value": "2"}, {"Key": "b"}])
        shown = self.ec2.describe_tags(Filters=[{"Name": "resource-id", "Values": [one]}])["Tags"]
        self.assertEqual([(tag["Key"], tag["Value"], tag["ResourceType"]) for tag in shown], [("a", "1", "instance")])
        self.refused("InvalidInstanceID.NotFound", self.ec2.create_tags, Resources=[one, "i-00000000000000000"], Tags=[{"Key": "c", "Value": ""}])
        self.refused("TagLimitExceeded", self.ec2.create_tags, Resources=[other], Tags=[{"Key": f"k{n}", "Value": ""} for n in range(50)])
        self.assertEqual(len(described(self.ec2, InstanceIds=[other])[0]["Tags"]), 2)

    def test_unknown_actions(self):
        message = self.refused("InvalidAction", self.ec2.describe_key_pairs)
        self.assertEqual(message, "The action DescribeKeyPairs is not valid for this web service.")


class Catalogue(Case):
    def test_instance_types(self):
        one = self.ec2.describe_instance_types(InstanceTypes=["c5.4xlarge"])["InstanceTypes"][0]
        self.assertEqual((one["VCpuInfo"]["DefaultVCpus"], one["MemoryInfo"]["SizeInMiB"]), (16, 32768))
        self.assertTrue(one["HibernationSupported"])
        gpu = self.ec2.describe_instance_types(InstanceTypes=["g4dn.xlarge"])["InstanceTypes"][0]["GpuInfo"]
        self.assertEqual((gpu["Gpus"][0]["Name"], gpu["TotalGpuMemoryInMiB"]), ("T4", 16384))
        arm = [{"Name": "processor-info.supported-architecture", "Values": ["arm64"]}, {"Name": "instance-type", "Values": ["c7g.*"]}]
        pages = self.ec2.get_paginator("describe_instance_types").paginate(Filters=arm, PaginationConfig={"PageSize": 5})
        names = [one["InstanceType"] for page in pages for one in page["InstanceTypes"]]
        self.assertIn("c7g.4xlarge", names)
        everything = self.ec2.describe_instance_types()["InstanceTypes"]
        self.assertGreater(len(everything), 400)
        self.refused("InvalidInstanceType", self.ec2.describe_instance_types, InstanceTypes=["c5.huge"])

    def test_offerings(self):
        by_zone = self.ec2.describe_instance_type_offerings(LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": ["t3.micro"]}])
        zones = {one["Location"] for one in by_zone["InstanceTypeOfferings"]}
        self.assertEqual(zones, {f"us-east-1{letter}" for letter in "abcdf"})
        scarce = [{"Name": "instance-type", "Values": ["p4d.24xlarge"]}]
        self.assertEqual(self.sim.client("eu-north-1").describe_instance_type_offerings(Filters=scarce)["InstanceTypeOfferings"], [])
        self.assertEqual(len(self.ec2.describe_instance_type_offerings(Filters=scarce)["InstanceTypeOfferings"]), 1)

    def test_spot_prices(self):
        for region, price in (("us-east-1", 0.20), ("us-west-2", 0.22), ("eu-west-1", 0.24)):
            history = self.sim.client(region).describe_spot_price_history(
                InstanceTypes=["c5.4xlarge"], ProductDescriptions=["Linux/UNIX"], StartTime=datetime.datetime.now(datetime.timezone.utc)
            )["SpotPriceHistory"]
            self.assertEqual({one["AvailabilityZone"][:-1] for one in history}, {region})
            self.assertAlmostEqual(min(float(one["SpotPrice"]) for one in history), price)
        windows = self.ec2.describe_spot_price_history(InstanceTypes=["c5.4xlarge"], ProductDescriptions=["Windows"])
        self.assertEqual(windows["SpotPriceHistory"], [])
        pages = self.ec2.get_paginator("describe_spot_price_history").paginate(InstanceTypes=["c5.large", "c5.xlarge"], PaginationConfig={"PageSize": 3})
        self.assertEqual(sum(len(page["SpotPriceHistory"]) for page in pages), 10)

    def test_images(self):
        for region in ("us-east-1", "sa-east-1"):
            ec2 = self.sim.client(region)
            self.assertEqual(ec2.describe_images(ImageIds=[FIXED_IMAGE])["Images"][0]["Architecture"], "x86_64")
            names = [{"Name": "name", "Values": ["al2023-ami-2023.*"]}, {"Name": "architecture", "Values": ["arm64"]}]
            arm = ec2.describe_images(Owners=["amazon"], Filters=names)["Images"]
            self.assertEqual(len(arm), 1)
            self.run_one(ec2, ImageId=arm[0]["ImageId"], InstanceType="t4g.nano")
        self.refused("InvalidAMIID.NotFound", self.ec2.describe_images, ImageIds=["ami-00000000000000000"])
        self.refused("InvalidAMIID.NotFound", self.run_one, ImageId=arm[0]["ImageId"], InstanceType="t4g.nano")

    def test_regions_and_zones(self):
        names = {one["RegionName"] for one in self.ec2.describe_regions()["Regions"]}
        self.assertLessEqual({"us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1", "ap-southeast-1"}, names)
        for name in names:
            zones = self.sim.client(name).describe_availability_zones()["AvailabilityZones"]
            self.assertTrue(2 <= len(zones) <= 6 and all(zone["ZoneName"].startswith(name) for zone in zones))
            self.assertEqual(len(self.sim.client(name).describe_subnets()["Subnets"]), len(zones))
