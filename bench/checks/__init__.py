"""The contract of plugins as checks that anybody can run, and a first plugin that passes them.

May import: contract, errors, plugins, protocol, records.
"""
