"""`dse eval` as a developer and as a CI job run it."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.e2e.conftest import Desk
from tests.e2e.desk import COLOURS, NAME, VAL, DeskServer, by_rule
from tests.e2e.running import git
from tests.lm.openai_server import Reply, Seen, failure


def no_blue(seen: Seen) -> Reply:
    is_blue = "the blue" in seen.body["messages"][-1]["content"]
    return failure(400, "no blue today") if is_blue else by_rule(seen)


def test_a_developer_goes_on_with_the_rows_that_failed(desk: Desk, server: DeskServer) -> None:
    nothing = desk.dse("eval", NAME, "--failed", "--json", code=5).document
    assert nothing["outcome"] == "nothing_selected"
    assert f"dse eval {NAME}" in nothing["hint"]

    ran = desk.dse("eval", NAME, "--rows")
    assert "12 answers: 4 perfect, 8 imperfect" in ran.stdout
    assert "mismatch exact_match:box: " in ran.stdout
    failed = desk.dse("eval", NAME, "--failed", "--json").document
    assert failed["rows"] == 8
    assert {cell["failures"][0]["expected"] for cell in failed["cells"]} == {'"green"', '"blue"'}
    assert server.total == VAL  # nothing was asked twice
    assert desk.status() == ""  # and nothing that git would see was written

    job = desk.root / "signatures" / NAME / "signature.yaml"
    job.write_text(job.read_text().replace("Choose a box.", "Choose the box by colour."))
    mended = desk.dse("eval", NAME, "--failed", "--fail-under", "1", "--json").document
    assert (mended["outcome"], mended["summary"]["n"]) == ("evaluated", 8)
    assert desk.dse("eval", NAME, "--failed", code=5).stdout == ""


def test_a_pull_request_is_compared_with_its_base_branch(
    promoted: Desk, server: DeskServer, tmp_path: Path
) -> None:
    git(promoted.root, "branch", "base")
    promoted.dse("rollback", NAME, "--reason", "a worse policy")
    promoted.commit()
    summary, junit, step = (tmp_path / name for name in ("s.md", "j.xml", "step.md"))
    command = (
        "eval", NAME, "--against", "active@base", "--max-regression", "0.02",
        "--junit", str(junit), "--markdown", str(summary),
    )  # fmt: skip
    actions = {"GITHUB_ACTIONS": "true", "GITHUB_STEP_SUMMARY": str(step)}
    ran = promoted.dse(*command, code=1, **actions)

    (reason,) = [line for line in ran.stderr.splitlines() if line.startswith("regression: ")]
    assert reason.startswith("regression: -53.3 points (100.0 -> 46.7, n = 12, paired, p = ")
    assert reason.endswith(" is worse than the allowed 2.0")
    assert "  lost  n-007 " in ran.stdout
    assert "0 rows won, 8 lost; tokens -" in ran.stdout
    assert f"::error file=signatures/{NAME}/compile.yaml,line=3,title=regression::" in ran.stderr
    assert ran.stderr.count("::warning file=datasets/notes/rows.jsonl,line=") == 8

    suite = ET.parse(junit).getroot()  # noqa: S314 - our own
    assert (suite.attrib["tests"], suite.attrib["failures"]) == ("12", "8")
    assert summary.read_text() in step.read_text()
    assert f"## dse eval {NAME.replace('-', '-')}: regression" in summary.read_text()
    assert promoted.status() == ""

    document = promoted.dse(*command, "--json", code=1).document
    assert document["outcome"] == "regression"
    assert len(document["rows_lost"]) == 8
    assert document["messages"] == [document["message"]] == [reason]
    unknown = promoted.dse("eval", NAME, "--against", "active@nope", "--json", code=2).document
    assert unknown["outcome"] == "usage"
    assert "fetch" in unknown["hint"]


def test_outages_over_the_limit_are_exit_3_and_the_report_is_still_written(
    desk: Desk, server: DeskServer, tmp_path: Path
) -> None:
    server.rule = no_blue
    junit = tmp_path / "j.xml"
    asked = ("eval", NAME, "--fail-under", "1", "--junit", str(junit))
    ran = desk.dse(*asked, "--json", code=3)
    assert ran.document["outcome"] == "infrastructure"
    assert "4 of 12 cells of default have no answer (provider 4)" in ran.document["message"]
    assert ran.document["outcomes"]["outages"] == {"provider": 4}
    suite = ET.parse(junit).getroot()  # noqa: S314 - our own
    assert (suite.attrib["failures"], suite.attrib["errors"]) == ("4", "4")

    # The limit of the command line is the one that counts; then it is a matter of quality.
    allowed = desk.dse(*asked, "--max-error-rate", "0.4", "--json", code=1).document
    assert allowed["outcome"] == "under_threshold"
    assert allowed["summary"]["n"] == VAL * 2 // len(COLOURS)
    assert desk.dse("eval", NAME, "--max-error-rate", "0.4").code == 0


def test_models_stand_in_one_table(desk: Desk, server: DeskServer) -> None:
    file = desk.root / "dse.yaml"
    spec = file.read_text()
    base = spec.split("api_base: ")[1].split(",")[0]
    other = f"  other: {{model: openai/other, api_base: {base}}}\n"
    file.write_text(spec.replace("default_model", other + "default_model", 1))
    ran = desk.dse("eval", NAME, "--model", "other", "--model", "desk")
    table = ran.stdout.splitlines()[2:6]
    assert [line.split()[0] for line in table] == ["policy", "other", "desk", "default"]
    assert table[1].endswith("  +0.0")
    document = desk.dse("eval", NAME, "--model", "other", "--json").document
    assert document["models"][0]["policy"]["model"] == "openai/other"
    wrong = desk.dse("eval", NAME, "--model", "othr", "--json", code=2).document
    assert "did you mean 'other'?" in wrong["hint"]


@pytest.mark.parametrize(
    ("options", "part"),
    [
        (("--max-regression", "0.1"), "--max-regression needs --against"),
        (("--split", "holdout"), "--split 'holdout' is not train or val"),
        (("--junit", "."), "is a folder"),
        (("--policy", "latest"), "no compiled artifact"),
    ],
)
def test_a_wrong_command_line_spends_nothing(
    desk: Desk, server: DeskServer, options: tuple[str, ...], part: str
) -> None:
    refused = desk.dse("eval", NAME, *options, "--json", code=2).document
    assert refused["outcome"] == "usage"
    assert part in refused["message"]
    assert server.total == 0


def test_the_seed_of_the_command_line_draws_the_sample(desk: Desk) -> None:
    def drawn(*options: str) -> tuple[str, ...]:
        ran = desk.dse("eval", NAME, "--sample", "4", "--json", *options)
        return tuple(cell["id"] for cell in json.loads(ran.stdout)["cells"])

    assert drawn() == drawn("--seed", "7")
    assert drawn("--seed", "0") != drawn("--seed", "1")
