"""crs_lite: the code behind the book on context-aware, reasoning-enhanced generative search.

Data flows one way: logs -> context -> tokens and semantic IDs -> alignment -> reasoning -> ranked list.
A module never imports one that is later in that flow.
"""

__version__ = "0.1.0"

import warnings

warnings.filterwarnings("ignore", message="IProgress not found")  # plain text bars are what we want in notebooks
