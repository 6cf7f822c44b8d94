"""What the widgets show: movies, points, renderings, results, matches, as layers."""
