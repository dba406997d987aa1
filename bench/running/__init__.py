"""Running cells: one pass over a stream, a sweep over a study, a search for parameters.

May import: checks, contract, data, disk, errors, isolation, metrics, models, plugins, progress, protocol,
records, results, scoring, storing, study, threads, units.
"""
