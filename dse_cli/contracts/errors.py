"""Every error a user can meet, and the exit code it ends in.

::

    DseError                         a mistake or a condition with a name, never a traceback
    ├── UsageError                2  the command line asks for something that cannot be
    ├── SpecError                 2  a file of the project is wrong; holds diagnostics
    │   └── CodeNotAllowedError      a job needs Python code that nobody allowed to run
    ├── MetricFailedError         2  a metric or a judge cannot score what was answered
    ├── NothingSelectedError      5  a filter left no rows
    ├── InfrastructureError       3  the world failed, not the prompt; resumable
    │   ├── ProviderError            a model endpoint answered with an error, or not at all
    │   │   └── CallTimeoutError     a hard timeout cancelled the call
    │   ├── BudgetExhaustedError     a budget ran out before there was a result
    │   └── ModelUnavailableError    weights, extra or key missing
    ├── IntegrityError            4  what is on disk is not what its hash says
    │   ├── AlteredError             bytes or ids do not match
    │   ├── StaleError               the signature changed since the artifact was compiled
    │   ├── PointerMovedError        compare-and-swap lost
    │   └── DivergenceError          a replay asked something that was not recorded
    └── InterruptedRunError     130  stopped by a signal; state saved
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dse_cli.contracts.diagnostic import Diagnostic


class ExitCode(IntEnum):
    """Exit codes, named once (DESIGN section 4)."""

    DONE = 0
    QUALITY = 1
    USAGE = 2
    INFRASTRUCTURE = 3
    INTEGRITY = 4
    NOTHING_SELECTED = 5
    BUG = 70
    INTERRUPTED = 130


class DseError(Exception):
    """Base of all errors that are shown to a person as a message and a hint.

    Attributes:
        message: one sentence, what is wrong.
        hint: what to do about it, or None.
        diagnostics: places in files that are wrong; most errors have none.
    """

    exit_code: ClassVar[ExitCode] = ExitCode.BUG
    outcome: ClassVar[str] = "error"
    diagnostics: tuple[Diagnostic, ...] = ()

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class UsageError(DseError):
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE
    outcome = "usage"


class SpecError(DseError):
    """One or more files of the project are wrong. Nothing was spent."""

    exit_code = ExitCode.USAGE
    outcome = "spec"

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        count = len(self.diagnostics)
        first = self.diagnostics[0] if self.diagnostics else None
        where = f"{first.file}:{first.line}: {first.message}" if first else "no diagnostic"
        more = f" (and {count - 1} more)" if count > 1 else ""
        super().__init__(where + more, hint=first.hint if first else None)


class CodeNotAllowedError(SpecError):
    """A job needs Python code of the project, and nobody allowed it to run."""


class MetricFailedError(DseError):
    """A metric or a judge of the project cannot score what was answered.

    Asking again gives the same answers and the same error: it is a mistake in a spec or in the
    project's code that was found late. Answers that were paid are in the cache.
    """

    exit_code = ExitCode.USAGE
    outcome = "metric"


class NothingSelectedError(DseError):
    """A filter or a split left no rows to work on."""

    exit_code = ExitCode.NOTHING_SELECTED
    outcome = "nothing_selected"


class InfrastructureError(DseError):
    """The world failed, not the prompt. The work can be resumed."""

    exit_code = ExitCode.INFRASTRUCTURE
    outcome = "infrastructure"


class ProviderError(InfrastructureError):
    """A model endpoint answered with an error, or not at all.

    Attributes:
        status: the HTTP status, None when there was no answer.
        retryable: whether the same call may succeed later (429, 5xx, connection errors).
        retry_after_s: what the server asked for, in seconds, or None.
    """

    outcome = "provider"

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retryable: bool = False,
        retry_after_s: float | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.status = status
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class CallTimeoutError(ProviderError):
    """A hard timeout cancelled the call."""

    outcome = "timeout"


class BudgetExhaustedError(InfrastructureError):
    """A budget is used up, or the next piece of work does not fit in what is left.

    Attributes:
        budget: the name of the limit, as spelled in the spec (``max_lm_calls``).
        limit: its value.
        needed: what the total would have been with the refused work.
    """

    outcome = "budget"

    def __init__(
        self, budget: str, limit: float, needed: float, *, hint: str | None = None
    ) -> None:
        super().__init__(f"budget {budget} = {limit:g} does not cover {needed:g}", hint=hint)
        self.budget = budget
        self.limit = limit
        self.needed = needed


class ModelUnavailableError(InfrastructureError):
    """The model cannot be reached from here: weights, an extra or a key are missing."""

    outcome = "model_unavailable"


class IntegrityError(DseError):
    """What is on disk is not what its hash, pointer or record says."""

    exit_code = ExitCode.INTEGRITY
    outcome = "integrity"


class AlteredError(IntegrityError):
    """Bytes do not match their digest, or an id does not follow from its content."""

    outcome = "altered"


class StaleError(IntegrityError):
    """The signature changed since the artifact was compiled."""

    outcome = "stale"


class PointerMovedError(IntegrityError):
    """The pointer is no longer where it was when the work began."""

    outcome = "pointer_moved"


class DivergenceError(IntegrityError):
    """A replay asked for a model call that differs from the recorded one.

    Attributes:
        path: the logical path of the first difference, in path order.
        difference: a unified text diff of the recorded and the new request, may be empty.
    """

    outcome = "diverged"

    def __init__(self, message: str, *, path: str, difference: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.difference = difference


class InterruptedRunError(DseError):
    """Stopped by a signal; state is saved and ``hint`` is the command that resumes."""

    exit_code = ExitCode.INTERRUPTED
    outcome = "interrupted"
