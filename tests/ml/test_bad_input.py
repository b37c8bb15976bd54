"""Bad input, through the doors that others use: a typed error that says what to do, or a model that works.

Never a traceback from torch, numpy or json, and never a model that silently speaks nonsense.
"""

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from ml import artifact
from ml.__main__ import FAILED, SUCCESS, main
from ml.errors import ArtifactError, ConfigError, CorpusError, CorpusTooSmall, Interrupted, TrainingDiverged
from ml.preset import CELLS
from ml.serving import loading
from ml.training import checkpoint, events, run

TINY: dict[str, object] = {
    "model.hidden_size": 6,
    "model.embedding_size": 4,
    "text.vocabulary_size": 300,
    "training.columns": 4,
    "training.window": 10,
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Networks this small are slower on two threads than on one."""
    torch.set_num_threads(1)


def prepare(
    directory: Path,
    posts: Sequence[str] | None = None,
    *,
    preset_name: str = "lstm-kn5",
    overrides: dict[str, object] | None = None,
    **request: Any,
) -> Path:
    """A training's directory as the service makes one; without posts the caller puts files into it."""
    directory.mkdir(parents=True, exist_ok=True)
    tiny = {} if preset_name == "kneser-ney" else TINY
    content = {"preset": preset_name, "seed": 1, "epochs": 1, "overrides": {**tiny, **(overrides or {})}, **request}
    (directory / run.REQUEST).write_text(json.dumps(content))
    if posts is not None:
        (directory / "posts.jsonl").write_text("".join(json.dumps({"text": post}) + "\n" for post in posts))
    return directory


def fixed(directory: Path, train: Sequence[str], valid: Sequence[str], test: Sequence[str]) -> Path:
    for name, posts in (("train", train), ("valid", valid), ("test", test)):
        (directory / f"{name}.txt").write_text("".join(f"{post}\n" for post in posts))
    return directory


def trained(directory: Path) -> list[events.Event]:
    """Train to the end; what comes of it has to be sound."""
    happened = list(run.run(directory))
    assert isinstance(happened[-1], events.Finished)
    for event in happened:
        if isinstance(event, events.Evaluated):
            assert np.isfinite([event.nats, event.perplexity, event.bits_per_byte]).all()
            assert event.tokens > 0
    return happened


def train(directory: Path) -> artifact.Artifact:
    trained(directory)
    return artifact.load(directory / run.ARTIFACT)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["ml", *map(str, arguments)])
    return main()


