from __future__ import annotations

import asyncio
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import ExitCode, MetricFailedError, SpecError
from dse_cli.evaluation.rewards.reward import MAX_FEEDBACK
from dse_cli.project.project import Project
from dse_cli.workflows.compiles.compile import compile_signature
from dse_cli.workflows.compiles.compile_outputs import dependencies
from dse_cli.workflows.inputs import JobInputs, load_inputs
from tests.workflows.desk import GRID, NAME, compile_it, make_project, options, real, scripted

POLITE = """
import json

def polite(output, expected, input, *, word="billing"):
    return 1.0 if output["queue"] == expected["queue"] else 0.25
"""


def project_with(
    root: Path, code: str | None = POLITE, call: str = "metrics.py:polite", **settings: Any
) -> Project:
    signal = {"python": {"call": call, "weight": 1.0, **settings}}
    project = make_project(root, {**GRID, "reward": {"signals": [signal]}})
    if code is not None:
        write_code(project, code)
    return project


def write_code(project: Project, code: str) -> None:
    path = project.paths.signature(NAME) / "metrics.py"
    path.write_text(textwrap.dedent(code).lstrip(), encoding="utf-8")


def load(project: Project, *, allow: bool | None = True) -> JobInputs:
    return load_inputs(Project.open(root=project.root, allow_code=allow), NAME)


def refused(project: Project, *, allow: bool | None = True) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        load(project, allow=allow)
    [found] = caught.value.diagnostics
    return found


def error_on(inputs: JobInputs, output: Any) -> str:
    row = Row("r", {"ticket": "t"}, {"queue": "billing"}, "val")
    scored = inputs.reward.score(output, None, row)
    assert scored.reward is None
    assert scored.error is not None
    assert scored.error.kind == "metric"
    return scored.error.message


# --- trust --------------------------------------------------------------------------------------

HARMFUL = "import pathlib\npathlib.Path(__file__).with_name('ran').touch()\n" + POLITE


@pytest.mark.parametrize("allow", [None, False])
def test_code_that_nobody_allowed_is_not_run_and_the_line_says_how_to_allow_it(
    allow, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("DSE_CONFIG", str(tmp_path / "none.yaml"))
    monkeypatch.setenv("DSE_ALLOW_CODE", "true")
    project = project_with(tmp_path / "p", HARMFUL)
    found = refused(project, allow=allow)
    assert (found.file, found.code) == (f"signatures/{NAME}/compile.yaml", "code-not-allowed")
    assert found.source is not None
    assert "metrics.py:polite" in found.source
    assert "--allow-code" in (found.hint or "")
    assert "cannot trust itself" in (found.hint or "")
    assert not (project.paths.signature(NAME) / "ran").exists()


def test_the_users_own_configuration_allows_code(tmp_path, monkeypatch) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("dse: user_config/v1\nallow_code: true\n", encoding="utf-8")
    monkeypatch.setenv("DSE_CONFIG", str(config))
    project = project_with(tmp_path / "p")
    assert load(project, allow=None).reward.signal_ids == ("python:polite",)
    assert refused(project, allow=False).code == "code-not-allowed"


def test_a_job_without_python_metrics_reads_no_code(tmp_path) -> None:
    project = make_project(tmp_path)
    write_code(project, HARMFUL)
    load(project, allow=True)
    assert not (project.paths.signature(NAME) / "ran").exists()


# --- where the code is --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "call",
    ["../metrics.py:f", "/metrics.py:f", "sub/metrics.py:f", "metrics:f", "metrics.py", "a.py:f.g"],
)
def test_only_a_python_file_beside_the_signature_can_be_named(call, tmp_path) -> None:
    found = refused(project_with(tmp_path, call=call))
    assert found.code == "wrong-value"
    assert found.line > 1


def test_a_link_out_of_the_folder_is_refused(tmp_path) -> None:
    project = project_with(tmp_path / "p", None)
    other = tmp_path / "p" / "datasets" / "evil.py"
    other.write_text(POLITE, encoding="utf-8")
    (project.paths.signature(NAME) / "metrics.py").symlink_to(other)
    assert refused(project).code == "path-refused"


def test_a_missing_file_is_named_with_the_nearest_one(tmp_path) -> None:
    found = refused(project_with(tmp_path, call="metric.py:polite"))
    assert found.code == "missing-file"
    assert found.hint == "did you mean 'metrics.py'?"


def test_loading_leaves_nothing_behind(tmp_path) -> None:
    project = project_with(tmp_path)
    before, path = sorted(project.paths.signature(NAME).iterdir()), list(sys.path)
    load(project)
    assert sorted(project.paths.signature(NAME).iterdir()) == before
    assert sys.path == path


