"""The real model, end to end. Downloads its weights on first use; they run in CI."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
import textwrap
import urllib.error
import urllib.request

import pytest

from dse_cli.lm.embedded import EMBEDDED, EmbeddedServer, ensure_weights

pytestmark = pytest.mark.local_model

SCHEMA = {
    "type": "object",
    "properties": {"queue": {"enum": ["billing", "shipping"]}},
    "required": ["queue"],
    "additionalProperties": False,
}
BODY = {
    "model": "any",
    "messages": [{"role": "user", "content": "Where is my parcel? Answer as JSON."}],
    "response_format": {
        "type": "json_schema",
        "json_schema": {"name": "output", "schema": SCHEMA, "strict": True},
    },
    "max_tokens": 16,
    "temperature": 0,
    "seed": 1,
}

PROGRAM = textwrap.dedent(
    """
    import asyncio, contextlib, signal, sys, threading
    # A background job of a shell starts with Ctrl-C ignored, and this program would wait for ever.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    from dse_cli.lm.embedded import EMBEDDED, shared_server
    from urllib.request import Request, urlopen

    endpoint = asyncio.run(shared_server().start(EMBEDDED["local"]))
    body = b'{"messages":[{"role":"user","content":"Write a long story."}],"max_tokens":2000}'
    headers = {"Authorization": "Bearer " + endpoint.api_key, "Content-Type": "application/json"}
    request = Request(endpoint.base_url + "/chat/completions", body, headers)

    def call():
        with contextlib.suppress(OSError):  # the model goes away in the middle, on purpose
            urlopen(request).read()

    threading.Thread(target=call, daemon=True).start()
    threading.Event().wait(0.5)
    if sys.argv[1] == "wait":
        print("ready", flush=True)
        threading.Event().wait()
    sys.exit(7)
    """
)


def ask(base_url: str, key: str, body: object = BODY) -> tuple[int, dict[str, object]]:
    request = urllib.request.Request(  # noqa: S310 - loopback
        f"{base_url}/chat/completions",
        json.dumps(body).encode(),
        {"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=120) as response:  # noqa: S310
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {}


@pytest.fixture(scope="module")
def _weights() -> None:
    ensure_weights(EMBEDDED["local"])


@pytest.mark.usefixtures("_weights")
def test_the_model_answers_within_the_schema_and_only_with_the_key(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async def go() -> None:
        server = EmbeddedServer()
        endpoint = await server.start(EMBEDDED["local"])
        try:
            assert endpoint.base_url.startswith("http://127.0.0.1:")
            assert await server.start(EMBEDDED["local"]) is endpoint
            status, answer = await asyncio.to_thread(ask, endpoint.base_url, endpoint.api_key)
            assert status == 200
            choices = answer["choices"]
            assert isinstance(choices, list)
            assert json.loads(choices[0]["message"]["content"])["queue"] in {"billing", "shipping"}
            assert answer["model"] == EMBEDDED["local"].name  # and no path of this machine
            status, _ = await asyncio.to_thread(ask, endpoint.base_url, "another key")
            assert status == 401
        finally:
            await server.aclose()

    asyncio.run(go())
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("_weights")
def test_a_model_process_that_died_is_started_again() -> None:
    async def go() -> None:
        server = EmbeddedServer()
        try:
            first = await server.start(EMBEDDED["local"])
            server._running["local"]._process.kill()
            server._running["local"]._process.wait()
            second = await server.start(EMBEDDED["local"])
            assert second.api_key != first.api_key
            status, _ = await asyncio.to_thread(ask, second.base_url, second.api_key)
            assert status == 200
        finally:
            await server.aclose()

    asyncio.run(go())


@pytest.mark.usefixtures("_weights")
def test_an_interpreter_that_exits_during_a_call_keeps_its_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "exit"], capture_output=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")


@pytest.mark.usefixtures("_weights")
@pytest.mark.skipif(sys.platform == "win32", reason="signals are delivered otherwise there")
def test_a_ctrl_c_during_a_call_ends_the_program_as_a_ctrl_c_does() -> None:
    program = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "wait"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with program:
        assert program.stdout is not None
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        _, errors = program.communicate(timeout=60)
    assert program.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
