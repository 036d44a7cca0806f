"""The measurements of `tools/analysis_tools/benchmark.py`."""
