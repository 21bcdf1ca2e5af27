"""Events on a terminal or in a pipe. Renderers take their streams as arguments and decide nothing."""
