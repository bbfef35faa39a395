"""One file, or folder, per job that a user asks for: compile, evaluate, promote, replay, check.

A workflow wires the layers below for one command and returns data; the command prints it. Why
there is such a layer: ``docs/decisions/0001-workflows.md``.
"""
