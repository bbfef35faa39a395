"""Channels through the command line: canary, override, and two branches after a real git merge."""

from __future__ import annotations

import json
import shutil
import subprocess

from tests.e2e.conftest import Desk
from tests.e2e.desk import NAME, DeskServer
from tests.e2e.running import git
from tests.lm.openai_server import Reply, Seen, answer

JOB = f"signatures/{NAME}/compile.yaml"
POINTER = f"artifacts/{NAME}/active.yaml"


def second_policy(desk: Desk) -> str:
    """Compile another policy that is as good, and return its artifact."""
    path = desk.root / JOB
    path.write_text(path.read_text().replace("The note names it.", "The note always names it."))
    known = {row["artifact"] for row in desk.dse("list", NAME, "--json").document["rows"]}
    desk.dse("compile", NAME)
    rows = desk.dse("list", NAME, "--json").document["rows"]
    (new,) = {row["artifact"] for row in rows} - known
    return str(new)


def test_a_canary_is_started_served_counted_and_made_active(desk: Desk, server: DeskServer) -> None:
    desk.dse("compile", NAME)
    started = desk.dse(
        "promote", NAME, "--latest", "--channel", "canary", "--percent", "50",
        "--min-samples", "5", "--json",
    ).document  # fmt: skip
    assert (started["outcome"], started["moved"], started["channel"]) == ("promote", True, "canary")
    assert not (desk.root / POINTER).exists()
    assert desk.dse("check").stdout == "sound\n"

    refused = desk.dse("promote", NAME, "--from", "canary", "--json", code=1)
    assert refused.document["outcome"] == "refused"
    assert "5 more samples needed: it has 0 of 5" in refused.stderr
    again = desk.dse("promote", NAME, "--latest", "--channel", "canary", "--percent", "5", code=2)
    assert "runs already" in again.stderr
    words = ("--channel", "canary", "--percent", "5", "--dry-run")
    assert "runs already" in desk.dse("promote", NAME, "--latest", *words, code=2).stderr

    channels = []
    for number in range(14):
        ran = desk.dse("predict", NAME, "note=the blue boat", "--key", f"user-{number}", "--json")
        channels.append(ran.document["channel"])
        box = {"canary": "blue", "active": "red"}[channels[-1]]
        assert ran.document["output"] == {"box": box}
    assert 5 <= channels.count("canary") < 14
    shown = desk.dse("show", NAME, "--json").document["canary"]
    assert shown["canary"]["ok"] == channels.count("canary")
    assert shown["active"]["ok"] == channels.count("active")
    assert "50 %:" in desk.dse("list").stdout

    before = server.total
    done = desk.dse("promote", NAME, "--from", "canary", "--json").document
    assert server.total == before, "no second look"
    assert (done["outcome"], done["evidence_sequence"]) == ("promoted", 1)
    assert (desk.root / POINTER).exists()
    assert not (desk.root / f"artifacts/{NAME}/canary.yaml").exists()
    assert desk.dse("check").stdout == "sound\n"


def test_a_canary_that_errs_is_left_alone_and_reported(desk: Desk, server: DeskServer) -> None:
    desk.dse("compile", NAME)
    desk.dse("promote", NAME, "--latest", "--channel", "canary", "--percent", "100",
             "--min-samples", "2")  # fmt: skip

    def mute(seen: Seen) -> Reply:
        return answer("no idea")

    server.rule = mute
    for number in range(2):
        desk.dse("predict", NAME, f"note=the blue boat {number}", "--no-cache", code=1)
    written = desk.written()
    told = desk.dse("predict", NAME, "note=the blue boat", "--no-cache", "--json", code=1)
    assert told.document["channel"] == "active"
    assert "warning: the canary of sort-note gets no more requests" in told.stderr
    assert desk.written() == written
    checked = desk.dse("check")
    assert "the canary gets no more requests: 2 errors in 2 samples" in checked.stderr
    stopped = desk.dse("rollback", NAME, "--channel", "canary", "--reason", "mute", "--json")
    assert stopped.document["canary"]["counts"]["decode"] == 2
    assert desk.dse("check").stdout == "sound\n"


