"""What a search did, as Markdown and on a terminal."""

from __future__ import annotations

from typing import Any

from dse_cli.contracts.receipt import CompileResult
from dse_cli.report.search_lines import outcomes, search_document, search_markdown, search_text

ID = "sha256:" + "ab" * 32


def result(**parts: Any) -> CompileResult:
    return CompileResult.model_validate(
        {
            "winner": ID,
            "improved": False,
            "candidates": [],
            "stop_reason": {"kind": "complete"},
            "charged": {},
            **parts,
        }
    )


def proposal(outcome: str, **more: Any) -> dict[str, Any]:
    return {
        "path": f"propose/{outcome}",
        "meta": "propose_instruction",
        "outcome": outcome,
        **more,
    }


PROPOSALS = [
    proposal("used", text="Read it.\n```\n# not a heading\n", candidate=ID, note="tip simple"),
    proposal("duplicate", text="Choose."),
    proposal("junk"),
    proposal("outage"),
    proposal("no_budget"),
]
DEMO_SETS = [
    {"index": 0, "recipe": "zero-shot", "demos": []},
    {
        "index": 1,
        "recipe": "bootstrap",
        "demos": [{"source": "bootstrapped", "id": "a|1"}, {"source": "labelled", "id": "b"}],
        "tried": 3,
        "passed": 1,
    },
]
TRIALS = [
    {"number": 0, "kind": "base", "candidate": ID, "rows": 12, "mean": 0.5},
    {
        "number": 1,
        "kind": "minibatch",
        "candidate": ID,
        "rows": 1,
        "mean": None,
        "choice": {"main.instruction": 2, "main.demos": 0},
        "note": "dropped",
    },
]


def test_a_search_without_records_adds_nothing() -> None:
    assert list(search_markdown(result())) == []
    assert list(search_text(result())) == []
    assert search_document(result()) == {}


def test_every_outcome_is_counted_and_what_was_not_asked_is_not_asked() -> None:
    assert outcomes(result(proposals=PROPOSALS).proposals) == (
        "4 asked: 1 used, 1 duplicate, 1 junk, 1 without an answer, 1 not asked, no budget"
    )


def test_what_a_model_wrote_ends_no_block_of_the_report() -> None:
    lines = list(search_markdown(result(proposals=PROPOSALS)))
    assert "    # not a heading" in lines
    assert "    ```" in lines
    assert not [line for line in lines if line.startswith(("# ", "```"))]
    assert "### `propose/used`" in lines
    assert f"`propose_instruction`: tip simple; used, candidate `{'ab' * 6}`" in lines


def test_a_proposed_text_is_one_printable_line_on_a_terminal() -> None:
    forged = proposal("used", text="ok\x1b[2J\n##[error]x" + "y" * 500)
    lines = list(search_text(result(proposals=[forged])))
    assert lines[1] == "proposals (1 asked: 1 used)"
    assert lines[3].startswith("    ok<U+001B>[2J ## [error]xyy")
    assert lines[3].endswith("…")
    assert len(lines) == 4


def test_demo_sets_show_where_each_demo_comes_from() -> None:
    found = result(demo_sets=DEMO_SETS)
    markdown = list(search_markdown(found))
    assert "| 0 | zero-shot | none | 0 | 0 |" in markdown
    assert "| 1 | bootstrap | `a\\|1` bootstrapped, `b` labelled | 3 | 1 |" in markdown
    assert list(search_text(found))[1:] == [
        "demo sets (2)",
        "  0 zero-shot: none",
        "  1 bootstrap: a|1 (bootstrapped), b (labelled); 1 of 3 rollouts passed",
    ]


def test_trials_stand_in_the_order_of_the_search_with_what_was_chosen() -> None:
    found = result(trials=TRIALS)
    chosen = "main.demos=0, main.instruction=2"
    assert (
        f"| 1 | minibatch | `{'ab' * 6}` | 1 | no score | {chosen} | dropped |"
        in search_markdown(found)
    )
    assert list(search_text(found))[1:] == [
        "trials (2)",
        f"  0 base {'ab' * 6}: 50.0 on 12 rows",
        f"  1 minibatch {'ab' * 6}: - on 1 row ({chosen}, dropped)",
    ]
    assert search_document(found)["trials"][1]["choice"]["main.instruction"] == 2
