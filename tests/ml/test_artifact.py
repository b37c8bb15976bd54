"""A model version on disk: it comes back as it was, and what is not what was written is refused."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ml import artifact
from ml.errors import ArtifactError
from ml.models.kneser_ney import KneserNey
from ml.models.mixture import Mixture
from ml.text.corpus_index import CorpusIndex
from ml.text.tokenizer import Tokenizer
from ml.text.tokenizers import learn_tokenizer

INDEX = CorpusIndex.of(["The mynah sings at night.", "Our gardener waits."])


@pytest.fixture(scope="module")
def tokenizer(small_corpus: list[str]) -> Tokenizer:
    return learn_tokenizer("subwords", small_corpus, vocabulary_size=300)


@pytest.fixture(scope="module")
def model(small_corpus: list[str], tokenizer: Tokenizer) -> KneserNey:
    tokens = tokenizer.encode_posts(small_corpus)
    return KneserNey.fit(tokens, order=3, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)


@pytest.fixture
def saved(tmp_path: Path, model: KneserNey, tokenizer: Tokenizer) -> Path:
    directory = tmp_path / "artifact"
    artifact.save(
        directory, family="kneser-ney", model=model, tokenizer=tokenizer, corpus_index=INDEX, config={"seed": 3}
    )
    return directory


def test_a_saved_artifact_is_model_and_tokenizer_together(
    saved: Path, model: KneserNey, tokenizer: Tokenizer, small_corpus: list[str]
) -> None:
    loaded = artifact.load(saved)
    tokens = loaded.tokenizer.encode_posts(small_corpus[:5])
    np.testing.assert_array_equal(tokens, tokenizer.encode_posts(small_corpus[:5]))
    np.testing.assert_array_equal(loaded.model.score(tokens), model.score(tokens))
    assert loaded.config["seed"] == 3
    assert loaded.config["parameters"] == model.parameters
    assert loaded.corpus_index.longest_run("a mynah sings at sea") == 3


def test_saving_again_replaces_what_was_there(saved: Path, model: KneserNey, tokenizer: Tokenizer) -> None:
    (saved / "left over").touch()
    artifact.save(saved, family="kneser-ney", model=model, tokenizer=tokenizer, corpus_index=INDEX, config={"seed": 4})
    assert artifact.load(saved).config["seed"] == 4
    assert not (saved / "left over").exists()
    assert [path.name for path in saved.parent.iterdir()] == ["artifact"]


@pytest.fixture
def nested(tmp_path: Path, model: KneserNey, tokenizer: Tokenizer) -> Path:
    """A model made of others, which lie in folders of their own."""
    directory = tmp_path / "nested"
    mixture = Mixture({"one": model, "two": model}, np.array([0.5, 0.5]))
    artifact.save(directory, family="mixture", model=mixture, tokenizer=tokenizer, corpus_index=INDEX, config={})
    return directory


def test_models_inside_a_model_come_back_and_are_checked(
    nested: Path, model: KneserNey, tokenizer: Tokenizer, small_corpus: list[str]
) -> None:
    tokens = tokenizer.encode_posts(small_corpus[:5])
    np.testing.assert_allclose(artifact.load(nested).model.score(tokens), model.score(tokens), atol=1e-5)
    flip_a_byte(nested / "two")
    with pytest.raises(ArtifactError, match="checksum differs"):
        artifact.load(nested)


def test_a_checksum_of_a_file_outside_is_no_reason_to_read_it(nested: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.safetensors").write_text("")
    alter(sha256={"../secret.safetensors": hashlib.sha256(b"").hexdigest()})(nested)
    with pytest.raises(ArtifactError, match=r"lacks \.\./secret"):
        artifact.load(nested)


def a_model_file(directory: Path) -> Path:
    return directory / "kneser_ney.safetensors"


def flip_a_byte(directory: Path) -> None:
    file = a_model_file(directory)
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(bytes(content))


def cut_short(directory: Path) -> None:
    file = a_model_file(directory)
    file.write_bytes(file.read_bytes()[:-100])


def remove_the_model(directory: Path) -> None:
    a_model_file(directory).unlink()


def remove_the_index(directory: Path) -> None:
    (directory / "corpus_index.safetensors").unlink()


def remove_the_tokenizer(directory: Path) -> None:
    (directory / "tokenizer.json").unlink()


def alter(**values: object) -> Callable[[Path], None]:
    def altered(directory: Path) -> None:
        file = directory / artifact.CONFIG
        file.write_text(json.dumps({**json.loads(file.read_text()), **values}))

    return altered


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        pytest.param(flip_a_byte, "checksum differs", id="altered"),
        pytest.param(cut_short, "checksum differs", id="cut short"),
        pytest.param(remove_the_model, "lacks kneser_ney.safetensors", id="without the model"),
        pytest.param(remove_the_index, "lacks corpus_index.safetensors", id="without the index"),
        pytest.param(remove_the_tokenizer, "lacks tokenizer.json", id="without the tokenizer"),
        pytest.param(alter(format=99), "another version", id="of another format"),
        pytest.param(alter(format=1), "another version", id="of the format without an index"),
        pytest.param(alter(family="oracle"), "unknown make", id="of an unknown family"),
        pytest.param(alter(sha256={}), "no checksum", id="without checksums"),
        pytest.param(
            lambda directory: (directory / artifact.CONFIG).write_text("{"), "cannot be read", id="broken config"
        ),
        pytest.param(lambda directory: (directory / artifact.CONFIG).unlink(), "cannot be read", id="without config"),
    ],
)
def test_an_artifact_that_is_not_what_was_written_is_refused(
    saved: Path, spoil: Callable[[Path], object], said: str
) -> None:
    spoil(saved)
    with pytest.raises(ArtifactError, match=said) as refused:
        artifact.load(saved)
    assert artifact.ADVICE in str(refused.value)


def test_a_model_over_other_tokens_than_its_tokenizers_is_refused(
    tmp_path: Path, model: KneserNey, small_corpus: list[str]
) -> None:
    other = learn_tokenizer("words", small_corpus, vocabulary_size=50)
    artifact.save(tmp_path / "a", family="kneser-ney", model=model, tokenizer=other, corpus_index=INDEX, config={})
    with pytest.raises(ArtifactError, match="tokens and a tokenizer of"):
        artifact.load(tmp_path / "a")


def test_a_directory_that_does_not_exist_holds_no_model(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="holds no model"):
        artifact.load(tmp_path / "nowhere")
