"""What follows detection: tables in; tables, curves and numbers out."""
