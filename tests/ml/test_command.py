"""`python -m ml` as others run it: a process, its lines and its exit code."""

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ml import artifact
from ml.training import events, run

TINY: dict[str, object] = {
    "model.hidden_size": 12,
    "model.embedding_size": 8,
    "text.vocabulary_size": 300,
    "training.columns": 4,
    "training.window": 10,
    "training.patience": 100,
}
# Networks this small are slower on two threads than on one.
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}


def ml(*arguments: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "ml", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd, env=ENVIRONMENT)


def prepare(directory: Path, posts: Sequence[str], *, request: run.Request) -> Path:
    """A directory as the service prepares it."""
    run.write_request(directory, request)
    (directory / "posts.jsonl").write_text("".join(json.dumps({"text": post}) + "\n" for post in posts))
    return directory


def told(output: str) -> list[events.Event]:
    return [events.from_line(line) for line in output.splitlines()]


def evaluated(happened: Sequence[events.Event]) -> dict[tuple[str, str], events.Evaluated]:
    return {(event.model, event.split): event for event in happened if isinstance(event, events.Evaluated)}


def request_of(preset_name: str, *, epochs: int | None = None, champion: Path | None = None) -> run.Request:
    overrides = TINY if preset_name in {"elman", "lstm", "lstm-kn5"} else {}
    return run.Request(
        preset=preset_name,
        seed=1,
        epochs=epochs,
        champion=None if champion is None else str(champion),
        overrides=overrides,
    )


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Path:
    """The directory of a finished n-gram training."""
    directory = prepare(tmp_path_factory.mktemp("counted"), small_corpus, request=request_of("kneser-ney"))
    assert ml("train", directory).returncode == 0
    return directory


def test_a_training_tells_its_start_its_scores_and_its_end(tmp_path: Path, small_corpus: list[str]) -> None:
    directory = prepare(tmp_path, small_corpus, request=request_of("kneser-ney"))
    done = ml("train", directory, "--json", "--die-with-parent")
    assert (done.returncode, done.stderr) == (0, "")
    happened = told(done.stdout)
    assert isinstance(happened[0], events.Started)
    assert list(evaluated(happened)) == [("candidate", "train"), ("candidate", "valid"), ("candidate", "test")]
    last = happened[-1]
    assert isinstance(last, events.Finished)
    assert artifact.load(directory / last.artifact).model.parameters == last.parameters


def test_counting_n_grams_never_imports_torch(tmp_path: Path, small_corpus: list[str]) -> None:
    prepare(tmp_path, small_corpus, request=request_of("kneser-ney"))
    program = (
        "import sys; from pathlib import Path; from ml import __main__; from ml.training import run;"
        " list(run.run(Path(sys.argv[1]))); sys.exit('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_finished_training_tells_its_results_again(counted: Path) -> None:
    first, again = ml("train", counted), ml("train", counted)
    assert first.stdout == again.stdout
    assert [type(event) for event in told(again.stdout)] == [events.Evaluated] * 3 + [events.Finished]


@pytest.mark.parametrize("preset_name", ["elman", "lstm", "lstm-kn5"])
def test_a_recurrent_preset_trains_and_meets_the_champion(
    preset_name: str, tmp_path: Path, small_corpus: list[str], counted: Path
) -> None:
    request = request_of(preset_name, epochs=2, champion=counted / "artifact")
    done = ml("train", prepare(tmp_path, small_corpus, request=request))
    assert (done.returncode, done.stderr) == (0, "")
    happened = told(done.stdout)
    assert [event.epoch for event in happened if isinstance(event, events.Epoch)] == [1, 2]
    champion = evaluated(happened)["champion", "valid"]
    candidate = evaluated(happened)["candidate", "valid"]
    assert champion.bytes == candidate.bytes
    before = evaluated(told((counted / run.RESULTS).read_text()))["candidate", "valid"]
    assert champion.nats == pytest.approx(before.nats)
    assert not (tmp_path / "checkpoint").exists()


# Long enough that a signal after the second epoch comes before the end, on a machine that is busy too.
MANY_EPOCHS = 25


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, small_corpus: list[str]) -> Sequence[events.Event]:
    """What a training told that nothing cut."""
    request = request_of("lstm", epochs=MANY_EPOCHS)
    done = ml("train", prepare(tmp_path_factory.mktemp("whole"), small_corpus, request=request))
    assert done.returncode == 0
    return told(done.stdout)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 143)])
