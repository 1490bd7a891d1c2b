"""Launch templates and launches from them."""

import base64

from harness import FIXED_IMAGE, Case


class LaunchTemplates(Case):
    data = {
        "ImageId": FIXED_IMAGE,
        "InstanceType": "c5.large",
        "UserData": base64.b64encode(b"#!/bin/sh\ntrue\n").decode(),
        "InstanceInitiatedShutdownBehavior": "terminate",
        "MetadataOptions": {"HttpTokens": "required"},
        "IamInstanceProfile": {"Name": "p"},
        "BlockDeviceMappings": [{"DeviceName": "/dev/xvda", "Ebs": {"VolumeSize": 20, "VolumeType": "gp3", "Encrypted": True}}],
        "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "1"}]}],
    }

    def test_templates_live_through_their_versions(self):
        made = self.ec2.create_launch_template(LaunchTemplateName="spawn-x", LaunchTemplateData=self.data, ClientToken="c")["LaunchTemplate"]
        again = self.ec2.create_launch_template(LaunchTemplateName="spawn-x", LaunchTemplateData=self.data, ClientToken="c")["LaunchTemplate"]
        self.assertEqual(made, again)
        taken = self.refused("InvalidLaunchTemplateName.AlreadyExistsException", self.ec2.create_launch_template, LaunchTemplateName="spawn-x", LaunchTemplateData=self.data)
        self.assertEqual(taken, "Launch template name already in use.")
        version = self.ec2.create_launch_template_version(
            LaunchTemplateName="spawn-x", SourceVersion="1", LaunchTemplateData={"InstanceType": "c5.xlarge"}
        )["LaunchTemplateVersion"]
        self.assertEqual(version["VersionNumber"], 2)
        self.assertEqual(version["LaunchTemplateData"]["InstanceType"], "c5.xlarge")
        self.assertEqual(version["LaunchTemplateData"]["ImageId"], FIXED_IMAGE)
        shown = self.ec2.describe_launch_template_versions(LaunchTemplateId=made["LaunchTemplateId"], Versions=["1"])["LaunchTemplateVersions"][0]
        given = dict(self.data)
        self.assertEqual(shown["LaunchTemplateData"], given)
        listed = self.ec2.describe_launch_templates(LaunchTemplateNames=["spawn-x"])["LaunchTemplates"][0]
        self.assertEqual((listed["LatestVersionNumber"], listed["DefaultVersionNumber"]), (2, 1))
        self.ec2.modify_launch_template(LaunchTemplateName="spawn-x", DefaultVersion="2")
        latest = self.ec2.describe_launch_template_versions(Versions=["$Default"])["LaunchTemplateVersions"][0]
        self.assertEqual(latest["VersionNumber"], 2)
        self.ec2.delete_launch_template(LaunchTemplateName="spawn-x")
        self.refused("InvalidLaunchTemplateName.NotFoundException", self.ec2.describe_launch_templates, LaunchTemplateNames=["spawn-x"])
        self.refused("InvalidLaunchTemplateId.NotFound", self.ec2.delete_launch_template, LaunchTemplateId=made["LaunchTemplateId"])
        self.refused("InvalidLaunchTemplateName.MalformedException", self.ec2.create_launch_template, LaunchTemplateName="a b", LaunchTemplateData=self.data)

    def test_a_launch_overrides_its_template(self):
        made = self.ec2.create_launch_template(LaunchTemplateName="spawn-y", LaunchTemplateData=self.data)["LaunchTemplate"]
        one = self.ec2.run_instances(
            LaunchTemplate={"LaunchTemplateId": made["LaunchTemplateId"], "Version": "$Latest"},
            MinCount=1,
            MaxCount=1,
            InstanceType="c5.2xlarge",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "b", "Value": "2"}]}],
            ClientToken="y",
        )["Instances"][0]
        tags = {tag["Key"]: tag["Value"] for tag in one["Tags"]}
        self.assertEqual((one["InstanceType"], tags["a"], tags["b"]), ("c5.2xlarge", "1", "2"))
        self.assertEqual(tags["aws:ec2launchtemplate:version"], "1")
        # `$Latest` means another request once there is a new version.
        self.ec2.create_launch_template_version(LaunchTemplateName="spawn-y", LaunchTemplateData=self.data)
        self.refused(
            "IdempotentParameterMismatch",
            self.ec2.run_instances,
            LaunchTemplate={"LaunchTemplateId": made["LaunchTemplateId"], "Version": "$Latest"},
            MinCount=1,
            MaxCount=1,
            InstanceType="c5.2xlarge",
            TagSpecifications=[{"ResourceType": "instance", "Tags": [{"Key": "b", "Value": "2"}]}],
            ClientToken="y",
        )
        self.refused(
            "InvalidLaunchTemplateId.VersionNotFound",
            self.ec2.run_instances,
            LaunchTemplate={"LaunchTemplateName": "spawn-y", "Version": "7"},
            MinCount=1,
            MaxCount=1,
        )
