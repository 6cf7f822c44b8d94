"""What follows detection: tables in; tables, curves and numbers out.

neighbours     points of a whole table within a radius of each other
density        rows that have enough others near them
expressions    the grammar of filter expressions
quantities     the quantities of a table, by the names that people use, with their units
filters        the rows that an expression keeps
parts          the rows of some frames or of a region
"""
