"""Measured search: indexes over the stored codes of a cell, their recall, speed, memory and upkeep.

May import: archive, contract, models, progress, records, results, running, scoring, study, threads.
"""
