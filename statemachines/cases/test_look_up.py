"""Every path of spawn-status and spawn-list."""

import pytest
from conftest import SWEEP, Error


@pytest.mark.parametrize("question", ["status", "list"])
def test_a_question_is_answered_at_once(stack, question):
    stack.script[f"describe-sweeps/{question}"] = {"answer": 1}
    ended = stack.ask(question, {"sweep_id": SWEEP})
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", {"answer": 1})
    [asked] = stack.script.asked[f"describe-sweeps/{question}"]
    assert asked[question]["input"] == {"sweep_id": SWEEP}
    assert f":spawn-{question}" in asked[question]["execution_arn"]


@pytest.mark.parametrize("error", ["InvalidInput", "NotFound"])
def test_what_is_wrong_with_a_question_is_told_in_the_functions_words(stack, error):
    words = '2 faults:\n- {"x"}\n- y'
    stack.script["describe-sweeps/status"] = Error(error, words)
    ended = stack.ask("status", {})
    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", error, words)


def test_a_look_up_that_is_throttled_is_made_again(stack):
    stack.script["describe-sweeps/status"] = [Error("Spawn.Throttled"), {"answer": 2}]
    assert stack.ask("status", {"sweep_id": SWEEP})["output"] == {"answer": 2}


def test_a_look_up_that_fails_says_where(stack):
    stack.script["describe-sweeps/list"] = Error("Spawn.Config", "no table")
    ended = stack.ask("list", {})
    assert (ended["error"], ended["cause"]) == ("Spawn.Config", "Look It Up: no table")
