"""A result scored against the truth.

evaluate       `evaluate`: tables matched, block by block, and scored
scores         `Match` and `Evaluation`: the results
points         `Points`: rows of a table as they are scored, and which of them count
matching       one-to-one pairs, optimal or greedy, and the constant shift between two sets
pair_search    candidates for pairs: points near each other in one frame
mismatch       warnings where hardly anything matches: frames off by one, swapped axes
processing     warnings where one table is linked or corrected for drift and the other is not
coverage       which frames and which region were detected and can be scored
"""
