"""A result scored against the truth.

evaluate       `evaluate`: tables matched, block by block, and scored
scores         `Match` and `Evaluation`: the results
matching       optimal one-to-one pairs, and the constant shift between two sets
pair_search    candidates for pairs: points near each other in one frame
coverage       which frames were detected and can be scored
"""
