"""The recurrent network inside a model, whatever it is mixed with or wrapped in."""

from ml.errors import ConfigError
from ml.language_model import LanguageModel
from ml.models.continuous_cache import ContinuousCache
from ml.models.mixture import Mixture
from ml.models.recurrent_stepper import RecurrentLanguageModel
from ml.models.unigram_cache import UnigramCache


def recurrent_of(model: LanguageModel) -> RecurrentLanguageModel:
    """The recurrent network that a model is or has in it; the first of several. Raises ConfigError without one."""
    found = _find(model)
    if found is None:
        raise ConfigError(
            "This model has no recurrent network to go on from or look into. Take one of a recurrent preset."
        )
    return found


def _find(model: LanguageModel) -> RecurrentLanguageModel | None:
    match model:
        case RecurrentLanguageModel():
            return model
        case Mixture():
            return next((found for part in model.components.values() if (found := _find(part)) is not None), None)
        case ContinuousCache() | UnigramCache():
            return _find(model.model)
    return None
