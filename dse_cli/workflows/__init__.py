"""One file per job that a user asks for: compile, evaluate, promote, replay, check.

A workflow wires the layers below for one command and returns data; the command prints it. This layer
is the one addition to DESIGN section 2, see ``docs/decisions/0001-workflows.md``.
"""
