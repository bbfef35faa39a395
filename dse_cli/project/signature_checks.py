"""What a signature says beyond its contract: its types are JSON Schemas, and its demos fit them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dse_cli.contracts.prompt_ir import FewShotBlock
from dse_cli.contracts.schema import KEYWORDS, Checker, expand, is_full_schema, schema_problems
from dse_cli.project.suggest import did_you_mean

if TYPE_CHECKING:
    from dse_cli.contracts.diagnostic import Diagnostic
    from dse_cli.contracts.schema import SchemaProblem
    from dse_cli.contracts.signature import SignatureSpec
    from dse_cli.project.document import Loc
    from dse_cli.project.yaml_document import YamlDocument


def signature_problems(spec: SignatureSpec, document: YamlDocument) -> list[Diagnostic]:
    """Return every problem with the types and the demos of a signature.

    Demos are checked only when the types are sound.
    """
    problems = [
        *type_problems(spec.input, ("input",), document),
        *type_problems(spec.output, ("output",), document),
    ]
    for index, tool in enumerate(spec.tools):
        problems += type_problems(tool.input, ("tools", index, "input"), document)
        if tool.output is not None:
            problems += type_problems(tool.output, ("tools", index, "output"), document)
    return problems or _demo_problems(spec, document)


def type_problems(fields: dict[str, Any], loc: Loc, document: YamlDocument) -> list[Diagnostic]:
    """Return why a field shorthand or a full JSON Schema at ``loc`` is not sound."""
    problems: list[Diagnostic] = []
    if not is_full_schema(fields):
        for name, fragment in fields.items():
            try:
                expand({name: fragment})
            except ValueError as error:
                place = (*loc, name)
                problems.append(document.diagnostic(place, "wrong-type-word", str(error)))
    if problems:
        return problems
    schema = expand(fields)
    problems = [
        _schema_diagnostic(problem, loc, document, shorthand=not is_full_schema(fields))
        for problem in schema_problems(schema)
    ]
    if problems:
        return problems
    try:
        Checker(schema)
    except ValueError as error:  # what the meta schema lets through: a reference to nowhere
        message = f"not a JSON Schema: {str(error).splitlines()[0]}"
        return [document.diagnostic(loc, "wrong-schema", message, key=True)]
    return []


def _schema_diagnostic(
    problem: SchemaProblem, loc: Loc, document: YamlDocument, *, shorthand: bool
) -> Diagnostic:
    inner = problem.location
    if shorthand and inner[:1] == ("properties",):
        inner = inner[1:]
    word = str(inner[-1]) if inner else ""
    is_keyword = "JSON Schema keyword" in problem.message
    hint = did_you_mean(word, KEYWORDS) if is_keyword else None
    place = (*loc, *inner)
    return document.diagnostic(place, "wrong-schema", problem.message, hint, key=is_keyword)


def _demo_problems(spec: SignatureSpec, document: YamlDocument) -> list[Diagnostic]:
    checkers = {"input": Checker(expand(spec.input)), "output": Checker(expand(spec.output))}
    problems: list[Diagnostic] = []
    for index, block in enumerate(spec.prompt):
        if not isinstance(block, FewShotBlock):
            continue
        for position, demo in enumerate(block.few_shot):
            loc: Loc = ("prompt", index, "few_shot", position)
            if demo.id in [other.id for other in block.few_shot[:position]]:
                message = f"two demos have the id {demo.id!r}"
                problems.append(document.diagnostic((*loc, "id"), "duplicate-id", message))
            for side, checker in checkers.items():
                problems += [
                    document.diagnostic(
                        (*loc, side, *found.location),
                        "demo-does-not-fit",
                        f"the {side} of demo {demo.id!r} does not fit the signature: "
                        f"{found.message}",
                    )
                    for found in checker.problems(getattr(demo, side))
                ]
    return problems
