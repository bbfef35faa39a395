"""``direct.v1``: render, call, decode, and a bounded repair that says what failed and why."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from dse_cli.canonical import NotCanonicalError, canonical_bytes, canonical_text
from dse_cli.contracts.errors import CallTimeoutError, ProviderError, UsageError
from dse_cli.contracts.evaluation import CellError
from dse_cli.contracts.lm import NANO, LmRequest, LmResponse, Message, ModelIdentity
from dse_cli.contracts.prompt_ir import ToolPolicyBlock
from dse_cli.project.suggest import did_you_mean
from dse_cli.runtime.decode import PROBLEM_CHARS, Decoded, DecodeFailure, decode
from dse_cli.runtime.demo_selection import DemoSelection, embed_bound, embed_request
from dse_cli.runtime.prediction import Prediction, UsageTally
from dse_cli.runtime.render import PreparedPrompt, prepare

if TYPE_CHECKING:
    from dse_cli.contracts.signature import Signature
    from dse_cli.lm.layer import Layer
    from dse_cli.runtime.policy import ModelRole, Policy

REPAIR_TEMPLATE = (
    "That answer cannot be used:\n{problems}\n"
    "Answer again with one corrected JSON object, and nothing else."
)


#: Bytes that a token of an answer is taken for when the answer becomes part of a prompt.
BYTES_PER_TOKEN = 4
#: Bytes that a chat template adds to a message, at most.
MESSAGE_OVERHEAD = 16
#: Bytes of one repair message, at most: four bytes a character, and the words around the problems.
REPAIR_BYTES = 4 * PROBLEM_CHARS + len(REPAIR_TEMPLATE) + 200


class _PolicyBudgetError(Exception):
    """A budget of the policy ends this prediction; becomes its typed error."""


@dataclass(frozen=True, slots=True)
class _Deadline:
    """When a prediction ends: ``limit_s`` seconds after its start, at ``at`` on the clock."""

    limit_s: float | None
    at: float
    kind: Literal["timeout", "budget"]


class DirectPredictor:
    """Runs one policy on inputs.

    Args:
        policy: what to run.
        layer: the gateway, or any layer of it.
        identify: resolved model name to identity (endpoint, weights).
        clock: monotonic seconds; only limits look at it, no result does.
    """

    def __init__(
        self,
        policy: Policy,
        layer: Layer,
        identify: Callable[[str], ModelIdentity],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        refuse_tools(policy.signature)
        self.policy = policy
        self._layer = layer
        self._clock = clock
        selector = policy.selector
        self._selection = None if selector is None else DemoSelection(policy, selector)
        self._prompt = prepare(policy)
        self._checker = policy.signature.output_checker
        self._schema = (
            policy.signature.output_schema if policy.decode.mode == "native_schema" else None
        )
        self._identity = {role: identify(self._model(role)) for role in ("main", "repair")}
        self._embedder = None if selector is None else identify(selector.embedder)
        self._sampling = {
            "main": policy.sampling("main"),
            "repair": policy.sampling("repair"),
        }
        schema_bytes = 0 if self._schema is None else len(canonical_bytes(self._schema))
        self._prefix_bytes = schema_bytes + sum(
            len(message.content.encode()) + MESSAGE_OVERHEAD for message in self._longest_prefix()
        )

    def _longest_prefix(self) -> tuple[Message, ...]:
        """Return the stable messages, with the longest demos where they are chosen by input."""
        if self._selection is None:
            return self._prompt.prefix
        return prepare(self.policy, self._selection.longest()).prefix

    def _model(self, role: ModelRole) -> str:
        name = self.policy.model(role).model
        if name is None:
            raise UsageError(f"the policy names no model for the role {role!r}")
        return name

    def token_bound(self, value: Mapping[str, Any], more_bytes: int = 0) -> int | None:
        """Return tokens that one prediction cannot exceed, or None when answers are unbounded.

        Args:
            more_bytes: of what will stand in ``value`` besides what stands there now.

        A byte-level tokenizer makes at most one token of a byte; chat templates add a few per
        message, and some providers count the schema that they enforce. A repair repeats the
        prompt and, for each answer before it, the answer (taken as four bytes a token) and the
        problems.
        """
        cap = self._sampling["main"].max_tokens
        repair_cap = self._sampling["repair"].max_tokens
        if cap is None or repair_cap is None:
            return None
        prompt = self._prefix_bytes + len(canonical_bytes(value)) + more_bytes + MESSAGE_OVERHEAD
        answer = BYTES_PER_TOKEN * max(cap, repair_cap)
        again = answer + REPAIR_BYTES + 2 * MESSAGE_OVERHEAD
        embedding = 0 if self._selection is None else embed_bound(value, more_bytes)
        repairs = self.call_bound() - 1 - self._embeddings
        if repairs < 0:
            return embedding if self.call_bound() else 0
        return embedding + (prompt + cap) + repairs * (prompt + again * repairs + repair_cap)

    def answer_bound(self) -> int | None:
        """Return the bytes of an output, at four a token, or None when answers are unbounded."""
        caps = [sampling.max_tokens for sampling in self._sampling.values()]
        known = [cap for cap in caps if cap is not None]
        return BYTES_PER_TOKEN * max(known) if len(known) == len(caps) else None

    def call_bound(self) -> int:
        """Return the most model calls one prediction can make."""
        limit = self.policy.budgets.max_lm_calls
        worst = self._embeddings + 1 + self.policy.decode.max_repairs
        return worst if limit is None else min(worst, limit)

    @property
    def _embeddings(self) -> int:
        """How often an input is embedded."""
        return 0 if self._selection is None else 1

    async def predict(
        self,
        value: Mapping[str, Any],
        *,
        path: str = "predict",
        rollout: int = 0,
        tally: UsageTally | None = None,
    ) -> Prediction:
        """Run the policy on one input.

        Args:
            value: JSON object that fits the input schema.
            path: logical path of the prediction; the attempt is appended.
            rollout: index of the sample.
            tally: counts the calls as they are made, for a caller that must know what was used
                even when this raises or is cancelled.

        Returns:
            A prediction; decode failures, budgets and provider errors are in its ``error``.

        Raises:
            UsageError: the input does not fit the signature.
        """
        check_input(self.policy, value)
        tally = UsageTally() if tally is None else tally
        deadline = self._deadline()
        try:
            outcome = await self._ask_until_decoded(value, path, rollout, tally, deadline)
        except CallTimeoutError as error:
            kind = deadline.kind if self._is_past(deadline) else "timeout"
            return self._failed(CellError(kind, error.message), tally)
        except ProviderError as error:
            return self._failed(CellError("provider", error.message), tally)
        except _PolicyBudgetError as error:
            return self._failed(CellError("budget", str(error)), tally)
        text, result = outcome
        if isinstance(result, DecodeFailure):
            return self._failed(CellError("decode", result.message, result.field), tally, text)
        return Prediction(
            output=result.value,
            error=None,
            usage=tally.usage(),
            request_keys=tuple(tally.request_keys),
            served_model=tally.served_model,
            scripted=tally.scripted,
            text=text,
        )

    async def _ask_until_decoded(
        self,
        value: Mapping[str, Any],
        path: str,
        rollout: int,
        tally: UsageTally,
        deadline: _Deadline,
    ) -> tuple[str, Decoded | DecodeFailure]:
        prompt = await self._prompt_for(value, path, tally, deadline)
        messages = prompt.messages(value)
        role: ModelRole = "main"
        for attempt in range(1 + self.policy.decode.max_repairs):
            request = self._request(messages, role, f"{path}/attempt={attempt}", rollout, deadline)
            response = await self._charged_call(request, tally)
            result = decode(response.text, self.policy.decode.mode, self._checker)
            if isinstance(result, Decoded):
                break
            if self._may_repair(attempt, tally):
                tally.repairs += 1
                role = "repair"
                repair = REPAIR_TEMPLATE.format(problems=result.message)
                messages = (
                    *messages,
                    Message("assistant", response.text),
                    Message("user", repair),
                )
            else:
                break
        return response.text, result

    async def _prompt_for(
        self, value: Mapping[str, Any], path: str, tally: UsageTally, deadline: _Deadline
    ) -> PreparedPrompt:
        """Return the stable prompt, with the demos of this input where they are chosen by it."""
        if self._selection is None or self._embedder is None:
            return self._prompt
        request = embed_request(self._embedder, value, f"{path}/step=embed", deadline.limit_s)
        response = await self._charged_call(request, tally)
        return prepare(self.policy, self._selection.nearest(response))

    def _may_repair(self, attempt: int, tally: UsageTally) -> bool:
        # With no call left the answer stays what it is, a decode failure: the policy's own fault.
        limit = self.policy.budgets.max_lm_calls
        has_call = limit is None or tally.lm_calls < limit
        return attempt < self.policy.decode.max_repairs and has_call

    async def _charged_call(self, request: LmRequest, tally: UsageTally) -> LmResponse:
        budgets = self.policy.budgets
        if budgets.max_lm_calls is not None and tally.lm_calls >= budgets.max_lm_calls:
            raise _PolicyBudgetError(f"max_lm_calls = {budgets.max_lm_calls} is used up")
        tally.asked()
        response = await self._layer.complete(request)
        tally.add(request.key, response, is_answer=request.task is None)
        if budgets.max_output_chars is not None and tally.output_chars > budgets.max_output_chars:
            raise _PolicyBudgetError(
                f"{tally.output_chars} output characters, max_output_chars = "
                f"{budgets.max_output_chars}"
            )
        if budgets.max_tokens is not None:
            if tally.total_tokens is None:
                raise _PolicyBudgetError("max_tokens is set and the provider reports no usage")
            if tally.total_tokens > budgets.max_tokens:
                raise _PolicyBudgetError(
                    f"{tally.total_tokens} tokens, max_tokens = {budgets.max_tokens}"
                )
        if budgets.max_cost_usd is not None:
            if tally.cost_nano_usd is None:
                raise _PolicyBudgetError("max_cost_usd is set and no price is known for the model")
            if tally.cost_nano_usd > budgets.max_cost_usd * NANO:
                raise _PolicyBudgetError(
                    f"${tally.cost_nano_usd / NANO:.6f} spent, max_cost_usd = "
                    f"{budgets.max_cost_usd:g}"
                )
        return response

    def _request(
        self,
        messages: tuple[Message, ...],
        role: ModelRole,
        path: str,
        rollout: int,
        deadline: _Deadline,
    ) -> LmRequest:
        remaining = deadline.limit_s
        is_first = role == "main" and self._selection is None
        if remaining is not None and not is_first:
            # Only now: the first call gets the limit itself, so that equal calls can be shared.
            remaining = max(0.0, deadline.at - self._clock())
        return LmRequest(
            identity=self._identity[role],
            messages=messages,
            sampling=self._sampling[role],
            response_schema=self._schema,
            rollout=rollout,
            path=path,
            timeout_s=remaining,
        )

    def _deadline(self) -> _Deadline:
        budget_ms = self.policy.budgets.max_time_ms
        constraint_ms = self.policy.signature.spec.defaults.constraints.timeout_ms
        if budget_ms is not None and (constraint_ms is None or budget_ms < constraint_ms):
            return _Deadline(budget_ms / 1000, self._clock() + budget_ms / 1000, "budget")
        if constraint_ms is not None:
            return _Deadline(constraint_ms / 1000, self._clock() + constraint_ms / 1000, "timeout")
        return _Deadline(None, 0.0, "timeout")

    def _is_past(self, deadline: _Deadline) -> bool:
        return deadline.limit_s is not None and self._clock() >= deadline.at

    def _failed(self, error: CellError, tally: UsageTally, text: str = "") -> Prediction:
        return Prediction(
            output=None,
            error=error,
            usage=tally.usage(),
            request_keys=tuple(tally.request_keys),
            served_model=tally.served_model,
            scripted=tally.scripted,
            text=text,
        )


def refuse_tools(signature: Signature) -> None:
    """Refuse a signature that lets the model call tools: ``direct.v1`` executes none.

    Raises:
        UsageError: a tool is allowed; offering it without running it would be a silent no-op.
    """
    for block in signature.spec.prompt:
        if isinstance(block, ToolPolicyBlock) and block.tool_policy.allowed:
            names = ", ".join(block.tool_policy.allowed)
            raise UsageError(
                f"{signature.id} allows tools ({names}), and direct.v1 runs no tools",
                hint="set tool_policy.allowed to [] to run the signature without them",
            )


def check_input(policy: Policy, value: Mapping[str, Any]) -> None:
    """Refuse an input that does not fit the signature.

    Raises:
        UsageError: naming the field and what was expected.
    """
    try:
        canonical_text(value)
    except NotCanonicalError as error:
        raise UsageError(f"the input has no exact JSON form: {error}") from None
    if policy.signature.input_checker.fits(value):
        return
    fields = policy.signature.input_schema.get("properties", {})
    is_closed = policy.signature.input_schema.get("additionalProperties") is False
    if is_closed and (unknown := [name for name in value if name not in fields]):
        raise UsageError(
            f"{policy.signature.id} has no input field {unknown[0]!r}",
            hint=did_you_mean(unknown[0], fields, otherwise="the input has the fields"),
        )
    problem = policy.signature.input_checker.problems(value)[0]
    where = ".".join(map(str, problem.location)) or "the input"
    expected = ", ".join(fields)
    raise UsageError(
        f"{where} does not fit {policy.signature.id}: {problem.message}",
        hint=f"the input has the fields: {expected}" if expected else None,
    )
