"""``dse eval``: measure policies on one split, and compare them with another on the same rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from dse_cli.contracts.dataset import rows_hash
from dse_cli.contracts.errors import InfrastructureError
from dse_cli.evaluation.candidate import Candidate
from dse_cli.evaluation.statistics.paired_test import paired_test
from dse_cli.evaluation.summary import summarize
from dse_cli.evaluation.views.confusion import confusion_pairs
from dse_cli.evaluation.views.outcomes import outcomes_of
from dse_cli.evaluation.views.paired_rows import paired_rows
from dse_cli.evaluation.views.paired_slices import paired_slices
from dse_cli.report.eval_report import Comparison, EvalReport, Measured
from dse_cli.workflows.evals.eval_policies import Subject, on_models, policy_of
from dse_cli.workflows.evals.eval_rows import Selection, scorable_rows, select_rows, without_words
from dse_cli.workflows.evals.eval_verdict import over_limit
from dse_cli.workflows.evals.last_eval import remember
from dse_cli.workflows.session import RunOptions, Session, open_session

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row, Split
    from dse_cli.contracts.evaluation import Cell, EvalSummary
    from dse_cli.workflows.inputs import JobInputs
    from dse_cli.workflows.policies import NamedPolicy

_OUTAGE_HINT: Final = (
    "an outage is not a wrong answer; answers that came are in the cache: run it again"
)


@dataclass(frozen=True)
class EvalRequest:
    """What to measure.

    Attributes:
        policy: a word for a policy; see :func:`dse_cli.workflows.evals.eval_policies.policy_of`.
        against: likewise, what to compare with.
        models: aliases; the policy is measured once on each.
        selection: which rows.
        repeat: rollouts a row.
        seed: of sampling and intervals; the job's when None.
    """

    policy: str = "active"
    against: str | None = None
    models: tuple[str, ...] = ()
    selection: Selection = Selection()  # noqa: RUF009 - frozen
    repeat: int = 1
    seed: int | None = None


@dataclass(frozen=True)
class EvalPlan:
    """An evaluation with every name resolved; nothing is spent yet.

    Attributes:
        rows: selected, in id order.
        subjects: what is measured, one line each.
        baseline: what they are compared with, or None.
        split, repeat, seed: as in the request.
        filters: what selected the rows, as written on the command line, and what was left out.
    """

    rows: tuple[Row, ...]
    subjects: tuple[Subject, ...]
    baseline: Subject | None
    split: Split
    repeat: int
    seed: int
    filters: str = ""

    @property
    def cells(self) -> int:
        """How many cells there are at most."""
        count = len(self.subjects) + (self.baseline is not None)
        return len(self.rows) * self.repeat * count


def plan_eval(inputs: JobInputs, request: EvalRequest) -> EvalPlan:
    """Resolve rows, policies and models of a request.

    With ``models`` the baseline is ``against``, or else the policy as it is. Rows that one of the
    policies shows as demos are left out for all of them, and the filters say so.

    Raises:
        NothingSelectedError: no row is left.
        UsageError: a policy, a model or a revision that does not exist.
        AlteredError, StaleError: a policy that is not sound.
    """
    seed = inputs.job.seed if request.seed is None else request.seed
    rows = select_rows(inputs, request.selection, seed=seed)
    named = _subject(policy_of(inputs, request.policy))
    against = None if request.against is None else _subject(policy_of(inputs, request.against))
    subjects: tuple[Subject, ...] = (named,)
    if request.models:
        subjects = tuple(on_models(inputs, named.policy, request.models))
        against = named if against is None else against
    return _plan(rows, subjects, against, request.selection, repeat=request.repeat, seed=seed)


def _plan(
    rows: tuple[Row, ...],
    subjects: tuple[Subject, ...],
    baseline: Subject | None,
    selection: Selection,
    *,
    repeat: int,
    seed: int,
) -> EvalPlan:
    every = subjects if baseline is None else (*subjects, baseline)
    kept, left_out = scorable_rows(rows, [subject.policy for subject in every])
    filters = " ".join(filter(None, (selection.written, without_words(left_out))))
    return EvalPlan(kept, subjects, baseline, selection.split, repeat, seed, filters)


async def run_eval(inputs: JobInputs, plan: EvalPlan, options: RunOptions) -> EvalReport:
    """Measure what was planned, compare, and note which rows were not perfect.

    A policy with more outages than ``options.max_error_rate`` is the last one that is measured; the
    report then says so (:func:`dse_cli.workflows.evals.eval_verdict.eval_verdict`).

    Raises:
        InfrastructureError: nothing at all is answered.
    """
    # The engine would end the run without a report; here the limit is looked at after each policy.
    tolerant = replace(options, max_error_rate=1.0)
    async with open_session(
        inputs.catalog, inputs.reward, tolerant, seed=plan.seed, judges=inputs.judges
    ) as session:
        measured = await _measure_all(inputs, session, plan, options.max_error_rate)
    count = len(plan.subjects)
    baseline = measured[count] if len(measured) > count else None
    lines = tuple(_compared(inputs, plan, line, baseline) for line in measured[:count])
    meter = session.gateway.meter
    report = EvalReport(
        name=inputs.name,
        split=plan.split,
        rows=plan.rows,
        split_rows=len(inputs.rows(plan.split)),
        filters=plan.filters,
        output_fields=tuple(inputs.signature.output_schema.get("properties", {})),
        rollouts=plan.repeat,
        seed=plan.seed,
        measured=lines,
        baseline=baseline,
        charged=meter.charged,
        paid=meter.paid,
    )
    remember(inputs, report)
    return report


async def evaluate_policy(
    inputs: JobInputs,
    policy: NamedPolicy,
    options: RunOptions,
    *,
    selection: Selection,
    repeat: int = 1,
    against: NamedPolicy | None = None,
) -> EvalReport:
    """Measure a policy, and the one it is compared with, on the same rows and rollouts."""
    seed = inputs.job.seed
    plan = _plan(
        select_rows(inputs, selection, seed=seed),
        (_subject(policy),),
        None if against is None else _subject(against),
        selection,
        repeat=repeat,
        seed=seed,
    )
    return await run_eval(inputs, plan, options)


def summary_of(
    inputs: JobInputs,
    cells: list[Cell],
    rows: tuple[Row, ...],
    split: Split,
    *,
    seed: int | None = None,
) -> EvalSummary:
    """Summarise cells of one candidate on ``rows``.

    Args:
        seed: of the interval; the job's when None.
    """
    return summarize(
        cells,
        split=split,
        dataset_revision=inputs.dataset.revision,
        split_hash=rows_hash(rows),
        reward_hash=inputs.reward.hash,
        rows={row.id: row for row in rows},
        seed=inputs.job.seed if seed is None else seed,
    )


def _subject(named: NamedPolicy) -> Subject:
    return Subject(named.label, named.policy)


async def _measure_all(
    inputs: JobInputs, session: Session, plan: EvalPlan, max_error_rate: float
) -> list[Measured]:
    measured: list[Measured] = []
    others = () if plan.baseline is None else (plan.baseline,)
    try:
        for subject in (*plan.subjects, *others):
            cells = await _measure(session, subject, plan)
            measured.append(_measured(inputs, plan, subject, cells))
            if over_limit(measured[-1], max_error_rate):
                break
    except InfrastructureError as error:
        if type(error) is InfrastructureError:  # the engine's, whose hint is for a compile
            error.hint = _OUTAGE_HINT
        raise
    return measured


async def _measure(session: Session, subject: Subject, plan: EvalPlan) -> list[Cell]:
    candidate = Candidate.of(subject.policy)
    return await session.engine.evaluate(
        candidate, plan.rows, rollouts=plan.repeat, label=subject.label
    )


def _measured(inputs: JobInputs, plan: EvalPlan, subject: Subject, cells: list[Cell]) -> Measured:
    return Measured(
        label=subject.label,
        compiled_id=subject.policy.id,
        model=subject.policy.model("main").model,
        alias=subject.alias,
        summary=summary_of(inputs, cells, plan.rows, plan.split, seed=plan.seed),
        cells=tuple(cells),
        outcomes=outcomes_of(cells),
        confusion=confusion_pairs(cells),
    )


def _compared(
    inputs: JobInputs, plan: EvalPlan, line: Measured, baseline: Measured | None
) -> Measured:
    if baseline is None:
        return line
    ours, theirs = line.summary, baseline.summary
    comparison = Comparison(
        against=baseline.label,
        test=paired_test(
            ours.rows,
            theirs.rows,
            groups={row.id: row.group for row in plan.rows},
            seed=plan.seed,
            level=inputs.project.spec.gate.alpha,
        ),
        rows=paired_rows(ours.rows, theirs.rows),
        slices=paired_slices(ours.rows, theirs.rows, {row.id: row.tags for row in plan.rows}),
        tokens=_difference(_tokens(ours), _tokens(theirs)),
        cost_nano_usd=_difference(_cost(ours), _cost(theirs)),
    )
    return replace(line, comparison=comparison)


def _difference(ours: int | None, theirs: int | None) -> int | None:
    return None if ours is None or theirs is None else ours - theirs


def _tokens(summary: EvalSummary) -> int | None:
    if summary.prompt_tokens is None or summary.completion_tokens is None:
        return None
    return summary.prompt_tokens + summary.completion_tokens


def _cost(summary: EvalSummary) -> int | None:
    return None if summary.cost.kind == "unknown" else summary.cost.nano_usd
