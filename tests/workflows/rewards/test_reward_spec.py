"""What a wrong reward in ``compile.yaml`` is answered with, through the loader of jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError
from dse_cli.project.project import Project
from dse_cli.workflows.inputs import load_inputs
from tests.workflows.desk import NAME, make_project

FILE = f"signatures/{NAME}/compile.yaml"


def problem(root: Path, *lines: str) -> Diagnostic:
    """Return the only problem of a job whose reward has these lines."""
    project = make_project(root)
    path = project.root / FILE
    kept = path.read_text(encoding="utf-8").splitlines()
    start = kept.index("reward:")
    end = next(i for i in range(start + 1, len(kept)) if not kept[i].startswith((" ", "-")))
    path.write_text("\n".join([*kept[:start], "reward:", *lines, *kept[end:]]), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load_inputs(Project.open(root=root), NAME)
    [found] = caught.value.diagnostics
    assert found.file == FILE
    return found


def signal(root: Path, text: str) -> Diagnostic:
    found = problem(root, "  signals:", f"    - {text}")
    assert found.line == 5
    assert found.source == f"    - {text}"
    return found


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("exact_mach: 1", "unknown metric 'exact_mach'", "did you mean 'exact_match'?"),
        ("rouge: {field: queue, weight: 1}", "unknown metric 'rouge'", "did you mean 'rouge_l'?"),
        ("pairwise: {weight: 1}", "unknown metric 'pairwise'", "did you mean 'pairwise_judge'?"),
        ("exact_match: -1", "a weight must be a number above 0, at most 1000, but is -1", None),
        ("exact_match: 0", "a weight must be a number above 0, at most 1000, but is 0", None),
        ("exact_match: {field: queue, weight: -0.5}", "but is -0.5", None),
        ("exact_match: .nan", "nan", None),
        ("exact_match: {weight: .inf}", "inf", None),
        ("exact_match: true", "true", None),
        ('exact_match: {weight: "1"}', "number", "without quotes"),
        ("exact_match: {field: queue}", "missing key 'weight'", None),
        ("exact_match: {weight: 1, feild: queue}", "unknown key 'feild'", "did you mean 'field'?"),
        ("exact_match: {weight: 1, field: queu}", "no field 'queu'", "did you mean 'queue'?"),
        ("exact_match: {weight: 1, normalize: [lower]}", "normalize", None),
        ("numeric: {weight: 1, field: queue}", "numeric needs a number", None),
        ("date: {weight: 1, field: queue, formats: ['%d %B']}", "has no year", None),
        ("regex: {weight: 1, field: queue, pattern: '('}", "not a regular expression", None),
        ("retrieval: {weight: 1, field: queue, k: 0}", "at least 1", None),
        ("forbidden: {weight: 1, field: queue}", "nothing is forbidden", None),
        ("python: {weight: 1, call: metrics.polite}", "call", None),
    ],
)
def test_a_wrong_signal_is_refused_at_its_line(text, message, hint, tmp_path) -> None:
    found = signal(tmp_path, text)
    assert message in found.message
    if hint is not None:
        assert hint in (found.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lenght: {target: 1, limit: 2}", "unknown penalty 'lenght'"),
        ("length: {target: 5, limit: 5}", "limit must be greater than target"),
        ("tokens: {target: -1, limit: 5}", "at least 0"),
        ("cost: {target_usd: .nan, limit_usd: 1}", "nan"),
        ("cost: {target_usd: 0.2, limit_usd: 0.1}", "limit_usd must be greater than target_usd"),
        ("calls: {target: 1}", "missing key 'limit'"),
        ("length: {field: quue, target: 1, limit: 5}", "no field 'quue'"),
        ("latency: {target_ms: 2, limit_ms: 2}", "limit_ms must be greater than target_ms"),
    ],
)
def test_a_wrong_penalty_is_refused_at_its_line(text, message, tmp_path) -> None:
    found = problem(tmp_path, "  signals:", "    - exact_match: 1", "  penalties:", f"    - {text}")
    assert found.line == 7
    assert message in found.message


def test_a_reward_without_a_signal_is_refused(tmp_path) -> None:
    assert "at least 1 item" in problem(tmp_path, "  signals: []").message
