"""From a compile to a rollback, as a developer would do it."""

from __future__ import annotations

import json

from tests.e2e.conftest import Desk
from tests.e2e.desk import CALLS, HOLDOUT, NAME, VAL, DeskServer
from tests.e2e.running import git


def test_a_policy_is_compiled_promoted_replayed_shown_and_rolled_back(
    desk: Desk, server: DeskServer
) -> None:
    compiled = desk.fresh("compile", NAME, "--json")
    report = compiled.document
    assert report["outcome"] == "compiled"
    assert report["mean"] == 1.0
    assert report["baseline"] < 0.6
    assert report["n"] == VAL
    assert report["charged"]["lm_calls"] == report["paid_calls"] == CALLS == server.total
    assert "next: dse promote" in compiled.stderr

    identifier = report["compiled_id"][7:19]
    promoted = desk.dse("promote", NAME, identifier, "--json").document
    assert promoted["outcome"] == "promote"
    assert promoted["moved"] is True
    assert promoted["evidence"]["comparison"]["n"] == HOLDOUT
    assert server.total == CALLS + 2 * HOLDOUT

    active = (desk.root / "artifacts" / NAME / "active.yaml").read_text()
    assert "      Choose the box by colour.\n      The note names it.\n" in active
    desk.commit()

    run = report["run"][7:19]
    before = server.total
    for mode in ("verify", "strict", "until-divergence"):
        replayed = desk.dse("replay", run, "--mode", mode, "--json").document
        assert replayed["outcome"] == "replayed", replayed
        assert replayed["live"] == 0
    assert server.total == before
    assert desk.status() == ""

    assert desk.dse("check").stdout == "sound\n"
    assert "by colour" in desk.dse("show", NAME).stdout
    assert "by colour" in desk.dse("show", NAME, "--prompt").stdout
    listed = desk.dse("list", NAME, "--json").document["rows"]
    assert [row["active"] for row in listed] == ["active"]
    assert identifier in desk.dse("list").stdout
    exported = json.loads(desk.dse("export", NAME).stdout)
    assert "@test/desk/SortNote.v1" in exported.values()

    predicted = desk.dse("predict", NAME, "note=the blue boat", "--json").document
    assert predicted["outcome"] == "predicted"
    assert predicted["output"] == {"box": "blue"}
    receipts = (desk.root / ".dse" / "predict" / f"{NAME}.jsonl").read_text().splitlines()
    assert [json.loads(line)["result"] for line in receipts] == ["ok"]

    measured = desk.dse("eval", NAME, "--against", "default", "--json")
    assert measured.document["outcome"] == "evaluated"
    assert measured.document["comparison"]["delta"] > 0.5
    assert "model calls charged" in measured.stderr

    back = desk.dse("rollback", NAME, "--reason", "a test", "--json").document
    assert back["outcome"] == "rolled_back"
    assert back["target"] is None
    assert desk.dse("predict", NAME, "note=the blue boat").stdout == '{"box": "red"}\n'
    assert desk.dse("check").stdout == "sound\n"


def test_a_second_promotion_reads_as_a_line_diff_in_git(promoted: Desk) -> None:
    job = promoted.root / "signatures" / NAME / "compile.yaml"
    text = job.read_text()
    job.write_text(text.replace("The note names it.", "The note always names it."))
    promoted.dse("compile", NAME)
    fresh = promoted.dse("list", NAME, "--json").document["rows"]
    new = next(row["artifact"] for row in fresh if not row["active"])

    differs = promoted.dse("diff", NAME, "active", new, code=1)
    assert "The note names it." in differs.stdout
    assert "The note always names it." in differs.stdout

    refused = promoted.dse("promote", NAME, new, code=1)  # the same score: no gain to promote
    assert "the pointer did not move" in refused.stdout
    promoted.dse("rollback", NAME, "--reason", "to start again")
    # The look of the refused gate counts, and so does the first one.
    third = promoted.dse("promote", NAME, new, "--json")
    assert third.document["evidence"]["look"] == 3
    diff = git(promoted.root, "diff", "-U0", f"artifacts/{NAME}/active.yaml")
    changed = [line[1:].strip() for line in diff.splitlines() if line[:1] in "+-"][2:]
    assert "The note names it." in changed
    assert "The note always names it." in changed
    assert "Choose the box by colour." not in changed
    assert promoted.dse("check").stdout == "sound\n"