def test_another_file_of_the_project_cannot_be_imported(tmp_path) -> None:
    project = project_with(tmp_path, "import helper_of_metrics\n" + POLITE)
    (project.paths.signature(NAME) / "helper_of_metrics.py").write_text("", encoding="utf-8")
    found = refused(project)
    assert (found.file, found.line) == (f"signatures/{NAME}/metrics.py", 1)
    assert "ModuleNotFoundError" in found.message


# --- what is wrong with it, before anything is spent --------------------------------------------

BAD_REPR = """\
class Bad:
    def __repr__(self):
        raise ValueError

def polite(*_):
    return Bad()
"""
BAD_SCORE = """\
class Bad:
    @property
    def score(self): raise ValueError("\\ud800")

def polite(*_):
    return Bad()
"""


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("def polite(output, expected, input):\n    return 1.2\n", 1, "the score is 1.2"),
        ("def polite(output, expected, input):\n    return 'good'\n", 1, "the score is 'good'"),
        ("def polite(output, expected, input):\n    return True\n", 1, "of type bool"),
        ("def polite(output, expected, input):\n    return None\n", 1, "of type NoneType"),
        ("x = 1\ndef polite(*_):\n    return float('nan')\n", 2, "the score is nan"),
        ("def polite(*_):\n    return {'scroe': 1}\n", 1, "the key 'scroe'"),
        ("def polite(*_):\n    return {'feedback': 'x'}\n", 1, "no key 'score'"),
        ("def polite(*_):\n    return {'score': 1, 'feedback': 3}\n", 1, "feedback is of type int"),
        ("def polite(*_):\n    return {'score': 1, 'metadata': {'a': {1}}}\n", 1, "not JSON"),
        ("def polite(o, e, i):\n    x = 1\n    return o['que']\n", 3, "KeyError: 'que'"),
        ("import sys\ndef polite(*_):\n    sys.exit(3)\n", 3, "SystemExit: 3"),
        ("def polit(*_):\n    return 1\n", 1, "no function 'polite'"),
        ("polite = 3\n", 1, "no function 'polite'"),
        ("\nasync def polite(*_):\n    return 1\n", 1, "is async"),
        ("def polite(output, expected):\n    return 1\n", 1, "too many positional arguments"),
        ("x = 1\ny = (\n", 2, "SyntaxError"),
        ("x = 1\ny = z\n", 2, "NameError"),
        ("raise SystemExit(0)\n", 1, "SystemExit"),
        ("def polite(*_):\n    return 10**400\n", 1, "an integer beyond 1e+15"),
        ("def polite(*_):\n    return 10**5000\n", 1, "an integer beyond 1e+15"),
        ("def polite(*_):\n    raise GeneratorExit\n", 2, "GeneratorExit"),
        ("import asyncio as a\ndef polite(*_):\n    raise a.CancelledError\n", 3, "Cancelled"),
        ("def polite(*_):\n    return (n for n in ())\n", 1, "is of type generator; expected"),
        (BAD_REPR, 5, "the score is of type Bad; expected"),
        (BAD_SCORE, 3, "ValueError: \\ud800"),
    ],
)
def test_a_wrong_metric_is_a_spec_error_at_its_line(code, line, words, tmp_path) -> None:
    found = refused(project_with(tmp_path, code))
    assert (found.file, found.line) == (f"signatures/{NAME}/metrics.py", line)
    assert words in found.message


def test_a_function_that_is_not_there_is_answered_with_the_nearest(tmp_path) -> None:
    found = refused(project_with(tmp_path, "def polit(*_):\n    return 1\n"))
    assert found.hint == "did you mean 'polit'?"


def test_arguments_are_checked_against_the_function(tmp_path) -> None:
    assert load(project_with(tmp_path / "a", args={"word": "x"})).reward.code_digests
    found = refused(project_with(tmp_path / "b", args={"wrod": "x"}))
    assert (found.file, found.line) == (f"signatures/{NAME}/metrics.py", 3)
    assert "'wrod'" in found.message


# --- scoring ------------------------------------------------------------------------------------


def test_a_function_scores_outputs_with_its_arguments(tmp_path) -> None:
    code = """
    def polite(output, expected, input, *, most):
        score = 1 if output == expected else most
        return {"score": score, "feedback": input["ticket"], "metadata": {"most": most}}
    """
    inputs = load(project_with(tmp_path, code, args={"most": 0.5}))
    row = Row("r", {"ticket": "t"}, {"queue": "billing"}, "val")
    scored = inputs.reward.score({"queue": "other"}, None, row)
    assert scored.reward == 0.5
    [signal] = scored.signals
    assert (signal.id, signal.feedback, signal.metadata) == ("python:polite", "t", {"most": 0.5})


