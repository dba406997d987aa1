"""Whole results folders: compare, verify, merge, export and rescore them.

May import: contract, errors, metrics, records, reporting, results, running, scoring, storing, study.
"""
