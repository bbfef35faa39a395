"""A judge signal with the policy that its artifact holds, and what that policy is shown.

What a judge is shown are values in its own typed input fields: nothing that a model or a dataset
said becomes part of an instruction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from dse_cli.canonical import canonical_text
from dse_cli.contracts.metrics.judges import PairwiseJudge
from dse_cli.evaluation.json_values import MISSING, value_at
from dse_cli.evaluation.schema_fields import types_at

if TYPE_CHECKING:
    from dse_cli.contracts.metrics.judges import Judge
    from dse_cli.evaluation.metric_result import Sample
    from dse_cli.runtime.policy import Policy

#: The answer under test stands first, then second.
ORDERS: Final = ("ab", "ba")
_TEXTS_ONLY: Final = frozenset({"string"})


@dataclass(frozen=True)
class PinnedJudge:
    """A judge of a reward.

    Attributes:
        index: of the signal in the reward.
        signal: id of the signal.
        config: as written in the reward.
        policy: what judges.
        name: folder of its signature.
        artifact: its file, relative to the project root.
        digest: of that file.
    """

    index: int
    signal: str
    config: Judge | PairwiseJudge
    policy: Policy
    name: str
    artifact: str
    digest: str

    @property
    def questions(self) -> tuple[tuple[str, Mapping[str, str]], ...]:
        """What is added to the logical path, and the path of each input field, by question."""
        config = self.config
        if not isinstance(config, PairwiseJudge):
            return (("", config.inputs),)
        ours, theirs = config.ours, config.theirs
        shown = {"ab": (ours, theirs), "ba": (theirs, ours)}
        fields = (config.first, config.second)
        return tuple(
            (f"/order={order}", {**config.inputs, **dict(zip(fields, shown[order], strict=True))})
            for order in ORDERS
        )

    def value(self, paths: Mapping[str, str], sample: Sample) -> dict[str, Any]:
        """Return the input of one question.

        A value that is no text is given as JSON text to a field that takes texts only. A path that
        leads nowhere in this example leaves its field out; only optional fields may have such a
        path, which is checked before anything is spent.
        """
        schema = self.policy.signature.input_schema
        shown: dict[str, Any] = {}
        for name, path in sorted(paths.items()):
            found = sample_value(sample, path)
            if found is MISSING:
                continue
            as_text = not isinstance(found, str) and types_at(schema, (name,)) == _TEXTS_ONLY
            shown[name] = canonical_text(found) if as_text else found
        return shown


def sample_value(sample: Sample, path: str) -> Any:
    """Return what stands at ``input.…``, ``output.…`` or ``expected.…``, or ``MISSING``."""
    root, _, rest = path.partition(".")
    whole = getattr(sample, root)
    return value_at(whole, rest) if rest else whole


def is_of_output(path: str) -> bool:
    """Whether a path leads into the output, which is not known before the policy has answered."""
    return path.partition(".")[0] == "output"
