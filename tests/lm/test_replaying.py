from __future__ import annotations

import asyncio

import pytest

from dse_cli.contracts.errors import DivergenceError
from dse_cli.contracts.lm import LmRequest, LmResponse, Sampling
from dse_cli.lm.replaying import ReplayingLayer
from dse_cli.lm.transcript import Transcript
from tests.lm.calls import RealTransport, ask, say

PATHS = ["run/cand=0001/ex=a", "run/cand=0001/ex=b", "run/cand=0002/ex=a"]


def recorded() -> Transcript:
    transcript = Transcript()
    for path in PATHS:
        transcript.record(ask(f"line one\nask {path}\nline three", path), say(path))
    return transcript


def request(path: str, word: str = "ask", **more: Sampling) -> LmRequest:
    return ask(f"line one\n{word} {path}\nline three", path, **more)  # type: ignore[arg-type]


def outcomes(layer: ReplayingLayer, *requests: LmRequest) -> list[LmResponse | BaseException]:
    async def go() -> list[LmResponse | BaseException]:
        return await asyncio.gather(
            *(layer.complete(each) for each in requests), return_exceptions=True
        )

    return asyncio.run(go())


def test_strict_answers_by_path_in_any_order() -> None:
    layer = ReplayingLayer(recorded(), "strict")
    answers = outcomes(layer, *(request(path) for path in reversed(PATHS)))
    assert [answer.text for answer in answers if isinstance(answer, LmResponse)] == PATHS[::-1]
    assert not any(answer.paid for answer in answers if isinstance(answer, LmResponse))
    assert layer.served == 3
    assert layer.unused() == []
    assert layer.first_divergence() is None


def test_the_first_divergence_is_the_first_in_path_order_not_in_time() -> None:
    layer = ReplayingLayer(recorded(), "strict")
    answers = outcomes(layer, request(PATHS[2], "tell"), request(PATHS[0], "tell"))
    assert all(isinstance(answer, DivergenceError) for answer in answers)
    first = layer.first_divergence()
    assert first is not None
    assert first.path == PATHS[0]
    assert [error.path for error in layer.divergences()] == [PATHS[0], PATHS[2]]


def test_the_difference_is_a_line_diff_of_the_request() -> None:
    layer = ReplayingLayer(recorded(), "strict")
    (error,) = outcomes(
        layer, request(PATHS[0], "tell", sampling=Sampling(temperature=0.5, max_tokens=9))
    )
    assert isinstance(error, DivergenceError)
    changed = [line for line in error.difference.splitlines() if line[0] in "+-"]
    assert changed == [
        f"--- recorded {PATHS[0]}",
        f"+++ asked {PATHS[0]}",
        "-temperature: 0.0",
        "+temperature: 0.5",
        "+max_tokens: 9",
        f"-  ask {PATHS[0]}",
        f"+  tell {PATHS[0]}",
    ]


def test_a_missing_path_is_shown_against_the_nearest_request() -> None:
    layer = ReplayingLayer(recorded(), "strict")
    (error,) = outcomes(layer, ask(f"line one\nask {PATHS[1]}\nline 3", "run/cand=0001/ex=z"))
    assert isinstance(error, DivergenceError)
    assert f"the nearest is {PATHS[1]}" in error.message
    assert "-  line three\n+  line 3" in error.difference


def test_a_replay_of_nothing_diverges_at_its_first_call() -> None:
    (error,) = outcomes(ReplayingLayer(Transcript(), "strict"), ask())
    assert isinstance(error, DivergenceError)
    assert error.difference == ""


def test_recorded_calls_that_were_never_asked_are_named() -> None:
    layer = ReplayingLayer(recorded(), "strict")
    outcomes(layer, request(PATHS[1]))
    assert layer.unused() == [PATHS[0], PATHS[2]]


def test_a_counterfactual_goes_live_at_its_first_difference_and_stays_live() -> None:
    live = RealTransport(lambda r: say("live " + r.path))
    layer = ReplayingLayer(recorded(), "until-divergence", live)

    async def go() -> list[str]:
        requests = [request(PATHS[0]), request(PATHS[1], "tell"), request(PATHS[2])]
        return [(await layer.complete(each)).text for each in requests]

    assert asyncio.run(go()) == [PATHS[0], "live " + PATHS[1], "live " + PATHS[2]]
    assert (layer.served, layer.live, layer.diverged_at) == (1, 2, PATHS[1])
    assert len(live.requests) == 2
    asyncio.run(layer.aclose())
    assert live.closed


def test_a_mode_without_its_layer_is_a_bug() -> None:
    with pytest.raises(ValueError, match="until-divergence needs"):
        ReplayingLayer(recorded(), "until-divergence")
    with pytest.raises(ValueError, match="strict has none"):
        ReplayingLayer(recorded(), "strict", RealTransport(lambda _: say("x")))
