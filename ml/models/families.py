"""The families of models by the names that files use."""

from typing import Final

from ml.language_model import StoredModel
from ml.models.continuous_cache import ContinuousCache
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.models.mixture import Mixture
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.unigram_cache import UnigramCache

FAMILIES: Final[dict[str, type[StoredModel]]] = {
    "maximum-likelihood": MaximumLikelihood,
    "kneser-ney": KneserNey,
    "recurrent": RecurrentLanguageModel,
    "mixture": Mixture,
    "unigram-cache": UnigramCache,
    "continuous-cache": ContinuousCache,
}
