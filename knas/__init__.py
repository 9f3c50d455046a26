"""knas: training-free neural architecture search by gradient kernels."""

from knas import native  # first: it refuses a torch that the extension was not built for

# isort: split
from knas import benchmarks, proxies, ranking, spaces
from knas.errors import KnasError
from knas.gradients.gram import Gram
from knas.proxies.base import Score
from knas.scoring import Scores, gram, score, scores
from knas.search import SearchResult, search

__version__ = "0.1.0"

__all__ = [
    "Gram",
    "KnasError",
    "Score",
    "Scores",
    "SearchResult",
    "benchmarks",
    "gram",
    "native",
    "proxies",
    "ranking",
    "score",
    "scores",
    "search",
    "spaces",
]
