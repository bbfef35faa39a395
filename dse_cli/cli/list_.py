"""``dse list``."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from dse_cli.cli.common import JsonOption, ProjectOption, QuietOption, command, open_project


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("list")(list_command)


def list_command(
    name: Annotated[
        str | None,
        typer.Argument(help="Signature; all of them when omitted."),
    ] = None,
    project: ProjectOption = None,
    as_json: JsonOption = False,
    quiet: QuietOption = False,
) -> None:
    """List signatures, or the compiled artifacts of one."""
    with command(as_json=as_json, quiet=quiet) as out:
        opened = open_project(project)
        rows = _signatures(opened) if name is None else _artifacts(opened, name)
        for row in rows:
            out.text("  ".join(str(value) for value in row.values()).rstrip())
        out.document("listed", {"rows": rows})


def _signatures(opened: Any) -> list[dict[str, Any]]:
    from dse_cli.canonical import short
    from dse_cli.registry.pointer import read_active
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.promotion.channels import channels_of

    rows = []
    for name, identifier in sorted(opened.signature_ids.items()):
        store = SignatureStore(opened.paths.artifact(name), opened.paths.locks)
        active, channels = read_active(store), channels_of(opened, store)
        rows.append(
            {
                "name": name,
                "id": identifier,
                "active": "authored" if active is None else short(active.compiled_id),
                "artifacts": len(store.list_artifacts()),
                "channels": "; ".join(text for text in channels if text),
            }
        )
    return rows


def _artifacts(opened: Any, name: str) -> list[dict[str, Any]]:
    from dse_cli.canonical import short
    from dse_cli.registry.canary import read_canary
    from dse_cli.registry.pointer import read_active
    from dse_cli.registry.store import SignatureStore
    from dse_cli.workflows.promotion.channels import channels_of

    folder = opened.resolve_signature(name)
    store = SignatureStore(opened.paths.artifact(folder), opened.paths.locks)
    active, canary = read_active(store), read_canary(store)
    channels = channels_of(opened, store)
    rows = []
    for file in store.list_artifacts():
        artifact = store.load_artifact(file).artifact
        mean = artifact.evaluation.mean
        is_active = active is not None and active.artifact == file
        is_canary = canary is not None and canary.artifact == file
        rows.append(
            {
                "artifact": file.removeprefix("compiled/"),
                "optimizer": artifact.optimizer.id,
                "val": "-" if mean is None else f"{100 * mean:.1f}",
                "run": short(artifact.provenance.run),
                "active": (channels.override or "active") if is_active else "",
                "canary": channels.canary if is_canary else "",
            }
        )
    return rows
