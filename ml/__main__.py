"""python -m ml train | evaluate | gradients | sample | bench: the package without the service, from files."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ml import artifact, preset
from ml.bench import command
from ml.bench.corpus import VARIABLE
from ml.errors import ConfigError, CorpusTooSmall, Interrupted, MlError, TrainingDiverged
from ml.evaluation import PostScores, Scorer, score_posts
from ml.evaluation.bootstrap import compare, intervals
from ml.evaluation.calibration import calibration
from ml.evaluation.lengths import length_calibration
from ml.evaluation.report import Against, Dynamic, PostCost, Report, Totals, to_json, to_text
from ml.models.recurrent_part import recurrent_of
from ml.process import die_with_parent, use_large_pages, wait_briefly
from ml.sampling.controls import Controls
from ml.sampling.engine import sample
from ml.text.cleaning import clean
from ml.text.posts import read_posts
from ml.training import events, run
from ml.training.directory import prepare, tokenizer_overrides

SUCCESS, FAILED, STOPPED = 0, 2, 143
SLUGS: dict[type[MlError], str] = {
    CorpusTooSmall: "corpus-too-small",
    TrainingDiverged: "training-diverged",
    ConfigError: "config-error",
}


def main() -> int:
    """Run a command; returns the exit code: 0 done, 2 cannot be done (and why), 143 stopped by SIGTERM."""
    arguments = _parser().parse_args()
    run_command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return run_command(arguments)
    except MlError as error:
        sys.stderr.write(f"{error}\n")
        return FAILED


def _train(arguments: argparse.Namespace) -> int:
    if arguments.die_with_parent:
        die_with_parent()
    wait_briefly()
    use_large_pages()
    stopping = _on_sigterm()
    tell = _tell_json if arguments.json or not sys.stdout.isatty() else _tell_human
    try:
        if not (arguments.directory / run.REQUEST).exists() or arguments.corpus or arguments.train:
            _prepare(arguments)
        for event in run.run(arguments.directory, stop=stopping):
            tell(event)
    except MlError as error:
        slug = next((slug for kind, slug in SLUGS.items() if isinstance(error, kind)), "training-failed")
        tell(events.Failed(type=slug, detail=str(error)))
        return FAILED
    except Interrupted:
        return STOPPED
    return SUCCESS


def _on_sigterm() -> Callable[[], bool]:
    """Whether SIGTERM has come: the loop looks between two steps."""
    came = False

    def note(_number: int, _frame: FrameType | None) -> None:
        nonlocal came
        came = True

    signal.signal(signal.SIGTERM, note)
    return lambda: came


def _prepare(arguments: argparse.Namespace) -> None:
    """Make a training's directory out of options."""
    given = {"posts": arguments.corpus, "train": arguments.train, "valid": arguments.valid, "test": arguments.test}
    overrides = tokenizer_overrides(arguments.tokenizer)
    if arguments.cache is not None:
        overrides["cache.kind"] = arguments.cache
    request = run.Request(
        preset=arguments.preset,
        seed=arguments.seed,
        minutes=arguments.minutes,
        epochs=arguments.epochs,
        base=None if arguments.base is None else str(arguments.base),
        overrides=overrides,
    )
    prepare(arguments.directory, request, files={name: path for name, path in given.items() if path is not None})


def _tell_json(event: events.Event) -> None:
    sys.stdout.write(events.to_line(event) + "\n")
    sys.stdout.flush()


def _tell_human(event: events.Event) -> None:
    match event:
        case events.Started():
            said = (
                f"{event.posts['train']:,} posts, {event.vocabulary_size:,} tokens, {event.parameters:,} parameters\n"
            )
        case events.Progress():
            minutes, seconds = divmod(int(event.remaining_seconds), 60)
            said = f"\r{event.progress:6.1%}  {event.tokens_per_second:,.0f} tokens/s  {minutes}:{seconds:02d} left "
        case events.Epoch():
            said = f"\repoch {event.epoch}: perplexity {event.train_perplexity:.1f} train, "
            said += f"{event.valid_perplexity:.1f} valid ({event.seconds:.0f} s)\n"
        case events.Evaluated():
            said = f"{event.model} on {event.split}: perplexity {event.perplexity:.2f}, "
            said += f"{event.bits_per_byte:.3f} bits/byte\n"
        case events.Finished():
            said = "done\n"
        case events.Failed():
            said = f"{event.detail}\n"
    sys.stdout.write(said)
    sys.stdout.flush()


