"""RunInstances: states, counts, tokens, refusals, networks, spot."""

import datetime

from harness import Case, described, ids_of, until, wait_state


class Launching(Case):
    def test_an_instance_goes_from_pending_to_terminated(self):
        answer = self.run_one(
            TagSpecifications=[
                {"ResourceType": "instance", "Tags": [{"Key": "spawn:sweep-id", "Value": "s-1"}, {"Key": "Name", "Value": "a <b> & \"c\""}]},
                {"ResourceType": "volume", "Tags": [{"Key": "spawn:managed", "Value": "true"}]},
            ],
            MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 1},
            InstanceInitiatedShutdownBehavior="terminate",
            IamInstanceProfile={"Name": "spawn-instance-profile"},
        )
        one = answer["Instances"][0]
        self.assertEqual(answer["OwnerId"], "000000000000")
        self.assertEqual(one["State"], {"Code": 0, "Name": "pending"})
        self.assertEqual(one["StateReason"], {"Code": "pending", "Message": "pending"})
        wait_state(self.ec2, one["InstanceId"], "running")
        seen = described(self.ec2, InstanceIds=[one["InstanceId"]])[0]
        self.assertIn({"Key": "Name", "Value": 'a <b> & "c"'}, seen["Tags"])
        self.assertEqual(seen["MetadataOptions"]["HttpTokens"], "required")
        self.assertEqual(seen["MetadataOptions"]["HttpPutResponseHopLimit"], 1)
        self.assertEqual(seen["IamInstanceProfile"]["Arn"], "arn:aws:iam::000000000000:instance-profile/spawn-instance-profile")
        self.assertEqual(seen["Placement"]["AvailabilityZone"], "us-east-1a")
        self.assertEqual(seen["CpuOptions"], {"CoreCount": 1, "ThreadsPerCore": 2})
        self.assertIsInstance(seen["LaunchTime"], datetime.datetime)
        volume = self.ec2.describe_volumes(VolumeIds=[seen["BlockDeviceMappings"][0]["Ebs"]["VolumeId"]])["Volumes"][0]
        self.assertEqual(volume["Tags"], [{"Key": "spawn:managed", "Value": "true"}])
        self.assertEqual(volume["Attachments"][0]["InstanceId"], one["InstanceId"])
        change = self.ec2.terminate_instances(InstanceIds=[one["InstanceId"]])["TerminatingInstances"][0]
        self.assertEqual((change["PreviousState"]["Name"], change["CurrentState"]["Name"]), ("running", "shutting-down"))
        wait_state(self.ec2, one["InstanceId"], "terminated")
        gone = described(self.ec2, InstanceIds=[one["InstanceId"]])[0]
        self.assertEqual(gone["StateReason"]["Code"], "Client.UserInitiatedShutdown")
        self.assertRegex(gone["StateTransitionReason"], r"^User initiated \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d GMT\)$")
        self.assertNotIn("SubnetId", gone)
        self.assertEqual(gone["BlockDeviceMappings"], [])
        until(lambda: self.gateway.states(one["InstanceId"])[-1:] == ["terminated"], "the last event")
        self.assertEqual(self.gateway.states(one["InstanceId"]), ["pending", "running", "shutting-down", "terminated"])
        event = next(event for event in self.gateway.events if one["InstanceId"] in event["Detail"])
        self.assertEqual(event["Resources"], [f"arn:aws:ec2:us-east-1:000000000000:instance/{one['InstanceId']}"])
        self.assertEqual(event["DetailType"], "EC2 Instance State-change Notification")
        # Terminating again succeeds and changes nothing.
        again = self.ec2.terminate_instances(InstanceIds=[one["InstanceId"]])["TerminatingInstances"][0]
        self.assertEqual(again["PreviousState"]["Name"], "terminated")

    def test_counts_and_launch_index(self):
        answer = self.run_one(MinCount=2, MaxCount=5)
        self.assertEqual([one["AmiLaunchIndex"] for one in answer["Instances"]], [0, 1, 2, 3, 4])
        self.assertEqual(len({one["PrivateIpAddress"] for one in answer["Instances"]}), 5)
        self.refused("InvalidParameterValue", self.run_one, MinCount=0, MaxCount=1)
        self.refused("InvalidParameterCombination", self.run_one, MinCount=2, MaxCount=1)

    def test_a_client_token_launches_once(self):
        first = self.run_one(MaxCount=3, ClientToken="t-1")
        again = self.run_one(MaxCount=3, ClientToken="t-1")
        self.assertEqual(ids_of(first), ids_of(again))
        self.assertEqual(first["ReservationId"], again["ReservationId"])
        self.assertEqual(len(described(self.ec2)), 3)
        self.assertEqual(len(described(self.ec2, Filters=[{"Name": "client-token", "Values": ["t-1"]}])), 3)
        self.refused("IdempotentParameterMismatch", self.run_one, MaxCount=2, ClientToken="t-1")
        self.refused("InvalidParameterValue", self.run_one, ClientToken="x" * 65)
        # A token is known per account, per region, and per zone where one is named.
        for ec2 in (self.sim.client("us-west-2"), self.sim.client(account="111122223333")):
            self.assertNotEqual(ids_of(self.run_one(ec2, MaxCount=3, ClientToken="t-1")), ids_of(first))
        zonal = self.run_one(MaxCount=3, ClientToken="t-1", Placement={"AvailabilityZone": "us-east-1b"})
        self.assertNotEqual(ids_of(zonal), ids_of(first))
        self.ec2.terminate_instances(InstanceIds=ids_of(first)[:1])
        self.refused("IdempotentInstanceTerminated", self.run_one, MaxCount=3, ClientToken="t-1")

    def test_bad_launches_are_refused_as_ec2_does(self):
        self.refused("InvalidAMIID.NotFound", self.run_one, ImageId="ami-00000000000000000")
        self.refused("InvalidAMIID.Malformed", self.run_one, ImageId="al2023")
        self.refused("InvalidParameterValue", self.run_one, InstanceType="c5.huge")
        message = self.refused("InvalidParameterValue", self.run_one, InstanceType="m6g.medium")
        self.assertIn("does not match the architecture", message)
        self.refused("InvalidGroup.NotFound", self.run_one, SecurityGroupIds=["sg-00000000000000000"])
        self.refused("InvalidSubnetID.NotFound", self.run_one, SubnetId="subnet-00000000000000000")
        self.refused("InvalidParameterValue", self.run_one, Placement={"AvailabilityZone": "eu-west-1a"})
        self.refused("InvalidParameterValue", self.run_one, UserData="x" * 16385)
        self.run_one(UserData="x" * 16384)
        self.refused("InvalidParameterValue", self.run_one, TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "aws:x", "Value": ""}]}])
        self.refused("InvalidParameterValue", self.run_one, TagSpecifications=[{"ResourceType": "image", "Tags": [{"Key": "x", "Value": ""}]}])
        message = self.refused("Unsupported", self.run_one, Placement={"AvailabilityZone": "us-east-1e"})
        self.assertIn("us-east-1a, us-east-1b, us-east-1c, us-east-1d, us-east-1f", message)
        self.refused("UnknownParameter", self.run_one, KernelId="aki-1")
        self.refused("DryRunOperation", self.run_one, DryRun=True, status=412)
        self.assertEqual(len(described(self.ec2)), 1)

    def test_networks(self):
        subnets = self.ec2.describe_subnets(Filters=[{"Name": "availability-zone", "Values": ["us-east-1c"]}])["Subnets"]
        self.assertEqual(len(subnets), 1)
        group = self.ec2.describe_security_groups(GroupNames=["default"])["SecurityGroups"][0]
        vpc = self.ec2.describe_vpcs(Filters=[{"Name": "is-default", "Values": ["true"]}])["Vpcs"][0]
        self.assertEqual({subnets[0]["VpcId"], group["VpcId"]}, {vpc["VpcId"]})
        one = self.run_one(SubnetId=subnets[0]["SubnetId"], SecurityGroupIds=[group["GroupId"]])["Instances"][0]
        self.assertEqual(one["Placement"]["AvailabilityZone"], "us-east-1c")
        interface = {"DeviceIndex": 0, "SubnetId": subnets[0]["SubnetId"], "Groups": [group["GroupId"]], "AssociatePublicIpAddress": False}
        hidden = self.run_one(NetworkInterfaces=[interface])["Instances"][0]
        wait_state(self.ec2, hidden["InstanceId"], "running")
        self.assertNotIn("PublicIpAddress", described(self.ec2, InstanceIds=[hidden["InstanceId"]])[0])
        self.refused("InvalidParameterCombination", self.run_one, NetworkInterfaces=[interface], SubnetId=subnets[0]["SubnetId"])

    def test_places_are_isolated(self):
        here = ids_of(self.run_one())[0]
        self.refused("InvalidInstanceID.NotFound", self.sim.client("eu-west-1").describe_instances, InstanceIds=[here])
        self.refused("InvalidInstanceID.NotFound", self.sim.client(account="111122223333").terminate_instances, InstanceIds=[here])
        self.refused("AuthFailure", self.sim.client("mars-north-1").describe_instances)

    def test_spot(self):
        one = self.run_one(InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.01"}})["Instances"][0]
        self.assertEqual(one["InstanceLifecycle"], "spot")
        self.assertRegex(one["SpotInstanceRequestId"], "^sir-")
        self.refused("SpotMaxPriceTooLow", self.run_one, InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"MaxPrice": "0.001"}})
        wait_state(self.ec2, one["InstanceId"], "running")
        self.refused("UnsupportedOperation", self.ec2.stop_instances, InstanceIds=[one["InstanceId"]])
        self.refused("InvalidParameterCombination", self.run_one, InstanceMarketOptions={"MarketType": "spot", "SpotOptions": {"InstanceInterruptionBehavior": "stop"}})
        persistent = {"SpotInstanceType": "persistent", "InstanceInterruptionBehavior": "stop"}
        kept = ids_of(self.run_one(InstanceMarketOptions={"MarketType": "spot", "SpotOptions": persistent}))[0]
        wait_state(self.ec2, kept, "running")
        self.ec2.stop_instances(InstanceIds=[kept])

    def test_peaks_are_counted_by_region_and_sweep(self):
        tags = [{"ResourceType": "instance", "Tags": [{"Key": "spawn:sweep-id", "Value": "s-9"}]}]
        first = ids_of(self.run_one(MaxCount=3, TagSpecifications=tags))
        self.run_one(self.sim.client("us-west-2"), MaxCount=2, TagSpecifications=tags)
        self.run_one(MaxCount=4)
        for one in first:
            wait_state(self.ec2, one, "running")
        self.ec2.terminate_instances(InstanceIds=first)
        peaks = self.sim.control("instances?sweep=s-9")["peaks"]
        self.assertEqual(peaks["sweeps"]["s-9"]["max_live"], 5)
        self.assertEqual(peaks["sweeps"]["s-9"]["regions"]["us-east-1"]["max_live"], 3)
        self.assertEqual(peaks["regions"]["us-east-1"]["max_live"], 7)
        self.assertEqual(len(self.sim.control("instances?sweep=s-9&region=us-west-2")["instances"]), 2)
