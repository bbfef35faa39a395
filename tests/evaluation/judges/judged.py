"""A policy that replies, judges that grade and compare replies, and cells filled with them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from dse_cli.contracts.dataset import Row
from dse_cli.contracts.evaluation import Cell
from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity, Usage
from dse_cli.contracts.reward import RewardSpec
from dse_cli.contracts.signature import Signature, SignatureSpec
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.executor import CellTask
from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
from dse_cli.evaluation.rewards.reward import Reward
from dse_cli.evaluation.runner import SignatureRunner
from dse_cli.lm.layer import Layer
from dse_cli.runtime.policy import Policy, authored_policy
from tests.lm.calls import RealTransport

GRADER: dict[str, Any] = {
    "id": "@test/judges/Grader.v1",
    "kind": "judge",
    "input": {"task": "string", "answer": "string",
              "reference": {"type": "string", "optional": True}},
    "output": {"reason": "string", "score": {"enum": [1, 2, 3, 4, 5]}},
    "prompt": [{"instruction": "You grade."}, {"output_format": "json_schema"}],
}  # fmt: skip
DUEL: dict[str, Any] = {
    "id": "@test/judges/Duel.v1",
    "kind": "judge",
    "input": {"task": "string", "one": "string", "two": "string"},
    "output": {"reason": "string", "winner": {"enum": ["a", "b", "tie"]}},
    "prompt": [{"instruction": "You compare."}, {"output_format": "json_schema"}],
}
REPLY: dict[str, Any] = {
    "id": "@test/desk/Reply.v1",
    "input": {"ticket": "string"},
    "output": {"reply": "string"},
    "prompt": [{"instruction": "You reply."}, {"output_format": "json_schema"}],
}
GRADE: dict[str, Any] = {
    "signature": "grader",
    "artifact": "abcd",
    "inputs": {"task": "input.ticket", "answer": "output.reply", "reference": "expected.reply"},
    "score": "score",
    "scale": [1, 5],
    "feedback": "reason",
    "weight": 1,
}
PAIR: dict[str, Any] = {
    "signature": "duel",
    "artifact": "abcd",
    "inputs": {"task": "input.ticket"},
    "ours": "output.reply",
    "theirs": "expected.reply",
    "first": "one",
    "second": "two",
    "winner": "winner",
    "feedback": "reason",
    "weight": 1,
}
ROW = Row("r", {"ticket": "Where is it?"}, {"reply": "On its way."}, "val")
JUDGE_MODEL = "openai/judge"
PATH = "cand=0000/ex=1/rollout=2"

Answer = Callable[[LmRequest], LmResponse | Exception]


def signature(spec: Mapping[str, Any]) -> Signature:
    whole = {"dse": "signature/v1", "description": "d", **spec}
    return Signature(SignatureSpec.model_validate(whole), {})


def policy(
    spec: Mapping[str, Any], params: dict[str, Any] | None = None, model: str = ""
) -> Policy:
    found = authored_policy(signature(spec), model=model or JUDGE_MODEL)
    return found.patched({"decode": {"max_repairs": 0}, **(params or {})})


def pinned(
    *signals: dict[str, Any], specs: Mapping[int, Policy] | None = None
) -> tuple[Reward, list[PinnedJudge]]:
    """Return a reward with its judges; ``specs`` replaces the policy of a signal."""
    reward = Reward(RewardSpec.model_validate({"signals": list(signals)}))
    judges = []
    for index, config in reward.judges:
        usual = policy(DUEL if config.signature == "duel" else GRADER)
        found = (specs or {}).get(index, usual)
        judges.append(
            PinnedJudge(index, reward.signal_ids[index], config, found, config.signature, "x", "y")
        )
    return reward.pinned({judge.index: judge.policy.id for judge in judges}), judges


def said(text: Any, **more: Any) -> LmResponse:
    text = text if isinstance(text, str) else json.dumps(text)
    usage = more.pop("usage", Usage(10, 5, 100))
    return LmResponse(text, "stop", more.pop("served", "tiny-1"), usage, **more)


def step(request: LmRequest) -> str:
    """Return the part of a logical path that names a step, with the order of a pairwise judge."""
    parts = request.path.split("/")
    return "/".join(part for part in parts if part.startswith(("step=", "order=")))


class Desk:
    """Fills one cell of a policy that says ``reply``; ``judged`` says what its judges say.

    Args:
        judged: answer to a judge's request.
        reply: text of the policy's whole answer.
    """

    def __init__(
        self,
        judged: Callable[[LmRequest], Any],
        *signals: dict[str, Any],
        reply: Any = None,
        specs: Mapping[int, Policy] | None = None,
    ) -> None:
        self._judged = judged
        self._reply = {"reply": "Soon."} if reply is None else reply
        self.transport = RealTransport(self._answer)
        self.reward, self.judges = pinned(*signals, specs=specs)

    @property
    def asked(self) -> list[LmRequest]:
        """Requests of the judges."""
        return [request for request in self.transport.requests if "judge:" in request.path]

    def runner(self, layer: Layer | None = None, **options: Any) -> SignatureRunner:
        layer = layer or self.transport
        return SignatureRunner(layer, ModelIdentity, self.reward, judges=self.judges, **options)

    def fill(self, row: Row = ROW, params: dict[str, Any] | None = None) -> Cell:
        candidate = Candidate.of(policy(REPLY, params, "openai/tiny"))
        return asyncio.run(self.runner().run(CellTask(candidate, row, 2, PATH)))

    def _answer(self, request: LmRequest) -> LmResponse | Exception:
        found = self._judged(request) if "judge:" in request.path else self._reply
        return found if isinstance(found, LmResponse | Exception) else said(found)
