from __future__ import annotations

import pytest

from dse_cli.evaluation.candidate import Candidate
from tests.evaluation.cells import BASE, make_candidate


def test_the_id_of_a_candidate_of_one_signature_is_that_of_its_policy() -> None:
    assert Candidate.of(BASE).id == BASE.id


def test_a_candidate_of_several_components_has_an_id_over_all_of_them() -> None:
    other = make_candidate("Other.").main
    one = Candidate({"main": BASE, "second": other})
    assert one.id == Candidate({"second": other, "main": BASE}).id
    assert one.id not in {BASE.id, Candidate({"main": other, "second": BASE}).id}
    assert one.id != Candidate({"main": BASE, "third": other}).id


def test_a_candidate_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Candidate.of(BASE).components = {}  # type: ignore[misc]
