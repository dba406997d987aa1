"""A study, from its file to planned cells: read, checked and expanded.

May import: contract, data, disk, errors, isolation, plugins, protocol, records, reporting, threads.
"""
