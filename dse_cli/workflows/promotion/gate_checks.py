"""What the gate refuses before it measures: rules that no measurement could answer.

A threshold without evidence is an error in ``dse.yaml``, not a rule that silently never applies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from dse_cli.contracts.diagnostic import Diagnostic
from dse_cli.contracts.errors import SpecError, StaleError
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.gate.resources import RESOURCES
from dse_cli.project.specs import load_dataset_spec
from dse_cli.workflows.checks.holdout_size import holdout_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.history import GateMode
    from dse_cli.contracts.project import GatePolicy
    from dse_cli.evaluation.gate.row_measures import Resource, RowMeasures
    from dse_cli.project.document import Loc
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy


#: So many rows are named in a message.
_NAMED: Final = 5


def check_gate(
    inputs: JobInputs,
    candidate: NamedPolicy,
    baseline: NamedPolicy,
    look: int,
    mode: GateMode = "superiority",
) -> None:
    """Refuse a gate that could not answer what it is asked. Nothing is measured.

    Raises:
        SpecError: too few holdout rows for any outcome to reach the level; a non-inferiority
            gate without a promised saving; a rule about cost where a price is unknown, or where
            there is nothing to save; a baseline that shows what is holdout now.
        StaleError: the search of the candidate saw rows that are holdout rows now.
    """
    _refuse_seen(inputs, candidate)
    _, dataset = load_dataset_spec(inputs.project, inputs.job.dataset)
    problems = [
        *holdout_findings(inputs.project, inputs.dataset, dataset, look),
        *_shown_problems(inputs, baseline),
        *_promise_problems(inputs, mode),
        *_rule_problems(inputs, candidate, baseline, mode),
    ]
    if problems:
        raise SpecError(problems)


def check_promise(inputs: JobInputs, mode: GateMode) -> None:
    """Refuse the second mode where nothing is promised: no override does without the promise.

    Raises:
        SpecError: ``dse.yaml`` promises no saving.
    """
    if problems := list(_promise_problems(inputs, mode)):
        raise SpecError(problems)


def unmeasured(
    policy: GatePolicy, candidate: RowMeasures, baseline: RowMeasures, mode: GateMode
) -> tuple[str, ...]:
    """Return which rules about tokens and cost could not be measured, a phrase each."""
    rules = _rules(policy, mode)
    return tuple(
        f"the {name} of {count} rows could not be told, and {'.'.join(map(str, rules[name]))} "
        "needs them all"
        for name in RESOURCES
        if name in rules and (count := candidate.unknown(name) + baseline.unknown(name))
    )


def _rules(policy: GatePolicy, mode: GateMode) -> dict[Resource, Loc]:
    """Return where ``dse.yaml`` has a rule about a resource that is in force in this mode."""
    found: dict[Resource, Loc] = {}
    for name in RESOURCES:
        if getattr(policy.guards, name) is not None:
            found[name] = ("gate", "guards", name)
        promise = policy.non_inferiority if mode == "non_inferiority" else None
        if promise is not None and getattr(promise.saving, name) is not None:
            found[name] = ("gate", "non_inferiority", "saving", name)
    return found


def _refuse_seen(inputs: JobInputs, candidate: NamedPolicy) -> None:
    """Refuse a candidate that was selected on, or shows, rows that another split made holdout."""
    if candidate.artifact is None:
        return
    few_shot = candidate.artifact.params.few_shot
    demos = () if few_shot is None else few_shot.examples
    known = {
        *candidate.artifact.evaluation.rows,
        *(demo.id for demo in demos if demo.source != "authored"),
    }
    seen = [row.id for row in inputs.dataset.split("holdout") if row.id in known]
    if seen:
        more = f" and {len(seen) - _NAMED} more" if len(seen) > _NAMED else ""
        raise StaleError(
            f"the search of {candidate.label} saw what is holdout now: "
            f"{', '.join(seen[:_NAMED])}{more}",
            hint=f"a holdout is for gates only: run 'dse compile {inputs.name}' on the new split",
        )


def _shown_problems(inputs: JobInputs, baseline: NamedPolicy) -> Iterator[Diagnostic]:
    """Yield that the baseline shows, as demos, rows that another split made holdout."""
    shown = Candidate.of(baseline.policy).shown
    rows = [row for row in inputs.dataset.split("holdout") if row.id in shown]
    if rows:
        named = ", ".join(row.id for row in rows[:_NAMED])
        more = f" and {len(rows) - _NAMED} more" if len(rows) > _NAMED else ""
        yield Diagnostic(
            rows[0].file,
            rows[0].line,
            0,
            "holdout-shown",
            f"the holdout has rows that {baseline.label} shows as demos, so it cannot be measured "
            f"on them: {named}{more}",
            "give them their old split again, or promote with --override REASON",
        )


def _promise_problems(inputs: JobInputs, mode: GateMode) -> Iterator[Diagnostic]:
    if mode == "non_inferiority" and inputs.project.spec.gate.non_inferiority is None:
        yield inputs.project.document.diagnostic(
            ("gate",),
            "no-promise",
            "a policy that is not better is promoted for what it saves, and no saving is promised",
            "add it, for example: non_inferiority: {saving: {tokens: 0.2}}",
        )


def _rule_problems(
    inputs: JobInputs, candidate: NamedPolicy, baseline: NamedPolicy, mode: GateMode
) -> Iterator[Diagnostic]:
    policy, document = inputs.project.spec.gate, inputs.project.document
    loc = _rules(policy, mode).get("cost")
    if loc is None:
        return
    unknown = sorted({*_unpriced(inputs, candidate), *_unpriced(inputs, baseline)})
    if unknown:
        yield document.diagnostic(
            loc,
            "no-evidence",
            f"a rule about cost needs prices, and none is known for {', '.join(unknown)}",
            "make it a rule about tokens, or use a model whose price is known",
        )
    elif loc[1] == "non_inferiority" and _is_free(inputs, baseline):
        yield document.diagnostic(
            loc,
            "no-evidence",
            f"{baseline.label} costs nothing: there is no cost to save",
            "promise a saving of tokens",
        )


def _models(named: NamedPolicy) -> list[str]:
    return list(named.policy.models)


def _unpriced(inputs: JobInputs, named: NamedPolicy) -> list[str]:
    return [name for name in _models(named) if inputs.catalog.price_bound(name) is None]


def _is_free(inputs: JobInputs, named: NamedPolicy) -> bool:
    return all(inputs.catalog.price_bound(name) == 0 for name in _models(named))
