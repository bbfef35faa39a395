"""Views over contracts: terminal, HTML, JUnit, Markdown and diff.

A renderer is a pure function from data to text. It measures nothing, decides nothing and writes no
file.
"""