def test_a_training_ended_by_a_signal_goes_on_to_the_same_result(
    number: signal.Signals, code: int, tmp_path: Path, small_corpus: list[str], whole: Sequence[events.Event]
) -> None:
    directory = prepare(tmp_path, small_corpus, request=request_of("lstm", epochs=MANY_EPOCHS))
    command = [sys.executable, "-m", "ml", "train", str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as child:
        assert child.stdout is not None
        # The checkpoint of the first epoch is written before the second begins.
        for line in child.stdout:
            event = events.from_line(line)
            if isinstance(event, events.Epoch) and event.epoch == 2:
                break
        child.send_signal(number)
        child.communicate()
    assert child.returncode == code
    resumed = ml("train", directory)
    assert resumed.returncode == 0
    epochs = [event.epoch for event in told(resumed.stdout) if isinstance(event, events.Epoch)]
    assert epochs == list(range(epochs[0], MANY_EPOCHS + 1))
    assert epochs[0] > 1
    assert evaluated(told(resumed.stdout)) == evaluated(whole)


@pytest.mark.parametrize(
    ("posts", "reason"),
    [
        ([], "corpus-too-small"),
        (["hello"] * 100, "corpus-too-small"),
        (["", " ", "https://t.co/x"], "corpus-too-small"),
    ],
)
def test_too_few_posts_fail_with_their_type(posts: list[str], reason: str, tmp_path: Path) -> None:
    done = ml("train", prepare(tmp_path, posts, request=request_of("lstm")))
    assert (done.returncode, done.stderr) == (2, "")
    (failed,) = told(done.stdout)
    assert isinstance(failed, events.Failed)
    assert failed.type == reason
    assert "Add more posts" in failed.detail


def test_a_model_inside_a_cache_is_kept_scored_and_spoken_from(tmp_path: Path, small_corpus: list[str]) -> None:
    (tmp_path / "posts.jsonl").write_text("".join(json.dumps({"text": post}) + "\n" for post in small_corpus))
    options = ("--corpus", tmp_path / "posts.jsonl", "--preset", "kneser-ney", "--cache", "unigram")
    done = ml("train", tmp_path / "training", *options)
    assert (done.returncode, done.stderr) == (0, "")
    artifact_folder = tmp_path / "training" / "artifact"
    assert json.loads((artifact_folder / "config.json").read_text())["family"] == "unigram-cache"
    said = ml("sample", artifact_folder, "-n", 3)
    assert (said.returncode, said.stderr) == (0, "")
    (artifact_folder / "model" / "kneser_ney.safetensors").unlink()
    assert "lacks model/kneser_ney.safetensors" in ml("sample", artifact_folder).stderr


@pytest.mark.parametrize(
    ("cache", "family", "lies_at"),
    [
        ("unigram", "unigram-cache", "model/mixture.json"),
        ("continuous", "mixture", "recurrent/continuous_cache.json"),
    ],
)
def test_a_recurrent_preset_is_given_a_cache(
    cache: str, family: str, lies_at: str, tmp_path: Path, small_corpus: list[str]
) -> None:
    """The unigram cache goes around the mixture, the continuous one around the network in it."""
    request = run.Request(preset="lstm-kn5", seed=1, epochs=1, overrides={**TINY, "cache.kind": cache})
    assert ml("train", prepare(tmp_path, small_corpus, request=request)).returncode == 0
    config = json.loads((tmp_path / "artifact" / "config.json").read_text())
    assert config["family"] == family
    assert lies_at in config["sha256"]
    assert ml("sample", tmp_path / "artifact", "-n", 2).returncode == 0


@pytest.mark.parametrize("preset_name", ["unigram", "bigram"])
def test_what_a_model_rules_out_costs_it_infinitely_much(
    preset_name: str, tmp_path: Path, small_corpus: list[str]
) -> None:
    """The test posts hold a word that no other post does; every line stays JSON, and the model speaks all the same."""
    files = []
    for number, name in enumerate(("train", "valid", "test")):
        posts = small_corpus[number * 100 : (number + 1) * 100] if name != "test" else ["ξένος"]
        (tmp_path / f"{name}.txt").write_text("\n".join(post.replace("\n", " ") for post in posts) + "\n")
        files += [f"--{name}", tmp_path / f"{name}.txt"]
    done = ml("train", tmp_path / "training", *files, "--preset", preset_name, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    for line in done.stdout.splitlines():
        json.loads(line, parse_constant=pytest.fail)  # NaN and Infinity are no JSON
    scores = evaluated(told(done.stdout))
    assert (scores["candidate", "test"].nats, scores["candidate", "test"].perplexity) == (math.inf, math.inf)
    assert math.isfinite(scores["candidate", "train"].perplexity)
    shown = ml("evaluate", tmp_path / "training" / "artifact", tmp_path / "test.txt")
    assert "perplexity inf, inf bits/byte" in shown.stdout
    assert ml("sample", tmp_path / "training" / "artifact", "-n", 3).returncode == 0


def test_a_champion_that_is_damaged_fails_before_anything_is_trained(tmp_path: Path, small_corpus: list[str]) -> None:
    request = request_of("lstm", epochs=1, champion=tmp_path / "nowhere")
    done = ml("train", prepare(tmp_path / "training", small_corpus, request=request))
    assert done.returncode == 2
    (failed,) = told(done.stdout)
    assert isinstance(failed, events.Failed)
    assert "holds no model" in failed.detail


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "cannot be read as a request"),
        ('{"seed": 1}', "cannot be read as a request"),
        ('{"preset": "gpt", "seed": 1}', "There is no preset"),
        ('{"preset": "lstm", "seed": 1, "minutes": 0}', "minutes is 0"),
        ('{"preset": "lstm", "seed": 1, "epochs": "ten"}', "epochs is 'ten'"),
    ],
)
def test_a_request_that_makes_no_sense_fails_in_one_line(
    content: str, said: str, tmp_path: Path, small_corpus: list[str]
) -> None:
    prepare(tmp_path, small_corpus, request=request_of("lstm"))
    (tmp_path / run.REQUEST).write_text(content)
    done = ml("train", tmp_path)
    assert (done.returncode, done.stderr) == (2, "")
    (failed,) = told(done.stdout)
    assert isinstance(failed, events.Failed)
    assert said in failed.detail


