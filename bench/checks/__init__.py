"""The contract of plugins as checks that anybody can run, and a first plugin that passes them.

May import: contract, data.views, disk, errors, metrics, plugins, protocol, records, reporting, scoring.
"""
