"""The commands of the ``broker`` program, a module a noun; ``broker.cli`` puts them together.

A command is a thin door: it opens the exchange, calls the use cases that the pages call, and
prints. What one command alone needs is imported where it is used, so that the others start
without it. Errors of the domain are left to ``broker.cli``, which tells them in a sentence.
"""
