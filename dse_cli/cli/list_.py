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
            out.text("  ".join(str(value) for value in row.values()))
        out.document("listed", {"rows": rows})


def _signatures(opened: Any) -> list[dict[str, Any]]:
    from dse_cli.canonical import short
    from dse_cli.registry.pointer import read_active
    from dse_cli.registry.store import SignatureStore

    rows = []
    for name, identifier in sorted(opened.signature_ids.items()):
        store = SignatureStore(opened.paths.artifact(name), opened.paths.locks)
        active = read_active(store)
        rows.append(
            {
                "name": name,
                "id": identifier,
                "active": "authored" if active is None else short(active.compiled_id),
                "artifacts": len(store.list_artifacts()),
            }
        )
    return rows


def _artifacts(opened: Any, name: str) -> list[dict[str, Any]]:
    from dse_cli.canonical import short
    from dse_cli.registry.pointer import read_active
    from dse_cli.registry.store import SignatureStore

    folder = opened.resolve_signature(name)
    store = SignatureStore(opened.paths.artifact(folder), opened.paths.locks)
    active = read_active(store)
    rows = []
    for file in store.list_artifacts():
        artifact = store.load_artifact(file).artifact
        mean = artifact.evaluation.mean
        rows.append(
            {
                "artifact": file.removeprefix("compiled/"),
                "optimizer": artifact.optimizer.id,
                "val": "-" if mean is None else f"{100 * mean:.1f}",
                "run": short(artifact.provenance.run),
                "active": "active" if active is not None and active.artifact == file else "",
            }
        )
    return rows
