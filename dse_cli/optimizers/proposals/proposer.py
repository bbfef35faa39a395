"""Asks the meta-signatures of an optimizer, and keeps what is usable of the answers.

A proposer is a model like any other: some answers do not decode, are empty, or say what was said
before, and its share of the budget may end. Each question is written into the receipt with what
became of it, and no answer is ever needed: a search goes on with what it has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import category

from dse_cli.contracts.evaluation import OUTAGES
from dse_cli.contracts.search_record import ProposalRecord
from dse_cli.evaluation.ledger import ShareStopError
from dse_cli.evaluation.query import Query
from dse_cli.evaluation.seeds import substream

if TYPE_CHECKING:
    from dse_cli.contracts.meta import MetaName
    from dse_cli.evaluation.candidate import Candidate
    from dse_cli.optimizers.search import Search
    from dse_cli.runtime.policy import Policy
    from dse_cli.runtime.prediction import Prediction

Outcome = Literal["used", "duplicate", "junk", "outage", "no_budget"]

#: Rollout indices of questions are drawn below this.
ROLLOUTS = 2**31
#: Most characters of a proposed text: no prompt may carry more (``prompt_ir.Text``).
MOST_CHARS = 200_000
#: Fewest words in a row that are taken for an echo of the question.
ECHO_WORDS = 5


@dataclass(frozen=True, slots=True)
class Ask:
    """A question to the proposer.

    Attributes:
        meta: which meta-signature.
        value: its input; fields that an override does not declare are left out.
        place: path below ``propose/``, unique in the run.
        note: what is asked for, for the receipt (``tip creative, demo set 3``).
    """

    meta: MetaName
    value: Mapping[str, Any]
    place: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A usable text.

    Attributes:
        text: of an instruction, without white space around it.
        ask: the question that it answers.
        record: its place in ``search.log.proposals``.
    """

    text: str
    ask: Ask
    record: int


@dataclass(frozen=True, slots=True)
class _Answer:
    """What came of a question: an output that fits its signature, or None."""

    output: dict[str, Any] | None
    record: int


