"""Every path of spawn-notify, and what wakes it."""

import json

from conftest import Error, until

NOTICE = {"pk": "SWEEP#demo", "sk": "NOTICE#end#abc"}


def test_a_message_is_delivered_and_tried_again_while_it_may_be_taken(stack, changed):
    changed("notify", '"IntervalSeconds": 5', '"IntervalSeconds": 1')
    stack.script["notify/deliver"] = [Error("Spawn.Transient", "503"), {"target": "t", "subject": "s"}]
    assert stack.run("notify", NOTICE)["output"] == {"target": "t", "subject": "s"}
    assert stack.script.asked["notify/deliver"] == [{"deliver": NOTICE}] * 2


def test_a_message_that_is_refused_is_kept_for_a_person(stack):
    stack.script["notify/deliver"] = Error("Spawn.Config", "the webhook refuses: 404")
    ended = stack.run("notify", NOTICE)
    assert (ended["error"], ended["cause"]) == ("Spawn.Config", "Deliver the Message: the webhook refuses: 404")
    queue = stack.outputs["UndeliveredNoticesQueueUrl"]
    [kept] = stack.client("sqs").receive_message(QueueUrl=queue, WaitTimeSeconds=5)["Messages"]
    body = json.loads(kept["Body"])
    assert (body["pk"], body["sk"], body["failure"]["Error"]) == (NOTICE["pk"], NOTICE["sk"], "Spawn.Config")


def test_the_schedule_looks_for_occasions(stack):
    looks = lambda: [event for event in stack.script.asked["notify/look"] if event == {"look": {}}]
    until(looks, "the schedule has called", seconds=90)
