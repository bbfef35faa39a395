"""Jobs of the optimizers that propose and bootstrap, on the desk, and a proposer by rule."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from dse_cli.contracts.lm import LmRequest, LmResponse, Usage
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.workflows.plans.made_up import made_up
from tests.lm.calls import RealTransport
from tests.workflows.desk import QUEUES, rule

#: Small settings: every step of the algorithm, few calls.
SEARCHES: dict[str, dict[str, Any]] = {
    "mipro": {
        "id": "mipro_v2.v1",
        "config": {
            "num_candidates": 4,
            "num_trials": 6,
            "minibatch_size": 4,
            "minibatch_full_eval_steps": 3,
        },
    },
    "random": {"id": "bootstrap_random_search.v1", "config": {"num_candidate_programs": 3}},
    "copro": {"id": "copro.v1", "config": {"breadth": 3, "depth": 2}},
    "simba": {"id": "simba.v1", "config": {"bsize": 4, "num_candidates": 3, "max_steps": 3}},
    "propose": {"id": "instruction_propose.v1"},
}
BUDGET = {"max_metric_calls": 600, "max_lm_calls": 2000}


def job(name: str, **budget: Any) -> dict[str, Any]:
    """The part of a job that names its optimizer, without a search space."""
    return {"optimizer": SEARCHES[name], "search_space": {}, "budget": {**BUDGET, **budget}}


def is_proposal(request: LmRequest) -> bool:
    return request.path.startswith("propose/")


def proposed(request: LmRequest) -> str:
    """Answer a meta-signature; about one text in two says what helps."""
    digest = hashlib.sha256(f"{request.path} {request.rollout}".encode()).hexdigest()
    name = f"{digest[:8]} {'It stands in brackets.' if digest[0] < '8' else ''}"
    return json.dumps(made_up(request.response_schema or {}, name, 90))


def drawn(request: LmRequest) -> str:
    """Answer as the desk's rule does, but another sample may be another answer."""
    plain = rule(request)
    if (request.sampling.temperature or 0.0) == 0.0:
        return plain
    draw = hashlib.sha256(f"{request.key}".encode()).digest()[0]
    return plain if draw % 2 else json.dumps({"queue": QUEUES[draw % 3]})


def searched(request: LmRequest) -> str:
    """Answer proposals and tickets."""
    return proposed(request) if is_proposal(request) else drawn(request)


def scripted(answer: Callable[[LmRequest], str] = searched) -> ScriptedTransport:
    return ScriptedTransport(answer)


def real(answer: Callable[[LmRequest], str] = searched) -> RealTransport:
    """The same answers without the mark of a script."""

    def respond(request: LmRequest) -> LmResponse:
        words = sum(len(message.content.split()) for message in request.messages)
        return LmResponse(answer(request), "stop", "desk-1", Usage(words, 4, 0))

    return RealTransport(respond)
