"""Stopping, starting, ending, protecting."""

import time

from harness import Case, described, ids_of, state, wait_state


class States(Case):
    def test_stop_and_start(self):
        one = ids_of(self.run_one())[0]
        wait_state(self.ec2, one, "running")
        self.refused("UnsupportedHibernationConfiguration", self.ec2.stop_instances, InstanceIds=[one], Hibernate=True)
        self.ec2.stop_instances(InstanceIds=[one])
        self.refused("IncorrectInstanceState", self.ec2.start_instances, InstanceIds=[one])
        wait_state(self.ec2, one, "stopped")
        change = self.ec2.start_instances(InstanceIds=[one])["StartingInstances"][0]
        self.assertEqual(change["CurrentState"]["Name"], "pending")
        wait_state(self.ec2, one, "running")

    def test_hibernation_needs_its_option(self):
        root = [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "Encrypted": True}}]
        self.refused("UnsupportedHibernationConfiguration", self.run_one, InstanceType="m5.large", HibernationOptions={"Configured": True})
        self.refused("UnsupportedHibernationConfiguration", self.run_one, InstanceType="g4dn.xlarge", HibernationOptions={"Configured": True}, BlockDeviceMappings=root)
        one = ids_of(self.run_one(InstanceType="m5.large", HibernationOptions={"Configured": True}, BlockDeviceMappings=root))[0]
        wait_state(self.ec2, one, "running")
        self.ec2.stop_instances(InstanceIds=[one], Hibernate=True)
        wait_state(self.ec2, one, "stopped")
        self.assertEqual(described(self.ec2, InstanceIds=[one])[0]["StateReason"]["Code"], "Client.UserInitiatedHibernate")

    def test_one_unknown_id_fails_the_whole_call(self):
        one = ids_of(self.run_one())[0]
        wait_state(self.ec2, one, "running")
        self.refused("InvalidInstanceID.NotFound", self.ec2.terminate_instances, InstanceIds=[one, "i-00000000000000000"])
        self.refused("InvalidInstanceID.Malformed", self.ec2.terminate_instances, InstanceIds=[one, "i-x"])
        self.assertEqual(state(self.ec2, one), "running")

    def test_protection_and_attributes(self):
        one = ids_of(self.run_one())[0]
        self.ec2.modify_instance_attribute(InstanceId=one, DisableApiTermination={"Value": True})
        shown = self.ec2.describe_instance_attribute(InstanceId=one, Attribute="disableApiTermination")
        self.assertEqual(shown["DisableApiTermination"], {"Value": True})
        self.refused("OperationNotPermitted", self.ec2.terminate_instances, InstanceIds=[one])
        self.ec2.modify_instance_attribute(InstanceId=one, InstanceInitiatedShutdownBehavior={"Value": "terminate"})
        group = self.ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]
        self.ec2.modify_instance_attribute(InstanceId=one, Groups=[group])
        self.refused("InvalidGroup.NotFound", self.ec2.modify_instance_attribute, InstanceId=one, Groups=["sg-00000000000000000"])
        wait_state(self.ec2, one, "running")
        # Protection is against the API, not against the instance itself.
        self.sim.control(f"instances/{one}/shutdown", {})
        wait_state(self.ec2, one, "terminated")
        self.assertEqual(described(self.ec2, InstanceIds=[one])[0]["StateReason"]["Code"], "Client.InstanceInitiatedShutdown")

    def test_a_shutdown_from_inside_follows_the_behaviour(self):
        stops = ids_of(self.run_one())[0]
        ends = ids_of(self.run_one(InstanceInitiatedShutdownBehavior="terminate"))[0]
        for one, wanted in ((stops, "stopped"), (ends, "terminated")):
            wait_state(self.ec2, one, "running")
            self.sim.control(f"instances/{one}/shutdown", {"minutes": 0})
            wait_state(self.ec2, one, wanted)

    def test_a_timer_can_be_replaced_and_cancelled(self):
        self.sim.control("timing", {"time_scale": 600})
        one = ids_of(self.run_one(InstanceInitiatedShutdownBehavior="terminate"))[0]
        wait_state(self.ec2, one, "running")
        self.sim.control(f"instances/{one}/shutdown", {"minutes": 2})
        self.sim.control(f"instances/{one}/shutdown", {"cancel": True})
        time.sleep(0.4)
        self.assertEqual(state(self.ec2, one), "running")
        self.sim.control(f"instances/{one}/shutdown", {"minutes": 600})
        self.sim.control(f"instances/{one}/shutdown", {"minutes": 1})
        wait_state(self.ec2, one, "terminated")
