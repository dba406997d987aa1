"""The contract of plugins: items as arrays, base classes and declarations, parameters and state.

May import: disk, errors, progress.
"""
