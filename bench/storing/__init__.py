"""The results folder: finished cells, checkpoints between rounds, and traces of what is running.

May import: contract, errors, plugins, records.
"""