def _evaluate(arguments: argparse.Namespace) -> int:
    loaded = artifact.load(arguments.artifact)
    posts = _posts(arguments.file, raw=arguments.raw)
    scorer, dynamic = _scorer(loaded, arguments)
    scores = score_posts(scorer, loaded.tokenizer, posts)
    seed = arguments.seed
    report = Report(
        posts=len(posts),
        totals=Totals.of(scores.total),
        dynamic=dynamic,
        intervals=intervals(scores, seed=seed) if arguments.interval else None,
        against=None if arguments.against is None else _against(arguments.against, posts, scores=scores, seed=seed),
        lengths=length_calibration(loaded.model, loaded.tokenizer, posts, n=arguments.lengths, seed=seed)
        if arguments.lengths is not None
        else None,
        calibration=calibration(loaded.model, loaded.tokenizer, posts) if arguments.calibration else None,
        costs=_costs(scores, loaded) if arguments.surprisal else None,
    )
    sys.stdout.write(to_json(report) + "\n" if arguments.json else to_text(report))
    return SUCCESS


def _scorer(loaded: artifact.Artifact, arguments: argparse.Namespace) -> tuple[Scorer, Dynamic | None]:
    """What is to be evaluated: the model at rest, or one that goes on learning from the posts that it scores."""
    if arguments.dynamic is None:
        return loaded.model, None
    if arguments.lengths is not None or arguments.calibration:
        raise ConfigError("--lengths and --calibration look at the model at rest. Leave them out, or --dynamic.")
    from ml.models import dynamic_evaluation  # noqa: PLC0415  torch takes a second to import

    posts = _posts(arguments.dynamic, raw=arguments.raw)
    scorer = dynamic_evaluation.fit(loaded.model, loaded.tokenizer.encode_posts(posts), eos=loaded.tokenizer.eos)
    chosen = scorer.adaptation
    return scorer, Dynamic(
        chosen_on=str(arguments.dynamic),
        learning_rate=chosen.learning_rate,
        decay=chosen.decay,
        normalised=chosen.normalised,
    )


def _posts(file: Path, *, raw: bool) -> list[str]:
    posts = [post if raw else clean(post) for post in read_posts(file)]
    posts = [post for post in posts if post]
    if not posts:
        raise CorpusTooSmall(f"{file} holds no post. Give a file with at least one.")
    return posts


def _against(directory: Path, posts: list[str], *, scores: PostScores, seed: int) -> Against:
    other = artifact.load(directory)
    theirs = score_posts(other.model, other.tokenizer, posts)
    return Against(
        artifact=str(directory), totals=Totals.of(theirs.total), comparison=compare(scores, theirs, seed=seed)
    )


def _costs(scores: PostScores, loaded: artifact.Artifact) -> list[PostCost]:
    columns = (scores.nats.tolist(), scores.tokens.tolist(), scores.bytes.tolist())
    return [
        PostCost(nats=nats, tokens=tokens, bytes=size, surprisal=surprisal)
        for nats, tokens, size, surprisal in zip(*columns, scores.surprisals(loaded.tokenizer), strict=True)
    ]


def _gradients(arguments: argparse.Namespace) -> int:
    loaded = artifact.load(arguments.artifact)
    tokens = loaded.tokenizer.encode_posts(_posts(arguments.file, raw=arguments.raw))
    recurrent = recurrent_of(loaded.model)
    from ml import gradient_flow, gradient_report  # noqa: PLC0415  torch takes a second to import
    from ml.models.recurrent import RecurrentNetwork  # noqa: PLC0415

    flow = gradient_flow.gradient_flow(
        RecurrentNetwork.of(recurrent),
        tokens,
        eos=loaded.tokenizer.eos,
        steps=arguments.steps,
        places=arguments.places,
        seed=arguments.seed,
    )
    if arguments.plot is not None:
        gradient_report.write_plot(flow, arguments.plot)
    sys.stdout.write(gradient_report.to_json(flow) + "\n" if arguments.json else gradient_report.to_text(flow))
    return SUCCESS


def _sample(arguments: argparse.Namespace) -> int:
    loaded = artifact.load(arguments.artifact)
    controls = Controls(
        temperature=arguments.temperature,
        top_k=arguments.top_k,
        top_p=arguments.top_p,
        max_characters=arguments.max_characters,
        prompt=arguments.prompt,
    )
    for sentence in sample(loaded.model, loaded.tokenizer, n=arguments.n, controls=controls, seed=arguments.seed):
        sys.stdout.write(sentence.text + "\n")
    return SUCCESS