def test_an_override_is_said_wherever_the_policy_is_shown(promoted: Desk) -> None:
    new = second_policy(promoted)
    assert "needs a reason" in promoted.dse("promote", NAME, new, "--override", " ", code=2).stderr
    moved = promoted.dse("promote", NAME, new, "--override", "agreed with Ada", "--json").document
    assert (moved["outcome"], moved["moved"], moved["override"]) == ("override", True, True)
    words = "active by override: agreed with Ada"
    assert words in promoted.dse("show", NAME).stdout
    assert words in promoted.dse("list").stdout
    assert words in promoted.dse("list", NAME).stdout
    assert words in promoted.dse("diff", NAME, "default", "active", code=1).stdout
    assert promoted.dse("check").stdout == "sound\n"
    back = promoted.dse("rollback", NAME, "--reason", "a test")
    assert ", promoted by record 1" in back.stdout
    assert "override" not in promoted.dse("show", NAME).stdout


def test_two_branches_that_promoted_are_merged_and_resolved(promoted: Desk) -> None:
    git(promoted.root, "checkout", "-qb", "theirs")
    promoted.dse("rollback", NAME, "--reason", "start again")
    promoted.dse("promote", NAME, second_policy(promoted))
    promoted.commit()
    git(promoted.root, "checkout", "-q", "-")
    text = (promoted.root / JOB).read_text()
    (promoted.root / JOB).write_text(text.replace("by colour", "by colour alone"))
    promoted.dse("compile", NAME)
    promoted.dse("promote", NAME, "--latest", "--override", "shorter")
    promoted.commit()
    assert merge(promoted, "theirs") != 0
    (promoted.root / JOB).write_text(text)

    checked = promoted.dse("check", "--json", code=4)
    assert f"dse promote {NAME} --resolve" in checked.stdout
    for command in (("promote", NAME, "--latest"), ("rollback", NAME, "--reason", "r")):
        assert "--resolve" in promoted.dse(*command, code=4).stderr
    done = promoted.dse("promote", NAME, "--resolve", "--json").document
    assert done["outcome"] == "resolved"
    assert done["evidence"]["look"] == 4
    assert "<<<<<<<" not in (promoted.root / POINTER).read_text()
    assert promoted.dse("show", NAME, "--json").document["compiled_id"] == done["kept"]
    assert "nothing to resolve" in promoted.dse("promote", NAME, "--resolve", code=2).stderr
    assert "error" not in promoted.dse("check").stderr


def merge(desk: Desk, branch: str) -> int:
    """Merge as a person does; return the exit code, which is not 0 when there are conflicts."""
    program = shutil.which("git")
    assert program is not None
    done = subprocess.run(
        [program, "-c", "user.name=t", "-c", "user.email=t@example.org", "merge", branch],
        cwd=desk.root,
        env=desk.env,
        capture_output=True,
        check=False,
    )
    return done.returncode


def test_options_that_do_not_go_together_are_refused(promoted: Desk) -> None:
    wrong: list[tuple[str, ...]] = [
        ("--resolve", "--latest"),
        ("--from", "canary", "--override", "x"),
        ("--latest", "--percent", "10"),
        ("--latest", "--channel", "canary"),
        ("--latest", "--channel", "canary", "--percent", "0"),
        ("--latest", "--channel", "canary", "--percent", "5", "--salt", "a b"),
        (),
    ]
    for options in wrong:
        ran = promoted.dse("promote", NAME, *options, "--json", code=2)
        assert ran.document["outcome"] == "usage", options
    records = (promoted.root / f"artifacts/{NAME}/history").iterdir()
    assert [json.loads(path.read_text())["sequence"] for path in records] == [1]


def test_an_override_does_with_a_holdout_that_is_too_small_and_nothing_else_does(
    desk: Desk, server: DeskServer
) -> None:
    desk.dse("compile", NAME)
    path = desk.root / "datasets/notes/rows.jsonl"
    lines = path.read_text().splitlines()
    holdout = [line for line in lines if json.loads(line)["split"] == "holdout"]
    path.write_text("\n".join(line for line in lines if line not in holdout[3:]) + "\n")
    before = server.total
    for words in ((), ("--dry-run",)):
        refused = desk.dse("promote", NAME, "--latest", "--json", *words, code=2)
        assert refused.document["outcome"] == "spec"
        assert "the holdout has 3 rows" in refused.stderr
    done = desk.dse("promote", NAME, "--latest", "--override", "trust me", "--json").document
    assert (done["outcome"], done["moved"], done["evidence"]) == ("override", True, None)
    assert server.total == before
    assert "active by override: trust me" in desk.dse("show", NAME).stdout


def test_a_number_of_samples_that_cannot_be_is_a_usage_error(desk: Desk) -> None:
    words = ("--channel", "canary", "--percent", "5", "--min-samples", "1000001")
    assert "--min-samples" in desk.dse("promote", NAME, "--latest", *words, code=2).stderr
