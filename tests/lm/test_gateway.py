from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from pathlib import Path

import pytest

from dse_cli.contracts.errors import BudgetExhaustedError, DivergenceError, ProviderError
from dse_cli.contracts.lm import LmRequest, LmResponse, ModelIdentity
from dse_cli.lm.budget import BudgetLimits
from dse_cli.lm.disk_cache import cache_stats
from dse_cli.lm.gateway import Gateway, Replay, build_gateway
from dse_cli.lm.journal import Journal
from dse_cli.lm.no_network import no_network
from dse_cli.lm.routes import Route, StaticRoutes
from dse_cli.lm.scripted import ScriptedTransport
from dse_cli.lm.transcript import Transcript
from tests.lm.calls import FakeTime, RealTransport, ask, routes, say
from tests.lm.openai_server import OpenAiServer, answer, failure


def drive(gateway: Gateway, *requests: LmRequest) -> list[LmResponse | BaseException]:
    async def go() -> list[LmResponse | BaseException]:
        try:
            calls = (gateway.complete(request) for request in requests)
            return await asyncio.gather(*calls, return_exceptions=True)
        finally:
            await gateway.aclose()

    return asyncio.run(go())


def echo() -> RealTransport:
    return RealTransport(lambda request: say("to " + request.messages[-1].content))


def test_a_warm_run_and_a_cold_run_write_the_same_bytes(tmp_path: Path) -> None:
    digests, paid, charged = [], [], []
    for _ in range(2):
        gateway = build_gateway(routes(), seed=1, transport=echo(), cache_folder=tmp_path)
        drive(gateway, *(ask(str(number)) for number in range(10)))
        digests.append(gateway.transcript.digest)
        paid.append(gateway.meter.paid.calls)
        charged.append(gateway.meter.charged.to_json())
    assert digests[0] == digests[1]
    assert charged[0] == charged[1]
    assert paid == [10, 0]


def test_the_order_of_completion_leaves_no_trace() -> None:
    digests = set()
    for seed in range(5):
        order = random.Random(seed)

        async def delay(_: LmRequest, order: random.Random = order) -> None:
            for _step in range(order.randrange(6)):
                await asyncio.sleep(0)

        transport = ScriptedTransport(lambda r: r.messages[-1].content, delay=delay)
        gateway = build_gateway(routes(concurrency=4), seed=1, transport=transport)
        drive(gateway, *(ask(str(number)) for number in range(20)))
        digests.add(gateway.transcript.digest)
    assert len(digests) == 1


def test_one_prompt_under_many_paths_is_recorded_many_times_and_paid_once() -> None:
    transport = echo()
    gateway = build_gateway(routes(), seed=1, transport=transport)
    drive(gateway, *(ask("same", f"p/{number}") for number in range(6)))
    assert len(transport.requests) == 1
    assert len(gateway.transcript) == gateway.meter.charged.calls == 6
    assert gateway.meter.paid.calls == 1
    assert gateway.meter.cache_hits == 5


def test_retries_are_not_calls() -> None:
    errors = [ProviderError("busy", status=503, retryable=True)] * 2
    transport = RealTransport(lambda _: errors.pop() if errors else say("ok"))
    gateway = build_gateway(routes(), seed=1, transport=transport, sleep=FakeTime().sleep)
    drive(gateway, ask())
    assert len(transport.requests) == 3
    assert gateway.meter.charged.calls == len(gateway.transcript) == 1
    assert gateway.retrying is not None
    assert gateway.retrying.retries == 2


