"""The picture of live sweeps: the dashboard's widget, and the page of the local stack."""

import json
import re
import shutil
import subprocess
import urllib.request

import pytest

COLOURS = {"running": "#0972d3", "completed": "#29ad32", "failed": "#d91515"}


def squares(html):
    """The squares of the grid by colour, and what is said of each."""
    grid = html.split('class="grid"', 1)[1].split("</svg>", 1)[0]
    return re.findall(r'fill="(#[0-9a-f]{6})"><title>([^<]*)</title>', grid)


def page(stack, sweep=""):
    with urllib.request.urlopen(f"{stack.endpoint}/_spawn?sweep_id={sweep}", timeout=30) as answer:
        assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
        return answer.read().decode()


def test_the_page_shows_a_sweep_while_it_runs_and_when_it_is_over(stack, document, tmp_path):
    document["params"] = [{"s": 0, "code": 0}, {"s": 30, "code": 0}, {"s": 0, "code": 3}]
    document["command"] = 'sleep "$SPAWN_PARAM_s"; exit "$SPAWN_PARAM_code"'
    document["budget"] = "5 USD"
    execution = stack.submit(document)

    def two_of_three():
        """two have ended, one runs"""
        sweep = stack.sweep_of(execution)
        states = sorted(member["state"] for member in stack.members(sweep)) if sweep else []
        return states == ["completed", "failed", "running"] and sweep

    sweep = stack.until(two_of_three)
    html = page(stack, sweep)
    assert [colour for colour, _ in squares(html)] == [COLOURS[s] for s in ("completed", "running", "failed")]
    assert "exit code 3" in squares(html)[2][1]
    assert ">launched 3<" in html and ">ended 2<" in html and ">budget $5.00<" in html
    assert f'href="?sweep_id={sweep}"' in page(stack), "the list leads to it"

    # As a browser shows it, while the sweep still runs.
    if browser := shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome"):
        dom = in_browser(browser, f"{stack.endpoint}/_spawn?sweep_id={sweep}", tmp_path)
        assert len(squares(dom)) == 3
        assert len(re.findall(r'class="line"', dom)) == 5, "launched and ended; run up, committed and budget"

    stack.states.stop_execution(executionArn=execution)
    stack.until(lambda: stack.meta(sweep)["status"] == "cancelled")
    assert "cancelled" in page(stack, sweep)


def in_browser(browser, url, folder):
    """The document as the browser holds it, once it is drawn."""
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={folder}", "--dump-dom", url]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=180).stdout


def test_the_dashboard_has_the_widget_and_its_function_draws(stack):
    cloudwatch = stack.client("cloudwatch")
    body = json.loads(cloudwatch.get_dashboard(DashboardName="spawn-fleet")["DashboardBody"])
    (widget,) = [widget for widget in body["widgets"] if widget["type"] == "custom"]
    called = {**widget["properties"]["params"], "widgetContext": {"dashboardName": "spawn-fleet"}}
    for event, expected in ((called, "cwdb-action"), ({"describe": True}, "sweep_id")):
        answer = stack.functions.invoke(FunctionName=widget["properties"]["endpoint"], Payload=json.dumps(event))
        assert expected in answer["Payload"].read().decode()


def test_a_sweep_that_is_not_there_is_said_so(stack):
    html = page(stack, "no-such-sweep")
    assert "There is no sweep no-such-sweep." in html
    with pytest.raises(IndexError):
        squares(html)
