"""What follows detection: tables in; tables, curves and numbers out.

neighbours     points of a whole table within a radius of each other
"""
