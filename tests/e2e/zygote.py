"""Runs `dse` in forks of a process that has imported the slow libraries already.

LiteLLM alone costs three seconds of every process that calls a model. A fork is a process of its
own all the same: it has its arguments, environment, folder, streams and exit code, and can be
killed. One JSON object a line on stdin starts one; its pid comes back at once, and its exit status
when it has ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from typing import Any

#: The descriptor that answers go to.
ANSWERS = int(sys.argv[1])


def serve() -> None:
    import numpy as np  # noqa: F401
    import optuna  # noqa: F401
    import scipy.stats  # noqa: F401

    from dse_cli.cli.main import main
    from dse_cli.lm.direct_wire import DirectWire  # noqa: F401
    from dse_cli.lm.litellm_library import load_litellm

    load_litellm()
    from litellm.llms.openai.chat.gpt_transformation import OpenAIGPTConfig  # noqa: F401
    from litellm.utils import get_optional_params  # noqa: F401

    wake, woken = os.pipe()
    os.set_blocking(woken, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(woken)
    say({"ready": True})
    pending = b""
    while True:
        readable, _, _ = select.select([0, wake], [], [])
        if wake in readable:
            os.read(wake, 4096)
            reap()
        if 0 in readable:
            data = os.read(0, 1 << 16)
            if not data:
                return
            *lines, pending = (pending + data).split(b"\n")
            for line in lines:
                start(json.loads(line), main)


def reap() -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        say({"pid": pid, "code": os.waitstatus_to_exitcode(status)})


def start(job: dict[str, Any], main: Any) -> None:
    pid = os.fork()
    if pid:
        say({"token": job["token"], "started": pid})
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    os.chdir(job["cwd"])
    os.environ.clear()
    os.environ.update(job["env"])
    for number, path in ((0, os.devnull), (1, job["stdout"]), (2, job["stderr"])):
        flags = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(path, flags, 0o600), number)
    sys.argv = ["dse", *job["args"]]
    os.close(ANSWERS)
    code = 0
    try:
        main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:  # noqa: BLE001 - what Python itself would do
        sys.excepthook(*sys.exc_info())
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def say(message: dict[str, Any]) -> None:
    os.write(ANSWERS, json.dumps(message).encode() + b"\n")


if __name__ == "__main__":
    serve()