def test_a_result_object_is_taken_too(tmp_path) -> None:
    code = """
    from dataclasses import dataclass
    from dse_cli import MetricResult

    @dataclass
    class Own:
        score: float
        feedback: str = "own"

    def polite(output, expected, input):
        return Own(0.5) if output["queue"] == "other" else MetricResult(1, "ours")
    """
    inputs = load(project_with(tmp_path, code))
    row = Row("r", {"ticket": "t"}, {"queue": "billing"}, "val")
    found = [
        inputs.reward.score({"queue": queue}, None, row).signals[0] for queue in ("other", "x")
    ]
    assert [(signal.score, signal.feedback) for signal in found] == [(0.5, "own"), (1, "ours")]


def test_a_metric_that_fails_later_is_an_error_with_row_file_and_line(tmp_path) -> None:
    code = """
    def polite(output, expected, input):
        if output["queue"] == "no":
            raise ValueError("no idea")
        return 2 if output["queue"] == "two" else 1
    """
    inputs = load(project_with(tmp_path, code))
    assert error_on(inputs, {"queue": "no"}) == (
        f"python:polite failed on row 'r': signatures/{NAME}/metrics.py:3: "
        "polite raised ValueError: no idea"
    )
    assert "the score is 2; expected a number from 0 to 1" in error_on(inputs, {"queue": "two"})


def test_a_metric_can_change_nothing_that_it_is_given(tmp_path) -> None:
    code = """
    def polite(output, expected, input):
        for value in (output, expected, input):
            value.clear()
        return 1
    """
    inputs = load(project_with(tmp_path, code))
    row = Row("r", {"ticket": "t"}, {"queue": "billing"}, "val")
    output = {"queue": "other"}
    inputs.reward.score(output, None, row)
    assert (output, row.expected, row.input) == (
        {"queue": "other"},
        {"queue": "billing"},
        {"ticket": "t"},
    )


def test_what_a_metric_prints_does_not_reach_the_data(tmp_path, capsys) -> None:
    code = """
    print("loading")

    def polite(output, expected, input):
        print("scoring")
        return 1
    """
    load(project_with(tmp_path, code))
    out, err = capsys.readouterr()
    assert out == ""
    assert "loading" in err
    assert "scoring" in err


# --- identity -----------------------------------------------------------------------------------


def test_the_code_is_part_of_the_reward_and_so_of_the_run(tmp_path) -> None:
    project = project_with(tmp_path)
    first = load(project)
    write_code(project, POLITE)
    assert load(project).run_inputs_hash == first.run_inputs_hash
    write_code(project, POLITE + "# another comment\n")
    second = load(project)
    assert second.reward.hash != first.reward.hash
    assert second.run_inputs_hash != first.run_inputs_hash
    assert second.job_hash == first.job_hash


def test_a_receipt_names_the_code_only_when_there_is_some(tmp_path) -> None:
    names = [resource.name for resource in dependencies(load(project_with(tmp_path / "a")))]
    assert "metrics.py" in names
    plain = [resource.name for resource in dependencies(load(make_project(tmp_path / "b")))]
    assert set(names) - set(plain) == {"metrics.py"}


def test_a_compile_runs_on_a_python_metric(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DSE_CONFIG", str(tmp_path / "config.yaml"))
    (tmp_path / "config.yaml").write_text("dse: user_config/v1\nallow_code: true\n")
    result = compile_it(project_with(tmp_path / "p"), scripted())
    assert result.outcome is not None


def test_what_a_metric_says_is_bounded_and_can_be_written(tmp_path) -> None:
    code = """
    def polite(output, expected, input):
        if output["queue"] == "no":
            raise ValueError("no " * 10_000)
        return {"score": 0.5, "feedback": "\\ud800" + "long " * 10_000}
    """
    inputs = load(project_with(tmp_path, code))
    assert len(error_on(inputs, {"queue": "no"})) < 1_200
    row = Row("r", {"ticket": "t"}, {"queue": "billing"}, "val")
    feedback = inputs.reward.score({"queue": "x"}, None, row).signals[0].feedback
    assert len(feedback) == MAX_FEEDBACK
    assert feedback.startswith("\\ud800long ")
    assert feedback.endswith("... (50006 characters)")


def test_a_bug_in_a_metric_ends_a_compile_as_a_mistake_that_names_the_line(tmp_path) -> None:
    code = """
    def polite(output, expected, input):
        if output["queue"] != expected["queue"]:
            raise KeyError("oops")
        return 1
    """
    inputs = load(project_with(tmp_path, code))
    with pytest.raises(MetricFailedError) as failed:
        asyncio.run(compile_signature(inputs, options(real())))
    assert (failed.value.exit_code, failed.value.outcome) == (ExitCode.USAGE, "metric")
    assert f"signatures/{NAME}/metrics.py:3: polite raised KeyError" in failed.value.message
    assert "trying again does not help" in (failed.value.hint or "")
