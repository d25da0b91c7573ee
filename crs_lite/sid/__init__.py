"""Semantic IDs: item text -> embedding -> residual codes -> `<a_23><b_1><c_124><d_0>`.

Nothing here knows about requests; the trie, the tokenizer and the tasks build on `SemanticIDs`.
"""

from .codes import SemanticIDs, random_ids
from .embed import item_embeddings, item_text, load_embedder
from .kmeans import ResidualKMeans
from .rqvae import RQVAE

__all__ = ["RQVAE", "ResidualKMeans", "SemanticIDs", "item_embeddings", "item_text", "load_embedder", "random_ids"]