def assert_speaks(directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert command(monkeypatch, "sample", directory / run.ARTIFACT, "-n", 3, "--max-characters", 100_000) == SUCCESS
    assert capsys.readouterr().out.strip()


# Corpora


@pytest.mark.parametrize("preset_name", ["kneser-ney", "lstm-kn5"])
@pytest.mark.parametrize(
    "posts",
    [
        pytest.param([], id="no post"),
        pytest.param(["the mynah sings"], id="one post"),
        pytest.param(["the mynah sings"] * 500, id="one post again and again"),
        pytest.param(["", " ", "\n\n", "\u200b"] * 50, id="nothing to see"),
        pytest.param([f"RT @somebody: {number}" for number in range(100)], id="somebody else's"),
    ],
)
def test_a_corpus_with_too_little_in_it_says_how_much_is_needed(
    preset_name: str, posts: list[str], tmp_path: Path
) -> None:
    with pytest.raises(CorpusTooSmall, match=r"at least 50 are needed. Add more posts"):
        train(prepare(tmp_path, posts, preset_name=preset_name))


@pytest.mark.parametrize("empty", ["train", "valid", "test"])
def test_an_empty_split_is_named(empty: str, tmp_path: Path) -> None:
    fixed(prepare(tmp_path), ["a b a b"], ["a b"], ["b a"])
    (tmp_path / f"{empty}.txt").write_text("\n \n")
    with pytest.raises(CorpusTooSmall, match=f"The {empty} split is empty"):
        train(tmp_path)


@pytest.mark.parametrize("tokenizer", ["words", "subwords"])
@pytest.mark.parametrize("preset_name", ["kneser-ney", "elman", "lstm-kn5"])
def test_splits_of_one_post_each_are_learnt_from(
    preset_name: str,
    tokenizer: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    prepare(tmp_path, preset_name=preset_name, overrides={"text.tokenizer": tokenizer})
    train(fixed(tmp_path, ["so so so"], ["so"], ["so what"]))
    if preset_name == "kneser-ney" or tokenizer == "words":  # of bytes a network that has seen one post says anything
        assert_speaks(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("preset_name", ["kneser-ney", "lstm-kn5"])
def test_posts_of_one_token_are_learnt_from(
    preset_name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train(prepare(tmp_path, [chr(number) for number in range(0x4E00, 0x4E00 + 120)], preset_name=preset_name))
    assert_speaks(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("preset_name", ["kneser-ney", "lstm-kn5"])
def test_posts_of_more_than_ten_thousand_tokens_are_learnt_from(
    preset_name: str,
    tmp_path: Path,
    small_corpus: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["rain", "sun", "boat", "radio", "city"]
    long = [" ".join(np.random.default_rng(seed).choice(words, size=10_500)) for seed in range(3)]
    prepare(tmp_path, preset_name=preset_name, overrides={"text.tokenizer": "words"})
    loaded = train(fixed(tmp_path, [*long[:1], *small_corpus], [long[1]], [long[2]]))
    assert len(loaded.tokenizer.encode(long[0])) == 10_500
    assert_speaks(tmp_path, monkeypatch, capsys)


@pytest.mark.parametrize("preset_name", ["kneser-ney", "lstm-kn5"])
@pytest.mark.parametrize(
    ("posts", "size"),
    [
        pytest.param([f"once{number}" for number in range(100)], 8000, id="no word seen twice"),
        pytest.param(["so so so"] * 3, 2, id="no room for a word"),
        pytest.param(["<unk> <unk>"] * 3, 8000, id="nothing but <unk>"),
    ],
)
def test_a_vocabulary_in_which_there_is_nothing_to_say_is_refused(
    preset_name: str, posts: list[str], size: int, tmp_path: Path
) -> None:
    overrides: dict[str, object] = {"text.tokenizer": "words", "text.vocabulary_size": size}
    prepare(tmp_path, preset_name=preset_name, overrides=overrides)
    with pytest.raises((CorpusTooSmall, ConfigError), match=r"(?i)word"):
        train(fixed(tmp_path, posts, posts, posts))


# Files


@pytest.mark.parametrize(
    ("content", "said"),
    [
        pytest.param("Grüße".encode("latin-1"), "not UTF-8", id="Latin-1"),
        pytest.param("Grüße\n".encode("utf-16"), "zero bytes", id="UTF-16"),
        pytest.param("plain\n".encode("utf-16-le"), "zero bytes", id="UTF-16 without its mark"),
        pytest.param("plain\n".encode("utf-32-be"), "zero bytes", id="UTF-32 without its mark"),
        pytest.param(bytes(range(128, 256)), "not UTF-8", id="no text"),
    ],
)
def test_an_encoding_that_cannot_be_read_is_named_with_its_line(content: bytes, said: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "posts.txt").write_bytes(b"fine\n" + content)
    with pytest.raises(CorpusError, match=rf"posts\.txt, line 2: .*{said}.* UTF-8"):
        train(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        pytest.param("[" * 200_000, id="nested without end"),
        pytest.param('{"text": ' + "[" * 200_000, id="nested inside"),
        pytest.param("1" * 10_000, id="a number of ten thousand digits"),
        pytest.param('{"text": NaN}', id="no text"),
        pytest.param("null", id="null"),
    ],
)
def test_json_that_is_no_post_is_named_with_its_line(line: str, tmp_path: Path) -> None:
    prepare(tmp_path)
    (tmp_path / "posts.jsonl").write_text('{"text": "fine"}\n' + line + "\n")
    with pytest.raises(CorpusError, match=r"posts\.jsonl, line 2: "):
        train(tmp_path)


def test_a_corpus_that_is_a_folder_cannot_be_read(tmp_path: Path) -> None:
    (prepare(tmp_path) / "posts.jsonl").mkdir()
    with pytest.raises(CorpusError, match="cannot be read"):
        train(tmp_path)


# Requests


@pytest.mark.parametrize(
    "request_",
    [
        {"epochs": 0},
        {"epochs": -3},
        {"epochs": 2.5},
        {"epochs": True},
        {"epochs": 10**18},
        {"minutes": 0},
        {"minutes": -1},
        {"minutes": float("nan")},
        {"minutes": float("inf")},
        {"minutes": "ten"},
        {"minutes": True},
        {"seed": -1},
        {"seed": 2**70},
        {"seed": 1.5},
        {"seed": None},
        {"champion": 5},
        {"base": ["here"]},
        {"overrides": [1]},
        {"overrides": None},
        {"preset": None},
        {"preset": ["lstm"]},
        {"colour": "red"},
    ],
    ids=str,
)
def test_a_request_that_makes_no_sense_is_refused(
    request_: dict[str, Any], tmp_path: Path, small_corpus: list[str]
) -> None:
    prepare(tmp_path, small_corpus)
    content = json.loads((tmp_path / run.REQUEST).read_text())
    (tmp_path / run.REQUEST).write_text(json.dumps({**content, **request_}))
    with pytest.raises(ConfigError, match=next(iter(request_))):
        train(tmp_path)


@pytest.mark.parametrize(
    "content", ["", "[]", "null", '"lstm"', pytest.param("[" * 100_000, id="nested without end"), "\udcff"]
)
def test_a_request_that_is_none_is_refused(content: str, tmp_path: Path, small_corpus: list[str]) -> None:
    prepare(tmp_path, small_corpus)
    (tmp_path / run.REQUEST).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match="cannot be read as a request"):
        train(tmp_path)


@pytest.mark.parametrize(
    "overrides",
    [
        {"training.columns": 10**9},
        {"training.window": 10**9},
        {"training.columns": 1, "training.window": 1, "text.tokenizer": "words"},
    ],
    ids=str,
)
def test_columns_and_windows_beyond_the_corpus_fit_themselves_to_it(
    overrides: dict[str, object], tmp_path: Path
) -> None:
    prepare(tmp_path, preset_name="lstm", overrides=overrides)
    loaded = train(fixed(tmp_path, ["so so so"] * 20, ["so"], ["so so"]))
    costs = loaded.model.score(loaded.tokenizer.encode_posts(["so so so"]))
    assert len(costs) > 1
    assert np.isfinite(costs).all()


@pytest.mark.parametrize(
    "overrides",
    [
        {"text.vocabulary_size": 0},
        {"text.vocabulary_size": -300},
        {"text.vocabulary_size": 1, "text.tokenizer": "words"},
        {"text.vocabulary_size": 2**62},
        {"training.learning_rate": float("nan")},
        {"training.weight_decay": float("nan")},
        {"training.weight_decay": -1.0},
        {"training.clip": float("nan")},
        {"training.columns": 0},
    ],
    ids=str,
)
def test_a_recipe_with_absurd_numbers_is_refused_by_name(
    overrides: dict[str, object], tmp_path: Path, small_corpus: list[str]
) -> None:
    with pytest.raises(ConfigError, match=next(iter(overrides)).rpartition(".")[2]):
        train(prepare(tmp_path, small_corpus, overrides=overrides))


@pytest.mark.parametrize("epochs", [1, 3])
@pytest.mark.parametrize("cell", CELLS)
def test_a_training_that_explodes_says_what_to_change(cell: str, epochs: int, tmp_path: Path) -> None:
    overrides: dict[str, object] = {
        "training.learning_rate": 1e30,
        "model.cell": cell,
        "dropout.weight": 0.0,  # some cells have no matrix to drop weights of
        "text.tokenizer": "words",
    }
    prepare(tmp_path, preset_name="lstm", overrides=overrides, epochs=epochs)
    # One step an epoch: with one epoch there is no second loss that would show it, only the validation.
    fixed(tmp_path, ["so so so what what"] * 5, ["what what what", "so what so what"], ["what so"])
    with pytest.raises(TrainingDiverged, match=r"smaller training\.learning_rate"):
        train(tmp_path)
    assert not (tmp_path / run.ARTIFACT).exists()


@pytest.mark.parametrize(
    "options",
    [
        ("--temperature", "nan"),
        ("--temperature", "inf"),
        ("--temperature", "-1"),
        ("--top-k", "0"),
        ("--top-p", "0"),
        ("--top-p", "nan"),
        ("--max-characters", "0"),
        ("--seed", "-1"),
        ("-n", "-1"),
        ("--prompt", "x" * 300),
    ],
)
def test_controls_that_make_no_sense_are_refused(
    options: tuple[str, str], kept: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "sample", kept, *options) == FAILED
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.splitlines()) == 1


# Artifacts


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    """A mixture: it has every kind of file."""
    torch.set_num_threads(1)
    directory = prepare(tmp_path_factory.mktemp("kept"), small_corpus)
    train(directory)
    return directory / run.ARTIFACT


@pytest.fixture
def spoilt(kept: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copytree(kept, tmp_path / "spoilt"))


NGRAMS, NETWORK = "kneser-ney/kneser_ney.safetensors", "recurrent/recurrent.safetensors"
STEP, INDEX = "recurrent/step.onnx", "corpus_index.safetensors"
FILES = ["config.json", INDEX, NGRAMS, "mixture.json", NETWORK, STEP, "tokenizer.json"]


def with_true_checksums(directory: Path) -> Path:
    """What someone would leave who meddles with a model and mends its checksums."""
    config = json.loads((directory / artifact.CONFIG).read_text())
    config["sha256"] = {
        name: hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in FILES if name != artifact.CONFIG
    }
    (directory / artifact.CONFIG).write_text(json.dumps(config))
    return directory


def test_an_artifact_has_these_files(kept: Path) -> None:
    assert sorted(file.relative_to(kept).as_posix() for file in kept.rglob("*") if file.is_file()) == FILES


@pytest.mark.parametrize("name", FILES)
def test_an_artifact_without_one_of_its_files_is_refused(name: str, spoilt: Path) -> None:
    (spoilt / name).unlink()
    with pytest.raises(ArtifactError, match=f"{name}.*Train this model again"):
        artifact.load(spoilt)


@pytest.mark.parametrize("true_checksums", [False, True])
@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", FILES)
def test_an_artifact_cut_short_is_refused(name: str, share: float, true_checksums: bool, spoilt: Path) -> None:
    file = spoilt / name
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    if true_checksums and name != artifact.CONFIG:
        with_true_checksums(spoilt)
    with pytest.raises(ArtifactError):
        loading.load(spoilt)


@pytest.mark.parametrize("name", [STEP, NETWORK])
def test_a_file_that_nobody_answers_for_is_not_read(name: str, spoilt: Path) -> None:
    config = json.loads((spoilt / artifact.CONFIG).read_text())
    del config["sha256"][name]
    (spoilt / artifact.CONFIG).write_text(json.dumps(config))
    with pytest.raises(ArtifactError, match=f"no checksum of {name}"):
        artifact.load(spoilt)


@pytest.mark.parametrize("name", [NETWORK, NGRAMS])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_refused_although_the_checksum_is_right(
    name: str, value: float, spoilt: Path
) -> None:
    for key, array in load_file(spoilt / name).items():
        if array.dtype != np.float32:
            continue
        arrays = {**load_file(spoilt / name)}
        arrays[key] = array.copy()
        arrays[key].flat[array.size // 2] = value
        whole = (spoilt / name).read_bytes()
        save_file(arrays, spoilt / name, metadata=metadata_of(spoilt / name))
        with pytest.raises(ArtifactError, match="finite"):
            artifact.load(with_true_checksums(spoilt))
        (spoilt / name).write_bytes(whole)
    artifact.load(with_true_checksums(spoilt))


def metadata_of(file: Path) -> dict[str, str]:
    content = file.read_bytes()
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def test_weights_too_large_to_reckon_with_are_refused(spoilt: Path) -> None:
    file = spoilt / NETWORK
    arrays = load_file(file)
    for name in ("embedding", "projection"):
        arrays[name] = np.sign(arrays[name]) * np.float32(3e38)
    save_file(arrays, file, metadata=metadata_of(file))
    with pytest.raises(ArtifactError, match="sum to nan, not to 1"):
        artifact.load(with_true_checksums(spoilt))


def weighted(content: dict[str, Any], *weights: object) -> list[dict[str, Any]]:
    return [{**part, "weight": weight} for part, weight in zip(content["components"], weights, strict=True)]


LIES: list[tuple[str, Callable[[dict[str, Any]], object]]] = [
    ("config.json", lambda content: {**content, "format": 3}),
    ("config.json", lambda content: {**content, "format": "2"}),
    ("config.json", lambda content: {**content, "format": True}),
    ("config.json", lambda content: {**content, "family": "kneser-ney", "sha256": {}}),
    ("config.json", lambda content: {**content, "family": ["mixture"]}),
    ("config.json", lambda content: {**content, "family": None}),
    ("config.json", lambda content: {**content, "sha256": {"../config.json": "0"}}),
    ("config.json", lambda content: {**content, "sha256": {**content["sha256"], "/etc/passwd": "0"}}),
    ("config.json", lambda content: {**content, "sha256": dict.fromkeys(content["sha256"], 5)}),
    ("config.json", lambda content: {**content, "sha256": dict.fromkeys(content["sha256"])}),
    (
        "config.json",
        lambda content: {**content, "sha256": {n: d for n, d in content["sha256"].items() if n != "mixture.json"}},
    ),
    (
        "config.json",
        lambda content: {**content, "sha256": {n: d for n, d in content["sha256"].items() if n != "tokenizer.json"}},
    ),
    ("config.json", lambda _content: []),
    ("config.json", lambda _content: None),
    ("tokenizer.json", lambda content: {**content, "format": 2}),
    ("tokenizer.json", lambda content: {**content, "kind": "words"}),
    ("tokenizer.json", lambda content: {**content, "kind": ["words"]}),
    ("tokenizer.json", lambda content: {**content, "kind": "bytes"}),
    ("tokenizer.json", lambda content: {**content, "subwords": content["subwords"][:-1]}),
    ("tokenizer.json", lambda content: {**content, "subwords": content["subwords"][1:]}),
    ("tokenizer.json", lambda content: {**content, "subwords": [*content["subwords"], 5]}),
    ("tokenizer.json", lambda content: {**content, "subwords": [*content["subwords"], content["subwords"][0]]}),
    ("tokenizer.json", lambda content: {**content, "merges": [["x", "never"]]}),
    ("tokenizer.json", lambda content: {**content, "merges": {"x": "y"}}),
    ("tokenizer.json", lambda _content: [5]),
    ("mixture.json", lambda content: {**content, "format": 1}),
    ("mixture.json", lambda content: {**content, "components": weighted(content, 0.7, 0.7)}),
    ("mixture.json", lambda content: {**content, "components": weighted(content, float("nan"), 1)}),
    ("mixture.json", lambda content: {**content, "components": weighted(content, 10**400, 0)}),
    ("mixture.json", lambda content: {**content, "components": weighted(content, "half", "half")}),
    ("mixture.json", lambda content: {**content, "components": content["components"][::-1] * 2}),
    ("mixture.json", lambda content: {**content, "components": [{**content["components"][0], "name": "../a"}]}),
    ("mixture.json", lambda content: {**content, "components": [{**content["components"][0], "family": "mixture"}]}),
    ("mixture.json", lambda content: {**content, "components": [{**content["components"][0], "family": ["x"]}]}),
    ("mixture.json", lambda content: {**content, "components": {"recurrent": 1}}),
    ("mixture.json", lambda content: {**content, "components": []}),
    ("mixture.json", lambda _content: {}),
    ("mixture.json", lambda _content: "weights"),
]


@pytest.mark.parametrize(("name", "lie"), LIES)
def test_json_that_lies_is_refused_although_its_checksum_is_right(
    name: str, lie: Callable[[dict[str, Any]], object], spoilt: Path
) -> None:
    file = spoilt / name
    file.write_text(json.dumps(lie(json.loads(file.read_text()))))
    if name != artifact.CONFIG:
        with_true_checksums(spoilt)
    with pytest.raises(ArtifactError):
        artifact.load(spoilt)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "mixture.json"])
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"\xff\xfe", id="no text"),
        pytest.param(b"[" * 100_000, id="nested without end"),
        pytest.param(b"", id="empty"),
        pytest.param(b'{"format": ' + b"9" * 10_000 + b"}", id="a number of ten thousand digits"),
    ],
)
def test_json_that_is_none_is_refused(name: str, content: bytes, spoilt: Path) -> None:
    (spoilt / name).write_bytes(content)
    if name != artifact.CONFIG:
        with_true_checksums(spoilt)
    with pytest.raises(ArtifactError):
        artifact.load(spoilt)