class Proposer:
    """Asks on behalf of one optimizer.

    Args:
        search: whose engine is asked, and whose log is written.
        temperature: of every question, whatever the meta-signature says: proposals must differ.
        stream: name of the optimizer. Sub-streams of it draw the rollout index of each question,
            so that another seed asks for other samples, and no cache answers two questions alike.

    Attributes:
        exhausted: whether the proposer's share did not cover a question lately.
    """

    def __init__(self, search: Search, *, temperature: float, stream: str) -> None:
        self._search = search
        self._temperature = temperature
        self._stream = stream
        self.exhausted = False

    async def outputs(
        self,
        asks: Sequence[Ask],
        field: str,
        *,
        label: str,
        enough: Callable[[Mapping[str, Any]], bool] = lambda output: False,
    ) -> list[dict[str, Any] | None]:
        """Return whole answers in the order of ``asks``; None where ``field`` has no text.

        Args:
            enough: tells an answer that is of use without a text.

        Raises:
            BudgetStopError: the budget of the run does not cover them.
            InfrastructureError: too many outages.
        """
        return [answer.output for answer in await self._ask(asks, field, label, enough)]

    async def texts(self, asks: Sequence[Ask], field: str, *, label: str) -> list[str | None]:
        """Return the text in ``field`` of each answer, in the order of ``asks``.

        None stands for junk, for an outage, and for what the proposer's share does not cover.

        Raises:
            BudgetStopError: the budget of the run does not cover them.
            InfrastructureError: too many outages.
        """
        answers = await self._ask(asks, field, label)
        return [None if a.output is None else text_in(a.output, field) for a in answers]

    async def instructions(
        self, asks: Sequence[Ask], *, known: Iterable[str], label: str, field: str = "instruction"
    ) -> list[Proposal]:
        """Return the proposed texts that are usable and new, in the order of ``asks``.

        Args:
            known: texts that the search has; white space around a text makes no other text.

        Raises:
            BudgetStopError: the budget of the run does not cover them.
            InfrastructureError: too many outages.
        """
        answers = await self._ask(asks, field, label)
        seen = {text.strip() for text in known}
        proposals: list[Proposal] = []
        for ask, answer in zip(asks, answers, strict=True):
            if answer.output is None:
                continue
            text = text_in(answer.output, field)
            if text in seen:
                self._amend(answer.record, outcome="duplicate")
                continue
            seen.add(text)
            proposals.append(Proposal(text, ask, answer.record))
        return proposals

    def made(self, proposal: Proposal, candidate: Candidate) -> None:
        """Write down which candidate was made of a proposal."""
        self._amend(proposal.record, candidate=candidate.id)

    async def _ask(
        self,
        asks: Sequence[Ask],
        field: str,
        label: str,
        enough: Callable[[Mapping[str, Any]], bool] = lambda output: False,
    ) -> list[_Answer]:
        answered = await self._predictions([self._query(ask) for ask in asks], label)
        self.exhausted = len(answered) < len(asks)
        unasked = [None] * (len(asks) - len(answered))
        return [
            self._recorded(ask, field, prediction, enough)
            for ask, prediction in zip(asks, [*answered, *unasked], strict=True)
        ]

    async def _predictions(self, queries: Sequence[Query], label: str) -> list[Prediction]:
        """Return the answers to as many questions, from the first, as the share covers.

        What a batch may need is more than what it uses: when a batch does not fit, the longest
        beginning that does is asked, and then what follows is tried again.
        """
        answers: list[Prediction] = []
        size = len(queries)
        while size and len(answers) < len(queries):
            batch = queries[len(answers) : len(answers) + size]
            try:
                answers += await self._search.engine.ask(batch, label=label)
            except ShareStopError:
                size = len(batch) - 1
            else:
                size = len(queries) - len(answers)
        return answers

    def _query(self, ask: Ask) -> Query:
        policy = self._search.meta[ask.meta].at_temperature(self._temperature)
        declared = policy.signature.input_schema.get("properties", {})
        value = {name: given for name, given in ask.value.items() if name in declared}
        draw = substream(self._search.seed, self._stream, "rollout", ask.place)
        return Query(policy, value, f"propose/{ask.place}", draw.randrange(ROLLOUTS))

    def _recorded(
        self,
        ask: Ask,
        field: str,
        prediction: Prediction | None,
        enough: Callable[[Mapping[str, Any]], bool],
    ) -> _Answer:
        log = self._search.log
        if prediction is not None and prediction.served_model:
            log.served.setdefault(ask.meta, set()).add(prediction.served_model)
        outcome = _outcome(prediction, field, enough)
        output = None if prediction is None else prediction.output
        text = "" if output is None else text_in(output, field)
        if outcome == "used" and is_echo(self._search.meta[ask.meta], text, field):
            outcome = "junk"
        if outcome != "used":
            output, text = None, ""
        said: dict[str, Any] = {"note": ask.note} if ask.note else {}
        if text:
            said["text"] = text
        path = f"propose/{ask.place}"
        log.proposals.append(ProposalRecord(path=path, meta=ask.meta, outcome=outcome, **said))
        return _Answer(output, len(log.proposals) - 1)

    def _amend(self, record: int, **changes: Any) -> None:
        proposals = self._search.log.proposals
        written = proposals[record].model_dump(exclude_unset=True)
        proposals[record] = ProposalRecord(**{**written, **changes})


def text_in(output: Mapping[str, Any], field: str) -> str:
    """Return the text in a field of an answer, without white space around it; empty when none."""
    value = output.get(field)
    return value.strip() if isinstance(value, str) else ""


def is_echo(policy: Policy, text: str, field: str) -> bool:
    """Tell a text that says again what stands in the question's own prompt.

    Small models answer with a line of what they were told, or put half of a demo's answer, which is
    about another task, into theirs. A few words can be there by chance: an echo has a run of at
    least :data:`ECHO_WORDS` words of the prompt that is more than half of the text.
    """
    words = text.casefold().split()
    told = [policy.instruction, *(text_in(demo.output, field) for demo in policy.demos)]
    most = max(_longest_run(words, known.casefold().split()) for known in told)
    return most >= ECHO_WORDS and 2 * most > len(words)


def _longest_run(said: Sequence[str], known: Sequence[str]) -> int:
    """Return how many words in a row two texts share at most."""
    match = SequenceMatcher(None, said, known, autojunk=False).find_longest_match()
    return match.size


def _outcome(
    prediction: Prediction | None, field: str, enough: Callable[[Mapping[str, Any]], bool]
) -> Outcome:
    """Return what became of a question."""
    if prediction is None:
        return "no_budget"
    if prediction.error is not None and prediction.error.kind in OUTAGES:
        return "outage"
    output = prediction.output
    if output is None:
        return "junk"
    text = text_in(output, field)
    if text and not _is_text(text):
        return "junk"
    return "used" if text or enough(output) else "junk"


def _is_text(text: str) -> bool:
    """Tell what can stand in a prompt: some letter, no control character, not too long.

    Some providers refuse a prompt with a NUL: each row would be an outage, and end the run.
    """
    return (
        len(text) <= MOST_CHARS
        and any(letter.isalnum() for letter in text)
        and not any(category(letter) == "Cc" and not letter.isspace() for letter in text)
    )
