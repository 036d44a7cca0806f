"""What `tools/analysis_tools/benchmark.py` measures, one module for each part."""
