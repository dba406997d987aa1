"""How a plugin is found by name, and how its versions are distinguished.

May import: contract, disk, errors.
"""