def test_a_budget_stop_is_at_the_same_call_in_a_warm_a_resumed_and_a_replayed_run(
    tmp_path: Path,
) -> None:
    requests = [ask(str(number)) for number in range(6)]
    limits = BudgetLimits(max_lm_calls=4)

    def run(**more: object) -> tuple[list[str], str, int]:
        gateway = build_gateway(routes(), seed=1, budget=limits, **more)  # type: ignore[arg-type]

        async def go() -> list[str]:
            words = []
            for request in requests:
                try:
                    words.append((await gateway.complete(request)).text)
                except BudgetExhaustedError as error:
                    words.append(error.budget)
            await gateway.aclose()
            return words

        return asyncio.run(go()), gateway.transcript.digest, gateway.meter.paid.calls

    journal = Journal(tmp_path / "journal.jsonl")
    cold = run(transport=echo(), cache_folder=tmp_path / "cache", journal=journal)
    assert cold[0] == ["to 0", "to 1", "to 2", "to 3", "max_lm_calls", "max_lm_calls"]
    assert cold[2] == 4
    warm = run(transport=echo(), cache_folder=tmp_path / "cache")
    loaded = Journal(tmp_path / "journal.jsonl")
    loaded.load()
    resumed = run(transport=echo(), journal=loaded)
    transcript = Transcript()
    for request in requests:
        transcript.record(request, say("to " + request.messages[-1].content))
    replayed = run(replay=Replay(transcript))
    assert warm[:2] == resumed[:2] == replayed[:2] == cold[:2]
    assert warm[2] == resumed[2] == replayed[2] == 0


def test_a_strict_replay_needs_no_network_and_gives_the_same_transcript(
    server: OpenAiServer,
) -> None:
    server.otherwise = lambda seen: answer("to " + seen.body["messages"][-1]["content"])
    identity = ModelIdentity("openai/tiny", server.base)
    table = StaticRoutes({identity: Route("openai/tiny", server.base, "k")})
    requests = [ask(str(number), identity=identity) for number in range(8)]
    live = build_gateway(table, seed=1)
    drive(live, *requests)
    assert len(server.seen) == 8
    files = live.transcript.to_files()
    replay = Replay(Transcript.from_files(files.calls, files.texts, "run"))
    with no_network():
        again = build_gateway(None, seed=1, replay=replay)
        answers = drive(again, *reversed(requests))
    assert all(isinstance(each, LmResponse) for each in answers)
    assert len(server.seen) == 8
    assert again.transcript.to_files() == files
    assert again.meter.charged == live.meter.charged
    assert again.meter.paid.calls == 0
    assert again.replaying is not None
    assert again.replaying.unused() == []


def test_a_strict_replay_that_asks_something_else_says_where() -> None:
    transcript = Transcript()
    transcript.record(ask("a", "p"), say("x"))
    gateway = build_gateway(None, seed=1, replay=Replay(transcript))
    (error,) = drive(gateway, ask("b", "p"))
    assert isinstance(error, DivergenceError)
    assert "-  a\n+  b" in error.difference


def test_a_counterfactual_replay_goes_on_live_and_never_reads_the_cache(tmp_path: Path) -> None:
    drive(build_gateway(routes(), seed=1, transport=echo(), cache_folder=tmp_path), ask("new", "q"))
    transcript = Transcript()
    transcript.record(ask("a", "p"), say("x"))
    transport = echo()
    gateway = build_gateway(
        routes(),
        seed=1,
        transport=transport,
        cache_folder=tmp_path,
        replay=Replay(transcript, "until-divergence"),
    )
    drive(gateway, ask("a", "p"), ask("new", "q"))
    assert [request.path for request in transport.requests] == ["q"]
    assert gateway.transcript.paths() == ["p", "q"]
    assert gateway.replaying is not None
    assert gateway.replaying.diverged_at == "q"


def test_the_whole_stack_outlasts_a_server_that_misbehaves(
    server: OpenAiServer, tmp_path: Path
) -> None:
    server.replies = [failure(429, retry_after="3"), failure(500), failure(503)]
    identity = ModelIdentity("openai/tiny", server.base)
    table = StaticRoutes({identity: Route("openai/tiny", server.base, "k", concurrency=1)})
    time = FakeTime()
    gateway = build_gateway(table, seed=1, cache_folder=tmp_path, sleep=time.sleep)
    answers = drive(gateway, *(ask(str(number), identity=identity) for number in range(4)))
    assert [each.text for each in answers if isinstance(each, LmResponse)] == ["hello"] * 4
    assert len(server.seen) == 7
    assert 3.0 in time.slept
    assert cache_stats(tmp_path).entries == 4


def test_only_a_strict_replay_goes_without_routes() -> None:
    with pytest.raises(ValueError, match="needs no routes"):
        build_gateway(None, seed=1)


def test_importing_the_gateway_imports_no_heavy_library() -> None:
    code = (
        "import sys, dse_cli.lm.gateway\n"
        "heavy = {'litellm', 'openai', 'aiohttp', 'diskcache', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
