"""The evidence of a gate as lines for a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.evaluation.gate.verdict import guard_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dse_cli.contracts.history import GateEvidence


def gate_lines(evidence: GateEvidence) -> Iterator[str]:
    """Yield what was measured, why the pointer stays, and what the guards found."""
    yield evidence.line
    if evidence.reason is not None:
        yield f"{'guard' if evidence.verdict == 'guard' else 'because'}: {evidence.reason}"
    tripped = [guard for guard in evidence.guards if guard.tripped]
    # With the verdict `guard` the reason has named them; else they did not decide.
    if tripped and evidence.verdict != "guard":
        yield from (f"also worse: {guard_text(guard)}" for guard in tripped)
    if evidence.guards:
        names = ", ".join(guard.name.replace("_", " ") for guard in evidence.guards)
        held = len(evidence.guards) - len(tripped)
        yield f"guards: {held} of {len(evidence.guards)} held ({names})"
