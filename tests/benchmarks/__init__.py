"""The benchmarks: `make bench`, or `python -m tests.benchmarks --help`. See docs/benchmarks.md."""
