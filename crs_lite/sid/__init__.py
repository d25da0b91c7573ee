"""Semantic IDs: item text -> embedding -> residual codes -> `<a_23><b_1><c_124><d_0>`.

Nothing here knows about requests; the trie, the tokenizer and the tasks build on `SemanticIDs`.
"""

from crs_lite.sid.codes import SemanticIDs, random_ids
from crs_lite.sid.embed import item_embeddings, item_text, load_embedder
from crs_lite.sid.kmeans import ResidualKMeans

__all__ = ["ResidualKMeans", "SemanticIDs", "item_embeddings", "item_text", "load_embedder", "random_ids"]
