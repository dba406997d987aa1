"""Built-in encoders, one per file: each turns pictures or texts into the rows of a view.

May import: api.
"""
