"""The checks of `streamrag doctor`. They print nothing and change nothing."""
