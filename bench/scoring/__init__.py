"""From codes and labels to counts, and from counts to scores, exact under ties.

May import: contract, errors.
"""
