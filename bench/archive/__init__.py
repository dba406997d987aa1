"""Entire results folders: compare, verify, publish, merge, export and rescore them.

May import: contract, data, disk, errors, metrics, models, plugins, protocol, records, reporting, results,
running, scoring, storing, study, units.
"""