def _bench(arguments: argparse.Namespace) -> int:
    wait_briefly()
    return SUCCESS if command.bench(arguments) else FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ml", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="train|evaluate|gradients|sample|bench")

    train = commands.add_parser("train", help="train a model in a directory, or go on with what is there")
    train.set_defaults(command=_train)
    train.add_argument("directory", type=Path)
    train.add_argument(
        "--corpus", type=Path, nargs="+", help="raw posts (.jsonl or .txt): pooled, cleaned, and split by hash"
    )
    for split in ("train", "valid", "test"):
        train.add_argument(f"--{split}", type=Path, nargs="+", help=f"the {split} split, taken as it is")
    train.add_argument("--preset", default="lstm-kn5", help=f"one of {', '.join(preset.names())} (default: lstm-kn5)")
    train.add_argument("--tokenizer", choices=("words", "subwords"), help="instead of the preset's")
    train.add_argument("--base", type=Path, help="an artifact to go on from: one trained on other personas' posts")
    train.add_argument("--cache", choices=preset.CACHES, help="what was said lately becomes likelier")
    budget = train.add_mutually_exclusive_group()
    budget.add_argument("--minutes", type=float, help="budget of the clock")
    budget.add_argument("--epochs", type=int, help="passes over the posts")
    train.add_argument("--seed", type=int, default=1)
    train.add_argument("--json", action="store_true", help="a JSON line an event, as without a terminal")
    train.add_argument("--die-with-parent", action="store_true", help="end when the parent process does (Linux)")

    _add_evaluate(commands)
    _add_gradients(commands)

    say = commands.add_parser("sample", help="new sentences")
    say.set_defaults(command=_sample)
    say.add_argument("artifact", type=Path)
    say.add_argument("-n", type=int, default=5)
    say.add_argument("--prompt", default="")
    say.add_argument("--temperature", type=float, default=0.8)
    say.add_argument("--top-k", type=int)
    say.add_argument("--top-p", type=float)
    say.add_argument("--max-characters", type=int, default=280)
    say.add_argument("--seed", type=int, default=1)

    bench = commands.add_parser("bench", help="our presets and their peers in one table, from one run")
    bench.set_defaults(command=_bench)
    command.add_options(bench, data=os.environ.get(VARIABLE))
    return parser


def _add_evaluate(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    score = commands.add_parser("evaluate", help="perplexity and bits per byte of a file of posts")
    score.set_defaults(command=_evaluate)
    score.add_argument("artifact", type=Path)
    score.add_argument("file", type=Path)
    score.add_argument("--raw", action="store_true", help="take the posts as they are, without cleaning")
    score.add_argument("--interval", action="store_true", help="95 %% intervals, by bootstrap over the posts")
    score.add_argument(
        "--against", type=Path, metavar="ARTIFACT", help="another model on the same posts: which is better"
    )
    score.add_argument(
        "--dynamic",
        type=Path,
        metavar="VALID",
        help="go on learning from what was scored; VALID: posts to choose the rate by",
    )
    score.add_argument("--lengths", type=int, metavar="N", help="sample N sentences and compare their lengths")
    score.add_argument("--calibration", action="store_true", help="whether the model is as often right as it is sure")
    score.add_argument("--surprisal", action="store_true", help="the cost of each post and of each token")
    score.add_argument("--seed", type=int, default=1, help="of what is drawn")
    score.add_argument("--json", action="store_true", help="one JSON object")


def _add_gradients(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    see = commands.add_parser("gradients", help="how far back a recurrent model's gradient reaches")
    see.set_defaults(command=_gradients)
    see.add_argument("artifact", type=Path)
    see.add_argument("file", type=Path)
    see.add_argument("--raw", action="store_true", help="take the posts as they are, without cleaning")
    see.add_argument("--steps", type=int, default=50, metavar="K", help="how many steps back (default: 50)")
    see.add_argument("--places", type=int, default=256, metavar="N", help="tokens that are looked at (default: 256)")
    see.add_argument("--seed", type=int, default=1, help="of which places")
    see.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw it (needs matplotlib)")
    see.add_argument("--json", action="store_true", help="one JSON object")


if __name__ == "__main__":
    sys.exit(main())
