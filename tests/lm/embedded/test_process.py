from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dse_cli.contracts.errors import ModelUnavailableError
from dse_cli.lm.embedded import child
from dse_cli.lm.embedded.models import EmbeddedModel
from dse_cli.lm.embedded.process import Endpoint, start_process


def fake_child(folder: Path, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    program = folder / "fake_child.py"
    program.write_text(text, encoding="utf-8")
    monkeypatch.setattr(child, "__file__", str(program))


def test_a_process_that_dies_while_loading_is_reported_with_its_last_words(
    model: EmbeddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "import os, sys; sys.stdin.readline(); os.write(2, b'out of memory\\n'); os._exit(9)"
    fake_child(tmp_path, text, monkeypatch)
    with pytest.raises(ModelUnavailableError, match="ended with 9: out of memory") as caught:
        start_process(model, tmp_path / "x.gguf")
    assert "dse models verify tiny" in (caught.value.hint or "")


def test_a_missing_extra_is_reported_with_the_command_that_installs_it(
    model: EmbeddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path(child.__file__).read_text(encoding="utf-8")
    text = "import sys; sys.modules['xllamacpp'] = None\n" + real.replace(
        "from __future__ import annotations", ""
    )
    fake_child(tmp_path, text, monkeypatch)
    with pytest.raises(ModelUnavailableError, match=r"needs the extra \[local\]") as caught:
        start_process(model, tmp_path / "x.gguf")
    assert caught.value.hint == "pip install 'dse-cli[local]'"


def test_the_order_goes_over_stdin_and_the_end_of_stdin_ends_the_process(
    model: EmbeddedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (
        "import json, sys; order = json.loads(sys.stdin.readline())\n"
        "print(json.dumps({'address': 'http://127.0.0.1:1/' + order['name']}), flush=True)\n"
        "sys.stdin.read()"
    )
    fake_child(tmp_path, text, monkeypatch)
    process = start_process(replace(model, name="some-name"), tmp_path / "x.gguf")
    assert process.endpoint.base_url == "http://127.0.0.1:1/some-name/v1"
    assert len(process.endpoint.api_key) >= 32
    assert process.alive
    process.end()
    process.end()
    assert not process.alive


def test_a_key_is_not_shown(model: EmbeddedModel) -> None:
    assert "secret" not in repr(Endpoint("http://127.0.0.1:1/v1", "secret"))


def test_importing_the_package_loads_nothing_heavy() -> None:
    heavy = ("xllamacpp", "litellm", "filelock", "platformdirs")
    program = f"import dse_cli.lm.embedded, sys; print([m for m in {heavy!r} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
