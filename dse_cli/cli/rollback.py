"""``dse rollback``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from dse_cli.cli.common import (
    JsonOption,
    Name,
    Out,
    ProjectOption,
    QuietOption,
    command,
    open_project,
)
from dse_cli.cli.promote_options import ChannelName

if TYPE_CHECKING:
    from dse_cli.contracts.signature import Signature
    from dse_cli.project.project import Project
    from dse_cli.registry.store import SignatureStore


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rollback")(rollback_command)


def rollback_command(
    name: Name,
    reason: Annotated[str, typer.Option(help="Why; written into the history.")],
    channel: Annotated[
        ChannelName, typer.Option("--channel", help="'canary' stops the canary.")
    ] = ChannelName.ACTIVE,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """Move the pointer to the policy that was promoted before the active one."""
    with command(as_json=as_json, quiet=quiet) as out:
        from dse_cli.project.specs import load_signature
        from dse_cli.registry.store import SignatureStore

        opened = open_project(project)
        loaded = load_signature(opened, name)
        store = SignatureStore(opened.paths.artifact(loaded.folder), opened.paths.locks)
        if channel is ChannelName.CANARY:
            _stop_canary(out, opened, store, reason)
        else:
            _roll_back(out, store, loaded.signature, reason)


def _roll_back(out: Out, store: SignatureStore, signature: Signature, reason: str) -> None:
    from dse_cli.canonical import short
    from dse_cli.registry.history import read_history, standing_record
    from dse_cli.workflows.promotion.rollback import rollback_policy

    record, passed_over = rollback_policy(store, signature, reason=reason)
    target, promotion = record.target, standing_record(read_history(store))
    where = "the authored policy"
    if target is not None and promotion is not None:
        where = f"{short(target.compiled_id)}, promoted by record {promotion.sequence}"
    out.text(f"{store.name}: rolled back to {where}")
    for policy in passed_over:
        out.text(f"passed over {short(policy.compiled_id)}: it is stale, and would not serve")
    out.document(
        "rolled_back",
        {
            "signature": store.name,
            "target": None if target is None else target.compiled_id,
            "promoted_by": None if promotion is None else promotion.sequence,
            "sequence": record.sequence,
            "passed_over": [policy.compiled_id for policy in passed_over],
        },
    )


def _stop_canary(out: Out, opened: Project, store: SignatureStore, reason: str) -> None:
    from dse_cli.report.channel_text import counts_text
    from dse_cli.workflows.promotion.canary import stop_canary_policy

    record = stop_canary_policy(opened, store, reason=reason)
    counts = record.canary.counts if record.canary else None
    ended = "" if counts is None else f": {counts_text(counts)}"
    out.text(f"{store.name}: the canary ended{ended}")
    canary = None if record.canary is None else record.canary.to_json()
    body = {"signature": store.name, "sequence": record.sequence, "canary": canary}
    out.document("stopped", body)
