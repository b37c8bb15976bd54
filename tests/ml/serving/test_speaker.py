"""What is served against the models themselves."""

from pathlib import Path

import numpy as np
import pytest

from ml import artifact
from ml.errors import ArtifactError
from ml.language_model import LanguageModel
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import Mixture
from ml.models.unigram_cache import UnigramCache
from ml.serving.export import LARGEST_SHIFT, export
from ml.serving.loading import load
from ml.serving.quantized_recurrent import FILE_NAME, QuantizedRecurrent
from ml.serving.scores import score
from ml.serving.speaker import MixtureSpeaker, PlainSpeaker, speaker_of
from ml.text.corpus_index import CorpusIndex
from ml.text.words import WordTokenizer
from tests.ml.serving.networks import EOS, H, V, network


def stream(n: int = 400, *, seed: int = 2) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Posts over V tokens, each closed by `<eos>`."""
    tokens = np.random.default_rng(seed).integers(0, V, n)
    tokens[np.random.default_rng(seed).random(n) < 0.1] = EOS
    tokens[-1] = EOS
    return tokens


def kneser_ney() -> KneserNey:
    return KneserNey.fit(stream(), order=3, vocabulary_size=V, eos=EOS)


def test_what_a_speaker_says_is_what_its_model_says_when_nothing_was_exported(tmp_path: Path) -> None:
    mixture = Mixture({"recurrent": network(), "kneser-ney": kneser_ney()}, np.array([0.7, 0.3]))
    cached = UnigramCache(kneser_ney(), weight=0.2, length=50, eos=EOS)
    models: list[LanguageModel] = [mixture, network("gru"), kneser_ney(), cached]
    for model in models:
        speaker = speaker_of(model, tmp_path)
        assert speaker.vocabulary_size == V
        expected_state, state = model.initial_state(2), speaker.initial_state(2)
        for tokens in ([EOS, EOS], [4, 5], [9, EOS], [2, 2]):
            log_probs, expected_state = model.step(np.array(tokens), expected_state)
            probabilities, state = speaker.step(np.array(tokens), state)
            np.testing.assert_allclose(probabilities, np.exp(log_probs), rtol=2e-5)


def test_scores_are_those_of_the_model_whatever_the_lengths_of_the_posts() -> None:
    model, tokens = network(), stream(3000)
    np.testing.assert_allclose(score(PlainSpeaker(model), tokens, eos=EOS), model.score(tokens), rtol=1e-4, atol=1e-5)
    assert len(score(PlainSpeaker(model), tokens[:0], eos=EOS)) == 0


def test_a_network_is_exported_where_it_lies_and_served_from_there(tmp_path: Path) -> None:
    mixture = Mixture({"recurrent": network(), "kneser-ney": kneser_ney()}, np.array([0.6, 0.4]))
    shift = export(mixture, _saved(mixture, tmp_path), tokens=stream())
    assert shift is not None
    assert abs(shift) <= LARGEST_SHIFT
    assert isinstance(QuantizedRecurrent.load(tmp_path / "recurrent"), QuantizedRecurrent)
    speaker = speaker_of(mixture, tmp_path)
    assert isinstance(speaker, MixtureSpeaker)
    served = float(np.mean(score(speaker, stream(), eos=EOS)))
    assert served == pytest.approx(float(np.mean(mixture.score(stream()))), abs=LARGEST_SHIFT)


def test_n_grams_alone_have_nothing_to_export(tmp_path: Path) -> None:
    assert export(kneser_ney(), tmp_path, tokens=stream()) is None
    assert not list(tmp_path.iterdir())


def test_a_network_that_seven_bits_change_too_much_keeps_no_step(tmp_path: Path) -> None:
    model = network(temperature=1.0)
    arrays = {name: array.copy() for name, array in model.arrays.items()}
    # One input that is never on beside a weight so large that all others of its row become nothing.
    arrays["projection"][:, 0] = 1000
    arrays["cells.0.recurrent"][3 * H, :] = arrays["cells.0.input"][3 * H, :] = 0
    arrays["cells.0.bias"][3 * H] = -200
    broken = type(model)(arrays, cell="lstm", eos=EOS, context="post")
    shift = export(broken, tmp_path, tokens=stream())
    assert shift is not None
    assert abs(shift) > LARGEST_SHIFT
    assert not (tmp_path / FILE_NAME).exists()
    assert isinstance(speaker_of(broken, tmp_path), PlainSpeaker)


def test_an_artifact_with_the_step_of_another_network_is_refused(tmp_path: Path) -> None:
    tokenizer = WordTokenizer.learn([" ".join(f"w{i}" for i in range(V - 2))] * 2, vocabulary_size=V)
    assert tokenizer.vocabulary_size == V
    for eos, name in ((EOS, "own"), (EOS + 1, "other")):
        arrays = network().arrays
        model = type(network())(arrays, cell="lstm", eos=eos, context="post")
        (tmp_path / name).mkdir()
        export(model, tmp_path / name, tokens=stream())
    (tmp_path / "own" / FILE_NAME).write_bytes((tmp_path / "other" / FILE_NAME).read_bytes())
    with pytest.raises(ArtifactError, match="another network"):
        speaker_of(network(), tmp_path / "own")


def test_a_saved_artifact_is_loaded_to_speak_and_tells_its_size(tmp_path: Path) -> None:
    tokenizer = WordTokenizer.learn([" ".join(f"w{i}" for i in range(V - 2))] * 2, vocabulary_size=V)
    index = CorpusIndex.of(["one two three"])
    artifact.save(
        tmp_path / "a",
        family="recurrent",
        model=network(),
        tokenizer=tokenizer,
        corpus_index=index,
        config={},
        held_out=stream(),
    )
    served = load(tmp_path / "a")
    assert isinstance(served.voice.speaker, QuantizedRecurrent)
    assert abs(served.config["int8_perplexity_shift"]) <= LARGEST_SHIFT
    assert served.corpus_index.holds("One  two three")
    step, weights = (tmp_path / "a" / name for name in (FILE_NAME, "recurrent.safetensors"))
    files = sum(file.stat().st_size for file in (tmp_path / "a").iterdir())
    assert served.size_bytes == files + step.stat().st_size - weights.stat().st_size
    content = bytearray(step.read_bytes())
    content[len(content) // 2] ^= 1
    step.write_bytes(content)
    with pytest.raises(ArtifactError, match="is not what was written"):
        load(tmp_path / "a")


def _saved(model: Mixture, directory: Path) -> Path:
    model.save(directory)
    return directory
