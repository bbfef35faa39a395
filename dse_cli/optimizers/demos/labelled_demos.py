"""A labelled demo set: train rows shown as they are, each kind of answer in turn.

Labels only, as in DSPy's LabeledFewShot, but balanced: with as many demos as there are answers,
each answer is shown once. Where every row has an answer of its own, this is a plain draw.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dse_cli.canonical import canonical_text
from dse_cli.evaluation.seeds import substream
from dse_cli.optimizers.fewshot_greedy_forward import demo_pool

if TYPE_CHECKING:
    from dse_cli.contracts.dataset import Row
    from dse_cli.optimizers.search import Search


def labelled_set(search: Search) -> list[Row]:
    """Return ``few_shot.k_max`` rows of the pool, drawn with the seed, in the order shown."""
    space = search.space.few_shot
    if space is None:
        return []
    groups: dict[str, list[Row]] = {}
    for row in demo_pool(search):
        groups.setdefault(canonical_text(row.expected), []).append(row)
    draw = substream(search.seed, "labelled_demos")
    for key in sorted(groups):
        draw.shuffle(groups[key])
    order = sorted(groups)
    draw.shuffle(order)
    chosen: list[Row] = []
    while len(chosen) < space.k_max and any(groups.values()):
        chosen += [groups[key].pop() for key in order if groups[key]]
    chosen = chosen[: space.k_max]
    # Shown in rounds, the last answers would stand out: the order on the page is drawn as well.
    draw.shuffle(chosen)
    return chosen
