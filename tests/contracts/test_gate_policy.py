from __future__ import annotations

from typing import Any

import pytest

from dse_cli.contracts.errors import SpecError
from dse_cli.contracts.project import GatePolicy, ProjectSpec
from dse_cli.project.validate import validate
from dse_cli.project.yaml_document import parse_yaml


def policy(text: str) -> GatePolicy:
    document = parse_yaml(f"dse: project/v1\ngate:\n{text}", name="dse.yaml")
    return validate(document, ProjectSpec).gate


def problem(text: str) -> Any:
    with pytest.raises(SpecError) as caught:
        policy(text)
    return caught.value.diagnostics[0]


def test_tags_and_decode_failures_are_guarded_unless_said_otherwise() -> None:
    guards = GatePolicy().guards
    assert (guards.slices, guards.decode_failures) == (True, True)
    assert (guards.tokens, guards.cost) == (None, None)
    assert GatePolicy().rollouts == 1
    assert GatePolicy().non_inferiority is None


def test_everything_can_be_set() -> None:
    found = policy(
        "  rollouts: 3\n"
        "  guards: {slices: false, decode_failures: true, tokens: 0.5, cost: null}\n"
        "  non_inferiority: {saving: {cost: 0.2}}\n"
    )
    assert found.guards.tokens == 0.5
    assert found.non_inferiority is not None
    assert found.non_inferiority.saving.cost == 0.2


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("  rollouts: 0\n", 3, "1"),
        ("  guards: {tokens: -0.1}\n", 3, "0"),
        ("  guards: {cost: .nan}\n", 3, "number"),
        ("  guards: {slices: 1}\n", 3, "true or false"),
        ("  non_inferiority: {}\n", 3, "saving"),
        ("  non_inferiority: {saving: {}}\n", 3, "promise a saving"),
        ("  non_inferiority: {saving: {cost: 0}}\n", 3, "0"),
        ("  non_inferiority: {saving: {cost: 1}}\n", 3, "1"),
        ("  margin: 0\n  non_inferiority: {saving: {cost: 0.5}}\n", 4, "margin"),
    ],
)
def test_a_rule_that_means_nothing_is_refused_with_its_line(text, line, said) -> None:
    found = problem(text)
    assert (found.file, found.line) == ("dse.yaml", line)
    assert said in f"{found.message} {found.hint}"


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("  rolouts: 2\n", "rollouts"),
        ("  guards: {token: 0.5}\n", "tokens"),
        ("  guards: {slice: true}\n", "slices"),
        ("  non_inferiority: {savings: {cost: 0.2}}\n", "saving"),
        ("  non_inferiority: {saving: {costs: 0.2}}\n", "cost"),
    ],
)
def test_a_misspelt_rule_is_refused_with_the_word_that_was_meant(text, meant) -> None:
    found = problem(text)
    assert f"did you mean {meant!r}?" in f"{found.message} {found.hint}"
