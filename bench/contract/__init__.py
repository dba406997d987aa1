"""What a plugin is: items as arrays, the base classes of methods and datasets, their parameters and state.

May import: errors.
"""