def test_every_exit_code_is_met_and_json_carries_its_word(
    promoted: Desk, server: DeskServer
) -> None:
    def outcome(*args: str, code: int) -> str:
        ran = promoted.dse(*args, "--json", code=code)
        word = ran.document["outcome"]
        assert isinstance(word, str)
        return word

    assert outcome("eval", NAME, code=0) == "evaluated"
    assert outcome("eval", NAME, "--policy", "default", "--fail-under", "0.9", code=1) == (
        "under_threshold"
    )
    worse = ("eval", NAME, "--policy", "default", "--against", "active", "--max-regression", "0.1")
    assert outcome(*worse, code=1) == "regression"
    assert outcome("eval", "no-such-signature", code=2) == "usage"
    assert outcome("eval", NAME, "--split", "holdout", code=2) == "usage"
    assert outcome("compile", NAME, "--max-metric-calls", "1", code=3) == "budget"
    assert outcome("eval", NAME, "--tag", "no-such-tag", code=2) == "usage"
    assert outcome("eval", NAME, "--tag", "red", "--tag", "blue", code=5) == "nothing_selected"
    active = promoted.root / "artifacts" / NAME / "active.yaml"
    active.write_text(active.read_text().replace("The note names", "The note hides"))
    assert outcome("predict", NAME, "note=x", code=4) == "altered"
    assert outcome("check", code=4) == "altered"


def test_stdout_holds_only_data_and_stderr_only_words(promoted: Desk) -> None:
    commands = [
        ("check",),
        ("compile", NAME),
        ("compile", NAME, "--dry-run"),
        ("eval", NAME),
        ("list",),
        ("list", NAME),
        ("show", NAME),
        ("config",),
        ("diff", NAME, "active", "active"),
        ("predict", NAME, "note=the red hat"),
        ("cache", "stats"),
        ("rollback", NAME, "--reason", "r"),
        ("models", "list"),
        ("export", NAME),
        ("schema", "dse.yaml"),
    ]
    for command in commands:
        document = promoted.dse(*command, "--json").document
        assert isinstance(document["outcome"], str), command
        if command[0] != "rollback":
            assert promoted.dse(*command, "--quiet").stderr == "", command


def test_what_no_digest_covers_is_found_by_deriving_it_again(promoted: Desk) -> None:
    (receipt,) = (promoted.root / "artifacts" / NAME / "receipts").glob("*/receipt.json")
    text = receipt.read_text()
    receipt.write_text(text.replace('"improved": true', '"improved": false'))
    assert receipt.read_text() != text
    ran = promoted.dse("replay", receipt.parent.name, "--mode", "strict", "--json", code=4)
    assert ran.document["outcome"] == "altered"
    assert "receipt.json" in ran.stderr


def test_a_replay_names_the_first_call_that_was_not_recorded(promoted: Desk) -> None:
    (receipt,) = (promoted.root / "artifacts" / NAME / "receipts").glob("*/receipt.json")
    run = receipt.parent.name
    job = promoted.root / "signatures" / NAME / "compile.yaml"
    job.write_text(job.read_text().replace("Please choose a box.", "Please choose one box."))
    stale = promoted.dse("replay", run, "--json", code=4).document
    assert stale["outcome"] == "stale"
    assert "job changed" in stale["message"]
    report = promoted.dse("replay", run, "--mode", "until-divergence", "--json", code=1).document
    assert report["outcome"] == "differences"
    assert report["served"] == CALLS - VAL
    assert report["live"] == VAL
    assert report["diverged_at"].startswith("cand=0003/")
