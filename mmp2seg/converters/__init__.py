"""Data sets of other layouts made into point data sets; import the modules themselves."""
