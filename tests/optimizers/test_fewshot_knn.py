from __future__ import annotations

import random
from typing import Any

import pytest
from pydantic import ValidationError

from dse_cli.contracts.errors import InfrastructureError, UsageError
from dse_cli.contracts.evaluation import CellError
from dse_cli.evaluation.query import Query
from dse_cli.lm.lexical import lexical_vector
from dse_cli.lm.vectors import vector_text
from dse_cli.optimizers.fewshot_knn import FewShotKnnConfig, too_many
from dse_cli.runtime.policy import Policy
from dse_cli.runtime.prediction import Prediction
from tests.evaluation.cells import answered, make_rows
from tests.optimizers.searches import Found, run

EMBEDDER = "openai/embedder"


def vectors(query: Query) -> Prediction:
    assert query.embedder == EMBEDDER
    return answered({"vector": vector_text(lexical_vector(str(query.value)))})


def likes(k: int) -> Any:
    """A world in which one number of neighbours is right."""

    def world(policy: Policy, row: Any) -> float:
        found = 0 if policy.selector is None else policy.selector.k
        return 1 - abs(found - k) / 10

    return world


def search(k: int = 2, config: Any = (1, 2, 4), **how: Any) -> Found:
    space = {"few_shot": {"k_max": 4, **how.pop("space", {})}}
    how = {"reply": vectors, "embedder": EMBEDDER, **how}
    settings = {} if config is None else {"k": list(config)}
    return run("fewshot_knn.v1", space, likes(k), config=settings, **how)


def test_base_and_each_number_of_neighbours_are_tried_in_ascending_order() -> None:
    found = search(config=(4, 1, 2))
    assert found.origins == ["base", "knn:1 of 4", "knn:2 of 4", "knn:4 of 4"]
    assert found.best.origin == "knn:2 of 4"
    assert found.shown == [f"r{n:03d}" for n in range(4)]
    assert found.best.candidate.main.index is not None
    assert found.plan.candidates == 4
    assert (found.plan.metric_calls, found.plan.queries) == (12, 4)


def test_the_base_wins_where_no_neighbour_helps() -> None:
    assert search(k=0).best.origin == "base"


def test_k_max_alone_is_tried_when_nothing_is_declared() -> None:
    assert search(config=None).origins == ["base", "knn:4 of 4"]


def test_more_neighbours_than_rows_are_all_rows_once() -> None:
    found = search(config=(2, 3, 4), train=make_rows(2, "train"))
    assert found.origins == ["base", "knn:2 of 2"]


def test_tags_and_a_seeded_sample_narrow_the_pool() -> None:
    train = make_rows(9, "train")
    pools = [tuple(search(train=train, space={"pool_size": 5}, seed=s).shown) for s in (1, 1, 2)]
    assert pools[0] == pools[1] != pools[2]
    assert all(len(pool) == 5 for pool in pools)


def test_the_pool_is_embedded_once_in_one_batch_after_the_base() -> None:
    found = search()
    assert [query.path for query in found.runner.queries] == [
        f"embed/ex={row.hash[7:19]}" for row in make_rows(4, "train")
    ]
    (record,) = found.search.log.demo_sets
    assert [demo.id for demo in record.demos] == [f"r{n:03d}" for n in range(4)]
    assert [trial.choice for trial in found.search.log.trials] == [
        None,
        {"k": 1},
        {"k": 2},
        {"k": 4},
    ]


def test_the_order_of_completion_decides_nothing() -> None:
    runs = [search(shuffle=random.Random(seed)) for seed in range(4)]
    ids = {tuple(entry.candidate.id for entry in found.entries) for found in runs}
    assert len(ids) == 1


def test_a_row_that_an_outage_left_without_a_vector_is_left_out() -> None:
    def reply(query: Query) -> Prediction:
        if query.value == {"ticket": "t1"}:
            return answered(None, CellError("provider", "down"))
        return vectors(query)

    found = search(reply=reply, max_error_rate=0.3)
    assert found.shown == ["r000", "r002", "r003"]
    (record,) = found.search.log.demo_sets
    assert (len(record.demos), record.tried) == (3, 0)
    with pytest.raises(InfrastructureError, match="questions to the embedder have no answer"):
        search(reply=reply, max_error_rate=0.0)


def test_without_an_embedder_nothing_is_embedded() -> None:
    with pytest.raises(UsageError, match="no model to embed"):
        search(embedder=None)


def test_a_budget_between_base_and_pool_leaves_the_base() -> None:
    found = search(max_lm_calls=6)  # a cell may need two calls; a question too
    assert found.stopped is not None
    assert found.origins == ["base"]
    assert not found.runner.queries


@pytest.mark.parametrize("k", [[], [0], [65], [2, 2], [1.5]])
def test_numbers_that_cannot_be_are_refused(k: list[Any]) -> None:
    with pytest.raises(ValidationError):
        FewShotKnnConfig.model_validate({"k": k})


def test_a_number_over_k_max_is_found() -> None:
    assert too_many(FewShotKnnConfig(k=(1, 5, 9)), 4) == 1
    assert too_many(FewShotKnnConfig(k=(1, 4)), 4) is None
    assert too_many(FewShotKnnConfig(), 4) is None
