"""Jobs of the optimizers that propose, bootstrap and race, and a model that plays both parts."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from dse_cli.workflows.plans.made_up import made_up
from tests.e2e.desk import COLOURS, NAME, by_rule
from tests.lm.openai_server import Reply, Seen, answer

VARIANTS = "".join(
    f"    - {{id: v{index}, text: Choose a box by way {index}.}}\n" for index in range(5)
)
#: Optimizer with its settings, and search space, as YAML.
SEARCHES: dict[str, tuple[str, str]] = {
    "mipro_v2.v1": (
        "{num_candidates: 4, num_trials: 5, minibatch_size: 4, minibatch_full_eval_steps: 3}",
        "",
    ),
    "simba.v1": ("{bsize: 3, num_candidates: 3, max_steps: 3}", ""),
    "instruction_grid.v1": (
        "{scheduler: {id: racing}}",
        "search_space:\n  instructions:\n    - {id: good, text: Choose by colour.}\n" + VARIANTS,
    ),
    "copro.v1": ("{breadth: 3, depth: 2}", ""),
    "bootstrap_random_search.v1": ("{num_candidate_programs: 2}", ""),
    "instruction_propose.v1": ("{}", ""),
    "fewshot_greedy_forward.v2": ("{}", "search_space: {few_shot: {k_max: 2, pool_size: 3}}\n"),
    "successive_halving.v1": (
        "{}",
        "search_space:\n  instructions:\n    - {id: good, text: Choose by colour.}\n" + VARIANTS,
    ),
}
#: Those that ask a proposer.
PROPOSING = ("mipro_v2.v1", "copro.v1", "instruction_propose.v1")


def write_search(root: Path, optimizer: str, **budget: Any) -> None:
    """Give the desk's job another optimizer, in the way that it is usually written."""
    config, space = SEARCHES[optimizer]
    path = root / "signatures" / NAME / "compile.yaml"
    head = path.read_text().split("optimizer:")[0]
    limits = json.dumps({"max_metric_calls": 400, **budget})
    chosen = f"optimizer: {{id: {optimizer}, config: {config}}}\n"
    path.write_text(f"{head}{chosen}{space}budget: {limits}\nseed: 7\n")


def is_question(seen: Seen) -> bool:
    """Whether a request is one to the proposer."""
    return "write instructions" in seen.body["messages"][0]["content"]


def by_both(seen: Seen) -> Reply:
    """Propose when asked to, about one time in two what helps; sort notes else.

    A note that is sampled at a temperature is sorted right for about half of the prompts, so that
    there is something to learn. All of it follows from the request alone.
    """
    digest = hashlib.sha256(json.dumps(seen.body, sort_keys=True).encode()).hexdigest()
    if is_question(seen):
        schema = seen.body["response_format"]["json_schema"]["schema"]
        name = f"{digest[:8]}{' Choose by colour.' if digest[0] < '8' else ''}"
        usage = {"prompt_tokens": 50, "completion_tokens": 20, "total_tokens": 70}
        return answer(json.dumps(made_up(schema, name, 120)), usage=usage)
    if seen.body.get("temperature") and digest[0] < "8":
        note = json.loads(seen.body["messages"][-1]["content"])["note"]
        return answer(json.dumps({"box": note.split()[1] if note else COLOURS[0]}))
    return by_rule(seen)