@pytest.mark.parametrize("name", [NETWORK, NGRAMS])
@pytest.mark.parametrize(
    "change",
    [
        {"format": "99"},
        {"format": None},
        {"eos": "-1"},
        {"eos": "999999"},
        {"eos": "one"},
        {"eos": None},
        {"cell": "oracle", "order": "99"},
        {"cell": None, "order": None},
        {"order": "x", "cell": ""},
        {"order": "-1", "cell": "elman"},
    ],
    ids=str,
)
def test_a_weights_file_that_lies_of_itself_is_refused(name: str, change: dict[str, str | None], spoilt: Path) -> None:
    file = spoilt / name
    told = {key: value for key, value in {**metadata_of(file), **change}.items() if value is not None}
    save_file(load_file(file), file, metadata=told)
    with pytest.raises(ArtifactError):
        artifact.load(with_true_checksums(spoilt))


def test_models_that_close_posts_with_different_tokens_are_not_mixed(spoilt: Path) -> None:
    file = spoilt / NETWORK
    save_file(load_file(file), file, metadata={**metadata_of(file), "eos": "3"})
    with pytest.raises(ArtifactError, match="closes posts with token 3"):
        artifact.load(with_true_checksums(spoilt))


def test_a_file_is_no_artifact(tmp_path: Path) -> None:
    (tmp_path / "model").write_text("hello")
    with pytest.raises(ArtifactError, match="holds no model"):
        artifact.load(tmp_path / "model")


