"""Who arrives when, what a method sees, whose codes are searched, and the clock.

May import: contract, errors, records, scoring.
"""