def test_fixed_splits_are_taken_as_they_are(tmp_path: Path, small_corpus: list[str]) -> None:
    files = []
    for number, name in enumerate(("train", "valid", "test")):
        posts = [post.replace("\n", " ") for post in small_corpus[number * 100 : (number + 1) * 100]]
        (tmp_path / f"{name}.txt").write_text("\n".join(posts) + "\n")
        files += [f"--{name}", tmp_path / f"{name}.txt"]
    done = ml("train", tmp_path / "training", *files, "--preset", "kneser-ney", "--tokenizer", "words")
    assert (done.returncode, done.stderr) == (0, "")
    started = told(done.stdout)[0]
    assert isinstance(started, events.Started)
    assert started.posts == {"train": 100, "valid": 100, "test": 100}  # repeated posts too
    assert artifact.load(tmp_path / "training" / "artifact").tokenizer.kind == "words"


def test_a_corpus_is_evaluated_and_spoken_from(counted: Path, tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("the mynah sings at night!\n")
    scored = ml("evaluate", counted / "artifact", tmp_path / "new.txt")
    assert scored.returncode == 0
    assert "perplexity" in scored.stdout
    assert "26 bytes" in scored.stdout
    said = [ml("sample", counted / "artifact", "-n", 3, "--prompt", "the mynah", "--seed", 5) for _ in range(2)]
    assert said[0].returncode == 0
    assert said[0].stdout == said[1].stdout
    assert said[0].stdout.count("the mynah") >= 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "nowhere", "nothing.txt"),
        ("sample", "nowhere"),
        ("train", "new", "--preset", "lstm"),
        ("train", "new", "--corpus", "posts.csv"),
        ("train", "new", "--corpus", "posts.txt", "--preset", "gpt"),
        ("train", "new", "--corpus", "nowhere.txt"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    done = ml(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert len((done.stdout + done.stderr).splitlines()) == 1
    assert "Traceback" not in done.stderr