# Checkpoints


@pytest.fixture
def interrupted(tmp_path: Path, small_corpus: list[str]) -> Path:
    """A training that was stopped after some steps."""
    directory = prepare(tmp_path / "training", small_corpus, epochs=2)
    looks = iter(range(1000))
    with pytest.raises(Interrupted):
        list(run.run(directory, stop=lambda: next(looks) >= 5))
    assert (directory / run.CHECKPOINT / checkpoint.FILE_NAME).exists()
    return directory


@pytest.mark.parametrize("share", [0.0, 0.001, 0.2, 0.5, 0.9, 0.999])
def test_a_checkpoint_cut_short_is_begun_anew(share: float, interrupted: Path) -> None:
    file = interrupted / run.CHECKPOINT / checkpoint.FILE_NAME
    file.write_bytes(file.read_bytes()[: int(file.stat().st_size * share)])
    happened = trained(interrupted)
    assert [event.epoch for event in happened if isinstance(event, events.Epoch)] == [1, 2]


@pytest.mark.parametrize(
    "change",
    [
        {"model.hidden_size": 8},
        {"model.embedding_size": 6},
        {"model.layers": 2},
        {"model.tied": False},
        {"model.cell": "elman"},
        {"text.vocabulary_size": 270},
        {"text.tokenizer": "words"},
        {"training.columns": 5},
    ],
    ids=str,
)
def test_a_checkpoint_of_another_recipe_is_begun_anew(
    change: dict[str, object], interrupted: Path, small_corpus: list[str]
) -> None:
    prepare(interrupted, small_corpus, overrides=change, epochs=2)
    happened = trained(interrupted)
    assert [event.epoch for event in happened if isinstance(event, events.Epoch)] == [1, 2]


