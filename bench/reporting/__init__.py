"""What reports are made of: tables, figures, stored evidence, statistics, and files written whole.

May import: errors, metrics, records, scoring.
"""
