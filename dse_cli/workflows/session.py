"""One run's gateway and engine, wired: what compile, eval, the gate and replay share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dse_cli.contracts.job import CompileBudget
from dse_cli.evaluation.engine import Engine, Observer
from dse_cli.evaluation.executor import LocalExecutor
from dse_cli.evaluation.ledger import Ledger
from dse_cli.evaluation.runner import SignatureRunner
from dse_cli.lm.gateway import Gateway, Replay, build_gateway

if TYPE_CHECKING:
    from pathlib import Path

    from dse_cli.evaluation.judges.pinned_judge import PinnedJudge
    from dse_cli.evaluation.rewards.reward import Reward
    from dse_cli.lm.catalog import ModelCatalog
    from dse_cli.lm.journal import Journal
    from dse_cli.lm.layer import Layer


@dataclass(frozen=True)
class RunOptions:
    """How to run, none of which changes what is decided.

    Attributes:
        cache: folder of the disk cache; None is no cache.
        concurrency: cells in flight.
        max_error_rate: share of outages in a batch above which the run ends.
        transport: asked instead of LiteLLM, in tests.
        observer: progress.
    """

    cache: Path | None = None
    concurrency: int = 16
    max_error_rate: float = 0.05
    transport: Layer | None = None
    observer: Observer | None = None


@dataclass(frozen=True)
class Session:
    """A gateway and the engine above it."""

    gateway: Gateway
    engine: Engine


@asynccontextmanager
async def open_session(
    catalog: ModelCatalog,
    reward: Reward,
    options: RunOptions,
    *,
    seed: int,
    judges: Sequence[PinnedJudge] = (),
    budget: CompileBudget | None = None,
    journal: Journal | None = None,
    replay: Replay | None = None,
    stop_at: int | None = None,
) -> AsyncIterator[Session]:
    """Wire a session and close it whatever happens.

    Args:
        seed: of the run; the gateway uses it for the jitter of retries only.
        judges: of the reward (``JobInputs.judges``).
        budget: limits; none when omitted.
        journal: completed calls of this run, for resuming.
        replay: answer from a transcript.
        stop_at: batch at which the recorded run stopped by time.
    """
    gateway = build_gateway(
        catalog,
        seed=seed,
        transport=options.transport,
        cache_folder=options.cache,
        journal=journal,
        replay=replay,
        keep_latency=reward.needs_latency,
    )
    if options.observer is not None:
        options.observer.run_started(gateway.meter)
    runner = SignatureRunner(
        gateway, catalog.identify, reward, judges=judges, price_bound=catalog.price_bound
    )

    def roll_back(prefixes: list[str]) -> None:
        undone = tuple(f"{prefix}/" for prefix in prefixes)
        gateway.transcript.forget(
            [path for path in gateway.transcript.paths() if path.startswith(undone)]
        )

    engine = Engine(
        LocalExecutor(runner, options.concurrency),
        runner,
        Ledger(budget or CompileBudget()),
        max_error_rate=options.max_error_rate,
        observer=options.observer,
        stop_at=stop_at,
        roll_back=roll_back,
    )
    try:
        yield Session(gateway, engine)
    finally:
        await gateway.aclose()