def test_a_checkpoint_of_another_corpus_is_begun_anew(interrupted: Path, small_corpus: list[str]) -> None:
    (interrupted / "posts.jsonl").write_text(
        "".join(json.dumps({"text": post.upper() + " yes"}) + "\n" for post in small_corpus)
    )
    happened = trained(interrupted)
    assert [event.epoch for event in happened if isinstance(event, events.Epoch)] == [1, 2]


def test_weights_of_a_checkpoint_that_are_no_numbers_are_not_trained_on(interrupted: Path) -> None:
    from safetensors.torch import load_file as load_tensors
    from safetensors.torch import save_file as save_tensors

    file = interrupted / run.CHECKPOINT / checkpoint.FILE_NAME
    tensors = load_tensors(file)
    key = next(name for name in tensors if name.startswith("network."))
    tensors[key] = torch.full_like(tensors[key], float("nan"))
    save_tensors(tensors, file, metadata=metadata_of(file))
    with pytest.raises(TrainingDiverged):
        train(interrupted)


# Results


@pytest.mark.parametrize("content", ["", "{", "\udcff", '{"event": "finished"}\n'], ids=ascii)
def test_results_that_cannot_be_read_are_no_traceback(content: str, kept: Path, tmp_path: Path) -> None:
    directory = prepare(tmp_path, ["x"])
    shutil.copytree(kept, directory / run.ARTIFACT)
    (directory / run.RESULTS).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(ConfigError, match=r"results\.jsonl .*Remove it to train again"):
        list(run.run(directory))
