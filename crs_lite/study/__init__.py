"""What was measured, and what it says: experiments, their recorded rows, comparisons, the ledger, benchmarks."""

from crs_lite.study.comparison import difference, hierarchical
from crs_lite.study.recorded import gather, rows, values

__all__ = ["difference", "gather", "hierarchical", "rows", "values"]
