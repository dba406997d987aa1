"""The results folder: finished cells, checkpoints between rounds, and traces of what is running.

May import: contract, disk, errors, metrics, plugins, progress, protocol, records, scoring.
"""
