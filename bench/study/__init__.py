"""What to run: a study read, checked and expanded into cells.

May import: contract, data, errors, plugins, protocol, records, results.
"""
