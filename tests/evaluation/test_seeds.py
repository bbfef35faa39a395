from __future__ import annotations

import hashlib

from dse_cli.evaluation.seeds import numpy_substream, substream, substream_seed, unit_draw


def test_a_substream_is_the_same_in_every_process_and_version():
    digest = hashlib.sha256(b'["7","fewshot","pool"]').digest()
    assert substream_seed(7, "fewshot", "pool") == int.from_bytes(digest[:8], "big")
    assert substream_seed(7, "fewshot", "pool") == 8541659790215394029
    assert unit_draw(0, "split", "row-1") == 0.9252247456847954


def test_the_same_name_gives_the_same_draws():
    assert substream(7, "a").random() == substream(7, "a").random()


def test_names_and_seeds_keep_streams_apart():
    seeds = {
        substream_seed(0, "a", "b"),
        substream_seed(0, "ab"),
        substream_seed(0, "a,b"),
        substream_seed(0, "b", "a"),
        substream_seed(0),
        substream_seed(1, "a", "b"),
        substream_seed(-1, "a", "b"),
        substream_seed(2**80, "a", "b"),
    }
    assert len(seeds) == 8


def test_unit_draws_lie_in_the_half_open_unit_interval_and_spread():
    draws = [unit_draw(3, "x", str(i)) for i in range(2000)]
    assert min(draws) >= 0
    assert max(draws) < 1
    assert abs(sum(draws) / len(draws) - 0.5) < 0.02


def test_the_numpy_stream_is_the_raw_pcg64_stream_of_its_seed():
    raw = numpy_substream(7, "bootstrap").bit_generator.random_raw(2)
    assert [int(word) for word in raw] == [4499944890271737023, 2039284484005421118]
