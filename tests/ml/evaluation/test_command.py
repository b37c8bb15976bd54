"""`python -m ml evaluate` with all that can be asked of it."""

import json
import math
from pathlib import Path

import pytest

from ml import artifact
from ml.__main__ import FAILED, SUCCESS, main
from ml.models.kneser_ney import KneserNey
from ml.models.maximum_likelihood import MaximumLikelihood
from ml.text.corpus_index import CorpusIndex
from ml.text.tokenizers import learn_tokenizer
from ml.training import run as training


def kept(directory: Path, posts: list[str], *, order: int) -> Path:
    tokenizer = learn_tokenizer("subwords", posts, vocabulary_size=400)
    tokens = tokenizer.encode_posts(posts)
    model = KneserNey.fit(tokens, order=order, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos)
    artifact.save(
        directory,
        family="kneser-ney",
        model=model,
        tokenizer=tokenizer,
        corpus_index=CorpusIndex.of(posts),
        config={},
    )
    return directory


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    return kept(tmp_path_factory.mktemp("model") / "a", small_corpus[:250], order=4)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    path = tmp_path_factory.mktemp("file") / "posts.jsonl"
    path.write_text("".join(json.dumps({"text": post}) + "\n" for post in small_corpus[250:]))
    return path


@pytest.fixture(scope="module")
def learnt(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    """A trained mixture, small enough to be trained in a moment."""
    directory = tmp_path_factory.mktemp("learnt")
    small: dict[str, object] = {
        "model.hidden_size": 10,
        "model.embedding_size": 6,
        "text.vocabulary_size": 300,
        "training.columns": 4,
    }
    training.write_request(directory, training.Request(preset="lstm-kn5", seed=1, epochs=2, overrides=small))
    (directory / "posts.jsonl").write_text("".join(json.dumps({"text": post}) + "\n" for post in small_corpus[:250]))
    list(training.run(directory))
    return directory / training.ARTIFACT


def run(monkeypatch: pytest.MonkeyPatch, *arguments: object) -> int:
    monkeypatch.setattr("sys.argv", ["ml", *map(str, arguments)])
    return main()


def test_all_that_is_asked_comes_in_one_object(
    model: Path,
    file: Path,
    tmp_path: Path,
    small_corpus: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    worse = kept(tmp_path / "b", small_corpus[:250], order=1)
    options = ["--interval", "--against", worse, "--lengths", 40, "--calibration", "--surprisal", "--json"]
    assert run(monkeypatch, "evaluate", model, file, *options) == SUCCESS
    told = json.loads(capsys.readouterr().out)
    totals, costs = told["totals"], told["costs"]
    assert totals["perplexity"] == pytest.approx(math.exp(totals["nats"] / totals["tokens"]))
    assert told["posts"] == len(costs) == 50
    for name in ("nats", "tokens", "bytes"):
        assert sum(cost[name] for cost in costs) == pytest.approx(totals[name])
    assert [len(cost["surprisal"]) for cost in costs] == [cost["tokens"] for cost in costs]
    interval = told["intervals"]["bits_per_byte"]
    assert interval["low"] < totals["bits_per_byte"] < interval["high"]
    difference = told["against"]["comparison"]["difference"]
    assert difference == pytest.approx(totals["bits_per_byte"] - told["against"]["totals"]["bits_per_byte"])
    assert told["against"]["comparison"]["probability_better"] > 0.99
    assert told["lengths"]["sentences"] == 40
    assert told["calibration"]["tokens"] == totals["tokens"]


def test_all_that_is_asked_can_be_read(
    model: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--interval", "--against", model, "--lengths", 40, "--calibration", "--surprisal"]
    assert run(monkeypatch, "evaluate", model, file, *options) == SUCCESS
    told = capsys.readouterr().out
    for said in (
        "95% interval, by bootstrap over 50 posts",
        "+0.0000 bits/byte (95%: +0.0000 … +0.0000); better with probability 0.500",
        "Kolmogorov-Smirnov",
        "expected error",
        "post 50: ",
        "'<eos>'",
    ):
        assert said in told


def test_what_is_not_asked_is_not_told(
    model: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "evaluate", model, file, "--json") == SUCCESS
    assert json.loads(capsys.readouterr().out).keys() == {"posts", "totals"}


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--interval", "--seed", "-1"], "seed is -1"), (["--lengths", "0"], "0 sentences"), (["--lengths", "-5"], "-5")],
)
def test_what_cannot_be_measured_is_said(
    options: list[str],
    said: str,
    model: Path,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "evaluate", model, file, *options) == FAILED
    assert said in capsys.readouterr().err


def test_what_costs_infinitely_much_is_null_in_json_and_inf_to_read(
    tmp_path: Path, small_corpus: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tokenizer = learn_tokenizer("subwords", small_corpus, vocabulary_size=400)
    model = MaximumLikelihood.fit(
        tokenizer.encode_posts(small_corpus), order=2, vocabulary_size=tokenizer.vocabulary_size, eos=tokenizer.eos
    )
    artifact.save(
        tmp_path / "a",
        family="maximum-likelihood",
        model=model,
        tokenizer=tokenizer,
        corpus_index=CorpusIndex.of(small_corpus),
        config={},
    )
    (tmp_path / "posts.txt").write_text("ξένος\n")
    assert run(monkeypatch, "evaluate", tmp_path / "a", tmp_path / "posts.txt", "--json", "--surprisal") == SUCCESS
    told = json.loads(capsys.readouterr().out, parse_constant=pytest.fail)
    assert told["totals"]["perplexity"] is told["costs"][0]["nats"] is None
    assert run(monkeypatch, "evaluate", tmp_path / "a", tmp_path / "posts.txt") == SUCCESS
    assert "perplexity inf" in capsys.readouterr().out


def test_a_mixture_that_goes_on_learning_is_told_beside_itself_at_rest(
    learnt: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # Words of which the training knew nothing, again and again.
    for name in ("valid.txt", "test.txt"):
        (tmp_path / name).write_text("zwölf Boxkämpfer jagen Viktor\n" * 60)
    files = {path: path.read_bytes() for path in learnt.rglob("*") if path.is_file()}
    asked = ["evaluate", learnt, tmp_path / "test.txt", "--dynamic", tmp_path / "valid.txt", "--against", learnt]
    assert run(monkeypatch, *asked, "--json") == SUCCESS
    told = json.loads(capsys.readouterr().out)
    assert told["totals"]["bits_per_byte"] < 0.7 * told["against"]["totals"]["bits_per_byte"]
    assert told["against"]["comparison"]["probability_better"] == 1
    assert told["dynamic"]["learning_rate"] > 0
    assert {path: path.read_bytes() for path in learnt.rglob("*") if path.is_file()} == files
    assert run(monkeypatch, *asked) == SUCCESS
    assert "while learning on: gradient " in capsys.readouterr().out


@pytest.mark.parametrize("options", [["--lengths", "5"], ["--calibration"]])
def test_what_looks_at_a_model_at_rest_does_not_go_with_one_that_learns(
    options: list[str],
    learnt: Path,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(monkeypatch, "evaluate", learnt, file, "--dynamic", file, *options) == FAILED
    assert "at rest" in capsys.readouterr().err


def test_an_n_gram_model_has_nothing_that_goes_on_learning_and_no_gradient(
    model: Path, file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for asked in (["evaluate", model, file, "--dynamic", file], ["gradients", model, file]):
        assert run(monkeypatch, *asked) == FAILED
        assert "no recurrent network" in capsys.readouterr().err


def test_the_gradient_of_a_mixtures_network_is_printed_and_drawn(
    learnt: Path, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["gradients", learnt, file, "--steps", 12, "--places", 50]
    assert run(monkeypatch, *asked, "--json", "--plot", tmp_path / "plot.svg") == SUCCESS
    told = json.loads(capsys.readouterr().out)
    curve = told["layers"][0]["hidden"]
    assert told["cell"] == "lstm"
    assert [at["k"] for at in curve] == list(range(13))
    assert 0 < curve[12]["median"] < curve[1]["median"]
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert run(monkeypatch, *asked) == SUCCESS
    assert "with each step back" in capsys.readouterr().out
