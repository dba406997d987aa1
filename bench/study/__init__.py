"""What to run: a study read, checked and expanded into cells.

May import: contract, errors, plugins, protocol, records, reporting.
"""
