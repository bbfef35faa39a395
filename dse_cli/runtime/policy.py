"""A policy: a signature with its params resolved, and the id that names it."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from dse_cli.contracts.artifact import compiled_id, policy_hashes
from dse_cli.contracts.lm import Sampling
from dse_cli.contracts.params import (
    DecodeParams,
    ModelParams,
    Params,
    PolicyBudgets,
    RenderParams,
    merge,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.demo_index import DemoIndex
    from dse_cli.contracts.params import DemoSelector
    from dse_cli.contracts.prompt_ir import Demo
    from dse_cli.contracts.signature import Signature

ModelRole = Literal["main", "repair"]

#: What holds when neither the signature nor a compile run says otherwise. It is written into every
#: policy in full, so that a later version of DSE with other defaults does not change old policies.
DEFAULT_PARAMS: dict[str, Any] = {
    "decode": {"mode": "jsonish", "max_repairs": 1, "repair_strategy": "reask"},
    "model": {"temperature": 0.0},
    "render": {"demos": "turns"},
    "strategy": {"id": "direct.v1"},
}


_SECTIONS = frozenset(Params.model_fields)


@dataclass(frozen=True)
class Policy:
    """The behaviour-deciding bundle: signature and params.

    Attributes:
        signature: the contract.
        params: resolved; ``params.model.model`` is a LiteLLM name.
        index: the vectors that ``params.few_shot.selector`` names by their hash; they follow from
            that hash and so are no part of the policy's own. None where there is no selector.
    """

    signature: Signature
    params: Params
    index: DemoIndex | None = field(default=None, compare=False, repr=False)

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Hashes of input schema, output schema, prompt IR and params."""
        return policy_hashes(self.signature.contract_hashes, self.params)

    @cached_property
    def id(self) -> str:
        """The compiled id."""
        return compiled_id(self.signature.id, self.hashes, self.params)

    @cached_property
    def instruction(self) -> str:
        over = self.params.instruction
        return self.signature.instruction if over is None else over.text

    @cached_property
    def demos(self) -> tuple[Demo, ...]:
        over = self.params.few_shot
        return self.signature.authored_demos if over is None else over.examples

    @cached_property
    def selector(self) -> DemoSelector | None:
        """What chooses among the demos for each input; None when all of them are shown."""
        over = self.params.few_shot
        return None if over is None else over.selector

    @cached_property
    def decode(self) -> DecodeParams:
        return self.params.decode or DecodeParams()

    @cached_property
    def render(self) -> RenderParams:
        return self.params.render or RenderParams()

    @cached_property
    def budgets(self) -> PolicyBudgets:
        return self.params.budgets or PolicyBudgets()

    def model(self, role: ModelRole = "main") -> ModelParams:
        """Return the model settings of a role: its overrides over ``model``, field by field."""
        base = (self.params.model or ModelParams()).to_json()
        roles = self.params.model_roles
        over = getattr(roles, role, None) if roles is not None else None
        return ModelParams.model_validate(merge(base, over.to_json()) if over else base)

    def sampling(self, role: ModelRole = "main") -> Sampling:
        """Return the sampling parameters of a role; the signature's token cap always holds."""
        model = self.model(role)
        caps = [model.max_tokens, self.signature.spec.defaults.constraints.max_tokens]
        known = [cap for cap in caps if cap is not None]
        return Sampling(
            temperature=model.temperature,
            top_p=model.top_p,
            max_tokens=min(known) if known else None,
        )

    @cached_property
    def models(self) -> tuple[str, ...]:
        """Resolved names of the models that it may call, sorted."""
        names = {self.model("main").model, self.model("repair").model}
        if self.selector is not None:
            names.add(self.selector.embedder)
        return tuple(sorted(name for name in names if name is not None))

    def patched(self, patch: dict[str, Any]) -> Policy:
        """Return a new policy with ``patch`` laid over the params; this one is never changed."""
        return _policy(self.signature, merge(self.params.to_json(), patch), self.index)

    def on_model(self, model: str) -> Policy:
        """Return this policy answered by another model, resolved; with its own settings."""
        return self._with_main("model", model)

    def at_temperature(self, temperature: float) -> Policy:
        """Return this policy sampled at ``temperature``, whatever it says itself."""
        return self._with_main("temperature", temperature)

    def _with_main(self, setting: str, value: Any) -> Policy:
        """Return a policy with one setting of the main model; where its role has one, there too."""
        patch: dict[str, Any] = {"model": {setting: value}}
        roles = self.params.model_roles
        if (
            roles is not None
            and roles.main is not None
            and getattr(roles.main, setting) is not None
        ):
            patch["model_roles"] = {"main": {setting: value}}
        return self.patched(patch)

    def selecting(self, demos: Sequence[Demo], k: int, index: DemoIndex) -> Policy:
        """Return a new policy that shows the ``k`` of these demos that are nearest to the input."""
        selector = {"id": "knn.v1", "k": k, "embedder": index.embedder, "index": index.digest}
        few_shot = {"examples": [demo.to_json() for demo in demos], "selector": selector}
        return _policy(self.signature, merge(self.params.to_json(), {"few_shot": few_shot}), index)


def authored_policy(signature: Signature, *, model: str, repair_model: str | None = None) -> Policy:
    """Return the policy that stands in the signature file, run on ``model``.

    Args:
        signature: the contract with its default params.
        model: resolved LiteLLM name for the main role, used unless the signature pins one.
        repair_model: resolved name for repairs; the main model when None.
    """
    params = merge(DEFAULT_PARAMS, signature.spec.defaults.params.to_json())
    if params["model"].get("model") is None:
        params = merge(params, {"model": {"model": model}})
    if repair_model is not None:
        params = merge(params, {"model_roles": {"repair": {"model": repair_model}}})
    return _policy(signature, params)


def _policy(signature: Signature, params: dict[str, Any], index: DemoIndex | None = None) -> Policy:
    """Return a policy whose params are in their one normal form.

    What decides nothing must not change the id (law 2), so a null, which means "not set" once all
    layers are merged, and an empty section are left out. What decides something must be in the
    id: the signature's token cap is written into the params.
    """
    cap = signature.spec.defaults.constraints.max_tokens
    normal = {name: value for name, value in params.items() if value is not None}
    few_shot = normal.get("few_shot")
    if isinstance(few_shot, dict):
        normal["few_shot"] = {
            key: item for key, item in few_shot.items() if (key, item) != ("selector", None)
        }
    for name in normal.keys() - {"instruction", "few_shot", "model_roles"}:
        normal[name] = _without_nulls(normal[name])
    if cap is not None:
        model = normal.setdefault("model", {})
        model["max_tokens"] = min(cap, model.get("max_tokens", cap))
    roles = normal.pop("model_roles", {})
    # A null in a role is not nothing: it takes back what `model` says.
    kept = {name: dict(role) for name, role in roles.items() if role}
    for role in kept.values():
        if cap is not None and "max_tokens" in role:
            role["max_tokens"] = min(cap, role["max_tokens"] or cap)
    if kept:
        normal["model_roles"] = kept
    # An unknown section stays, empty or not: the contract refuses it.
    written = {name: value for name, value in normal.items() if value or name not in _SECTIONS}
    made = Params.model_validate(written)
    selects = made.few_shot is not None and made.few_shot.selector is not None
    return Policy(signature, made, index if selects else None)


def _without_nulls(section: Any) -> Any:
    if not isinstance(section, dict):
        return section  # of the wrong type; the contract says so
    return {name: value for name, value in section.items() if value is not None}
