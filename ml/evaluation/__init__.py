"""What a model is worth on held-out posts: cost, its interval, and whether probabilities and lengths are true."""

from ml.evaluation.posts import PostScores, Scorer, TokenSurprisal, evaluate, score_posts, surprisal

__all__ = ["PostScores", "Scorer", "TokenSurprisal", "evaluate", "score_posts", "surprisal"]
