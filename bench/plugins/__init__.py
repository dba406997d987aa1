"""How a plugin is found by name and told from another version of itself.

May import: contract, errors.
"""
