"""What changed between two policies, as data and as text for people."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dse_cli.contracts.evaluation import EvalSummary
from dse_cli.contracts.params import Params
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.report.policy_diff import PolicyDiff, PolicyView, diff_policies, view_policy
from dse_cli.report.policy_diff_text import MOST_ROWS, render_diff_text
from dse_cli.runtime.policy import Policy

HASH = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


def signature(**changes: Any) -> Signature:
    spec = {
        "dse": "signature/v1",
        "id": "@acme/support/RouteTicket.v1",
        "description": "Choose the queue.",
        "input": {"ticket": "string"},
        "output": {"queue": "string"},
        "prompt": [
            {"instruction": "Choose the queue.\nBe brief."},
            {"few_shot": [demo("authored-1")]},
        ],
    }
    return Signature(SignatureSpec.model_validate({**spec, **changes}), {})


def demo(name: str, queue: str = "billing") -> dict[str, Any]:
    return {"id": name, "input": {"ticket": f"about {name}"}, "output": {"queue": queue}}


def summary(rows: dict[str, float | None], **changes: Any) -> EvalSummary:
    scored = [reward for reward in rows.values() if reward is not None]
    return EvalSummary.model_validate(
        {
            "format": "dse/eval_summary/v1",
            "split": "val",
            "n": len(scored),
            "mean": sum(scored) / len(scored),
            "interval": None,
            "signals": {},
            "quantiles": {},
            "slices": {},
            "failures": {},
            "repairs": 1,
            "lm_calls": 4,
            "prompt_tokens": 1000,
            "completion_tokens": 40,
            "cost": {"nano_usd": 2000, "kind": "exact"},
            "repeat": None,
            "dataset_revision": HASH,
            "split_hash": HASH,
            "reward_hash": HASH,
            "models": [],
            "rows": rows,
            "scripted": False,
            **changes,
        }
    )


def view(label: str = "x", evaluation: EvalSummary | None = None, **params: Any) -> PolicyView:
    policy = Policy(signature(), Params.model_validate(params))
    return view_policy(label, policy, evaluation=evaluation)


def demos(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"few_shot": {"examples": list(entries)}}


def test_a_policy_does_not_differ_from_itself() -> None:
    diff = diff_policies(view("a"), view("b"))
    assert diff.same_policy
    assert (diff.instruction, diff.demos, diff.parameters, diff.contract) == ((), (), (), ())
    assert "the same policy" in render_diff_text(diff, color=False)


def test_the_instruction_is_a_line_diff_against_the_one_in_force() -> None:
    diff = diff_policies(
        view("authored"), view("new", instruction={"text": "Choose the queue.\nBe exact."})
    )
    assert diff.instruction == ("@@ -1,2 +1,2 @@", " Choose the queue.", "-Be brief.", "+Be exact.")
    assert not diff.same_policy


def test_demos_are_added_removed_moved_and_changed_by_id() -> None:
    before = view(**demos(demo("a"), demo("b"), demo("c"), demo("gone")))
    after = view(**demos(demo("b"), demo("c", "other"), demo("new"), demo("a")))
    changes = [(c.kind, c.id, c.before, c.after) for c in diff_policies(before, after).demos]
    assert changes == [
        ("removed", "gone", 4, None),
        ("changed", "c", 3, 2),
        ("added", "new", None, 3),
        ("moved", "a", 1, 4),
    ]


def test_an_added_demo_alone_moves_no_other() -> None:
    after = view(**demos(demo("new"), demo("a"), demo("b")))
    changes = diff_policies(view(**demos(demo("a"), demo("b"))), after).demos
    assert [(change.kind, change.id) for change in changes] == [("added", "new")]


def test_an_empty_list_of_demos_removes_the_authored_ones() -> None:
    changes = diff_policies(view(), view(**demos())).demos
    assert [(change.kind, change.id) for change in changes] == [("removed", "authored-1")]


def test_two_demos_with_one_id_are_both_compared() -> None:
    changes = diff_policies(view(**demos(demo("a"), demo("a"))), view(**demos(demo("a")))).demos
    assert [(change.kind, change.before) for change in changes] == [("removed", 2)]


def test_parameters_are_compared_by_path_and_null_is_not_absent() -> None:
    before = view(model={"model": "m", "temperature": 0.0}, decode={"max_repairs": 1})
    after = view(model={"model": "m", "temperature": 0.5, "top_p": None})
    changes = diff_policies(before, after).parameters
    assert [(c.path, c.before, c.after, c.set_before, c.set_after) for c in changes] == [
        ("decode.max_repairs", 1, None, True, False),
        ("model.temperature", 0.0, 0.5, True, True),
        ("model.top_p", None, None, False, True),
    ]


def test_a_policy_of_a_changed_signature_says_which_part_changed() -> None:
    other = view_policy("b", Policy(signature(output={"queue": "number"}), Params()))
    assert diff_policies(view("a"), other).contract == ("output_schema",)


def test_rows_are_won_lost_tied_and_an_outage_is_neither() -> None:
    before = summary({"a": 0.0, "b": 1.0, "c": 0.5, "d": None, "e": 1.0})
    after = summary({"a": 1.0, "b": 0.25, "c": 0.5, "d": 1.0, "e": None}, prompt_tokens=None)
    diff = diff_policies(view("a", before), view("b", after))
    rows = diff.rows
    assert rows is not None
    assert [row.id for row in rows.wins] == ["a"]
    assert [(row.id, row.before, row.after) for row in rows.losses] == [("b", 1.0, 0.25)]
    assert rows.ties == 1
    assert [row.id for row in rows.unscored] == ["d", "e"]
    measures = {measure.name: (measure.before, measure.after) for measure in diff.measures}
    expected = {"prompt_tokens": (1000, None), "cost_nano_usd": (2000, 2000)}
    assert {name: measures[name] for name in expected} == expected


@pytest.mark.parametrize(
    ("changes", "note"),
    [
        ({"split": "holdout"}, "another split"),
        ({"split_hash": OTHER}, "another split"),
        ({"reward_hash": OTHER}, "another reward"),
        ({"rows": {"z": 1.0}}, "different rows"),
    ],
)
def test_results_that_measure_something_else_are_not_compared(
    changes: dict[str, Any], note: str
) -> None:
    one, other = summary({"a": 1.0}), summary(**{"rows": {"a": 1.0}, **changes})
    diff = diff_policies(view("a", one), view("b", other))
    assert note in diff.rows_note
    assert diff.measures == ()
    assert note in render_diff_text(diff, color=False)
    assert diff.to_json()["rows"] is None


def test_an_unknown_price_is_unknown_and_not_zero() -> None:
    free = summary({"a": 1.0}, cost={"nano_usd": 0, "kind": "unknown"})
    diff = diff_policies(view("a", free), view("b", summary({"a": 1.0})))
    assert "cost, charged: unknown -> $0.000002" in render_diff_text(diff, color=False)


def full_diff() -> PolicyDiff:
    before = view(
        "active",
        summary({"a": 0.0, "b": 1.0, "c": 0.0, "d": 1.0}),
        model={"model": "m", "temperature": 0.0},
        **demos(demo("a"), demo("b")),
    )
    after = view(
        "candidate",
        summary({"a": 1.0, "b": 1.0, "c": 1.0, "d": 0.0}, prompt_tokens=1500),
        instruction={"text": "Choose the queue.\nBe exact."},
        model={"model": "m", "temperature": 0.5},
        **demos(demo("b"), demo("new")),
    )
    return diff_policies(before, after)


def test_the_text_reads_as_a_reviewer_expects_without_colour() -> None:
    diff = full_diff()
    lines = render_diff_text(diff, color=False).split("\n")
    assert lines[0] == f"--- active ({diff.before_id[7:19]})"
    assert lines[1:] == [
        f"+++ candidate ({diff.after_id[7:19]})",
        "",
        "instruction",
        "  @@ -1,2 +1,2 @@",
        "   Choose the queue.",
        "  -Be brief.",
        "  +Be exact.",
        "",
        "demos (2 -> 2)",
        "  - a removed, place 1",
        '      input: {"ticket":"about a"}',
        '      output: {"queue":"billing"}',
        "  + new added, place 2",
        '      input: {"ticket":"about new"}',
        '      output: {"queue":"billing"}',
        "",
        "parameters",
        "  model.temperature: 0 -> 0.5",
        "",
        "rows (val, n = 4): 2 better, 1 worse, 1 the same",
        "  + a  0.000 -> 1.000",
        "  + c  0.000 -> 1.000",
        "  - d  1.000 -> 0.000",
        "",
        "totals",
        "  mean reward: 50.0 -> 75.0 (+25.0 points)",
        "  prompt tokens: 1,000 -> 1,500 (+50%)",
        "  completion tokens: 40 -> 40",
        "  model calls: 4 -> 4",
        "  repairs: 1 -> 1",
        "  cost, charged: $0.000002 -> $0.000002",
        "",
    ]


def test_colour_adds_codes_and_changes_no_word() -> None:
    import re

    coloured = render_diff_text(full_diff(), color=True)
    assert "\x1b[31m  -Be brief.\x1b[0m" in coloured
    assert re.sub(r"\x1b\[\d+m", "", coloured) == render_diff_text(full_diff(), color=False)


def test_long_lists_of_rows_are_cut_and_say_so() -> None:
    names = [f"row-{number:02d}" for number in range(MOST_ROWS + 5)]
    diff = diff_policies(
        view("a", summary(dict.fromkeys(names, 0.0))), view("b", summary(dict.fromkeys(names, 1.0)))
    )
    text = render_diff_text(diff, color=False)
    assert "15 better" in text
    assert "  + and 5 more\n" in text
    assert names[-1] not in text
    assert diff.rows is not None
    assert len(diff.rows.wins) == 15


def test_terminal_commands_in_texts_are_shown_and_not_obeyed() -> None:
    evil = "Be \x1b[2Jnice\u202e.\r\x07"
    diff = diff_policies(
        view("a\x1b[0m"),
        view(
            "b",
            instruction={"text": evil},
            **demos({"id": "d", "input": {"ticket": "\x9b31m\u2066"}, "output": {}}),
        ),
    )
    text = render_diff_text(diff, color=False)
    assert not set(text) & set("\x1b\x07\r\x9b\u202e\u2066")
    assert "Be \\x1b[2Jnice\\u202e.\\r\\x07" in text


def test_the_diff_is_json() -> None:
    data = json.loads(json.dumps(full_diff().to_json()))
    assert data["same_policy"] is False
    assert data["rows"]["wins"][0] == {"id": "a", "before": 0.0, "after": 1.0}
