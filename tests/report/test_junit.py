from __future__ import annotations

import xml.etree.ElementTree as ET

from dse_cli.contracts.errors import ExitCode
from dse_cli.report.eval_report import EvalMessage, EvalReport, EvalVerdict
from dse_cli.report.junit import junit_xml
from tests.report.eval_reports import FAILED, ROWS, answered, cell, measured, regression, report

GOLDEN = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="dse eval route" tests="4" failures="2" errors="1">
  <testsuite name="route.val" tests="4" failures="2" errors="1">
    <properties>
      <property name="outcome" value="regression" />
      <property name="message" value="regression: -25.0 points is worse than the allowed 2.0" />
      <property name="policy" value="sha256:{"abc123" * 10}0000" />
      <property name="model" value="openai/desk" />
      <property name="mean" value="0.333333333333" />
      <property name="interval_low" value="0.06149194472" />
      <property name="interval_high" value="0.792340399198" />
      <property name="n" value="3" />
      <property name="rollouts" value="1" />
      <property name="dataset_revision" value="sha256:{"d" * 64}" />
      <property name="tokens" value="420" />
      <property name="cost" value="$0.0080" />
      <property name="against" value="default" />
      <property name="delta" value="-0.333333333333" />
    </properties>
    <testcase classname="route.val" name="r0" file="datasets/tickets/rows.jsonl" line="1" />
    <testcase classname="route.val" name="r1" file="datasets/tickets/rows.jsonl" line="2">
      <failure message="reward 0.0 of 100: other | not billing" type="mismatch">\
mismatch classification:queue: other | not billing
  expected "billing"
  got      "other"</failure>
    </testcase>
    <testcase classname="route.val" name="r2" file="datasets/tickets/rows.jsonl" line="3">
      <failure message="reward 0.0 of 100: other | not billing" type="mismatch">\
mismatch classification:queue: other | not billing
  expected "billing"
  got      "other"</failure>
    </testcase>
    <testcase classname="route.val" name="r3" file="datasets/tickets/rows.jsonl" line="4">
      <error message="1 of 1 without an answer: 503: on fire" type="provider">\
provider answer: 503: on fire</error>
    </testcase>
  </testsuite>
</testsuites>
"""


def parsed(made: EvalReport) -> ET.Element:
    return ET.fromstring(junit_xml(made, EvalVerdict()))  # noqa: S314 - our own


def test_an_evaluation_reads_like_this() -> None:
    assert junit_xml(regression(), FAILED).decode() == GOLDEN


def test_each_model_is_a_suite_and_the_totals_are_of_all() -> None:
    first = measured("a", answered("billing", "billing", "billing", None), alias="a")
    second = measured("b", answered("other", "billing", "billing", "billing"), alias="b")
    root = parsed(report(first, second))
    assert root.attrib == {
        "name": "dse eval route",
        "tests": "8",
        "failures": "1",
        "errors": "1",
    }
    assert [suite.attrib["name"] for suite in root] == ["route.val.a", "route.val.b"]


def test_a_row_is_one_case_however_many_rollouts_it_has() -> None:
    row = ROWS[0]
    wrong_once = [cell(row, "billing"), cell(row, "other", rollout=1), cell(row, None, rollout=2)]
    (case,) = parsed(report(measured("a", wrong_once))).iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert failure.attrib["message"].startswith("reward 50.0 of 100: ")
    assert "rollout 1: mismatch" in (failure.text or "")
    assert "rollout 2: provider answer: 503: on fire" in (failure.text or "")
    down_once = [cell(row, "billing"), cell(row, None, rollout=1)]
    (case,) = parsed(report(measured("a", down_once))).iter("testcase")
    assert case.find("failure") is None
    error = case.find("error")
    assert error is not None
    assert error.attrib["message"].startswith("1 of 2 without an answer")


def test_characters_that_xml_cannot_hold_are_shown_as_escapes() -> None:
    wrote = "\x00\x1b<&]]>\ud800\ufffe"
    (case,) = parsed(report(measured("a", [cell(ROWS[0], wrote)]))).iter("testcase")
    failure = case.find("failure")
    assert failure is not None
    assert "<U+0000><U+001B><&]]><U+D800><U+FFFE>" in (failure.text or "")


def test_the_suite_of_a_healthy_model_does_not_carry_what_another_did() -> None:
    first = measured("a", answered("billing", "billing", "billing", None), alias="a")
    second = measured("b", answered("billing", "billing", "billing", "billing"), alias="b")
    base = measured("default", answered("billing", None, "billing", "billing"))
    down = EvalMessage("infrastructure", "1 of 4 cells of a", "a")
    verdict = EvalVerdict("infrastructure", ExitCode.INFRASTRUCTURE, (down,))

    def shown(verdict: EvalVerdict) -> list[list[str]]:
        made = junit_xml(report(first, second, baseline=base), verdict)
        return [
            [found.attrib["value"] for found in suite.iter("property")
             if found.attrib["name"] in ("outcome", "message")]
            for suite in ET.fromstring(made)  # noqa: S314 - our own
        ]  # fmt: skip

    assert shown(verdict) == [
        ["infrastructure", "infrastructure: 1 of 4 cells of a"],
        ["evaluated"],
    ]
    # What both are compared with is about both.
    of_both = EvalMessage("infrastructure", "1 of 4 cells of default", "default")
    assert [found[0] for found in shown(verdict._replace(messages=(of_both,)))] == [
        "infrastructure",
        "infrastructure",
    ]
