"""The protocol of a run: order of arrival, what a method sees, the searched index, and the clock.

May import: contract, disk, errors, records, scoring.
"""
