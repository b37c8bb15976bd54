"""The `mynah` command: over the service layer what the API does over HTTP."""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.table import Table as RichTable
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from app import demo, jobs, observability, worker
from app.corpora import service as corpora
from app.corpora.importers import Format
from app.corpora.models import Source, SourceStatus
from app.errors import Problem
from app.foreground import follow, jobs_here, progress_bar, run_server, until_signalled
from app.main import create_app
from app.personas import service as personas
from app.personas.models import Persona
from app.runtime import Runtime, open_runtime
from app.sampling import service as sampling
from app.sampling.sampler import open_sampler
from app.settings import Settings
from app.supervisor import serve_in_processes
from app.training import promotion
from app.training import service as training
from app.training.models import Training, TrainingStatus
from ml import preset as presets
from ml.process import die_with_parent

app = typer.Typer(
    name="mynah",
    help="Bots that speak in somebody's voice. Settings are MYNAH_* environment variables.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_show_locals=False,
)
out = Console()
err = Console(stderr=True)

DiesWithParent = Annotated[bool, typer.Option("--die-with-parent", hidden=True)]
Handle = Annotated[str, typer.Argument(help="The persona's handle.", show_default=False)]


def main() -> None:
    """Entry point: a Problem becomes two lines and exit code 1, never a traceback."""
    try:
        app(standalone_mode=True)
    except Problem as problem:
        err.print(f"[bold red]{problem.title}[/]", highlight=False)
        err.print(problem.detail, highlight=False, markup=False)
        raise SystemExit(1) from problem
    except (OperationalError, OSError, ValueError) as error:
        # A database that is away, a folder that cannot be written, a store of no known kind: all are settings.
        err.print("[bold red]The service cannot start[/]", highlight=False)
        err.print(
            f"{error}\nCheck MYNAH_DATABASE_URL, MYNAH_DATA_DIR and MYNAH_ARTIFACTS_URL.", highlight=False, markup=False
        )
        raise SystemExit(1) from error


@app.command()
def serve(
    *,
    with_worker: Annotated[bool, typer.Option("--worker/--no-worker", help="Also run the jobs here.")] = True,
    processes: Annotated[int, typer.Option(min=1, max=256, help="How many processes answer requests.")] = 1,
    listening: Annotated[int | None, typer.Option("--socket", hidden=True)] = None,
    with_parent: DiesWithParent = False,
) -> None:
    """Run the web service (and the worker beside it)."""
    if with_parent:
        die_with_parent()
    settings = _settings()
    observability.configure_logging(settings)
    if processes > 1:
        serve_in_processes(settings, processes=processes, with_worker=with_worker)
        return
    sockets = None if listening is None else [socket.socket(fileno=listening)]
    run_server(settings, create_app(settings, with_worker=with_worker), sockets=sockets)


@app.command(name="worker")
def run_worker(
    queue: Annotated[
        list[str] | None, typer.Option(help=f"Only this queue ({', '.join(worker.CONCURRENCY)}); may be repeated.")
    ] = None,
    *,
    with_parent: DiesWithParent = False,
) -> None:
    """Run jobs: imports, trainings, posts. As many workers as you like, on as many machines."""
    if with_parent:
        die_with_parent()
    settings = _settings()
    observability.configure_logging(settings)
    queues = queue or list(worker.CONCURRENCY)
    if unknown := set(queues) - set(worker.CONCURRENCY):
        raise typer.BadParameter(f"there is no queue {', '.join(sorted(unknown))}", param_hint="--queue")

    async def work() -> None:
        async with open_runtime(settings) as runtime, open_sampler(runtime) as sampler:
            worker.register_tasks(runtime, sampler)
            await worker.work(runtime, queues)

    asyncio.run(until_signalled(work()))


@app.command(name="import")
def import_(
    handle: Handle,
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="A file of posts.")],
    file_format: Annotated[
        Format | None, typer.Option("--format", help="Found from the content when left out.")
    ] = None,
) -> None:
    """Import a file of posts; a persona that does not exist yet is made."""

    async def run(runtime: Runtime) -> None:
        await demo.ensure_persona(runtime, handle=handle)
        source = await corpora.receive_upload(
            runtime, handle=handle, file=file, filename=file.name, file_format=file_format
        )

        async def look() -> Source:
            async with runtime.transaction() as session:
                return await corpora.find_source(session, persona_id=source.persona_id, source_id=source.id)

        with progress_bar("{task.fields[note]}", out) as progress:
            bar = progress.add_task("Importing", total=None, note="")
            async with jobs_here(runtime, jobs.IMPORT_QUEUE):
                done = await follow(
                    look,
                    until=lambda row: row.status in {SourceStatus.IMPORTED, SourceStatus.FAILED},
                    show=lambda row: progress.update(bar, note=f"{row.read:,} read, {row.stored:,} stored"),
                )
            progress.update(bar, total=1, completed=1)
        _raise_if_failed(done.error)
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in sorted(done.excluded.items())) or "none"
        out.print(f"{done.stored:,} posts stored; {done.duplicates:,} known already; left out: {left_out}.")
        out.print(f"Next: mynah train {handle.lower()}")

    _with_runtime(run)


@app.command()
def train(
    handle: Handle,
    preset: Annotated[str, typer.Option(help=f"Recipe: {', '.join(presets.names())}.")] = training.DEFAULT_PRESET,
    minutes: Annotated[float | None, typer.Option(min=0.01, max=1440, help="Budget. Default: setting.")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**31 - 1, help="Random when left out.")] = None,
) -> None:
    """Train a model on a persona's posts and record its perplexity."""

    async def run(runtime: Runtime) -> None:
        async with runtime.transaction() as session:
            persona = await personas.find(session, handle=handle)
            row = await training.request(
                session,
                persona_id=persona.id,
                preset=preset,
                minutes=minutes or runtime.settings.training_minutes,
                seed=seed,
                now=runtime.clock(),
            )

        async def look() -> Training:
            async with runtime.transaction() as session:
                return await training.find(session, persona_id=persona.id, training_id=row.id)

        over = {TrainingStatus.SUCCEEDED, TrainingStatus.FAILED, TrainingStatus.CANCELLED}
        with progress_bar("{task.percentage:>3.0f}%  {task.fields[note]}", out) as progress:
            bar = progress.add_task(f"Training {preset}", total=1.0, note="waiting for its turn")
            async with jobs_here(runtime, jobs.TRAINING_QUEUE):
                done = await follow(
                    look,
                    until=lambda seen: seen.status in over,
                    show=lambda seen: progress.update(bar, completed=seen.progress, note=training.time_left(seen)),
                )
        _raise_if_failed(done.error)
        if done.status == TrainingStatus.CANCELLED:
            out.print("The training was cancelled.")
            return
        await _show_models(runtime, handle)

    _with_runtime(run)


@app.command()
def say(
    handle: Handle,
    n: Annotated[int, typer.Option("-n", min=1, max=100, help="How many sentences.")] = 1,
    prompt: Annotated[str, typer.Option(help="What each sentence begins with.")] = "",
    temperature: Annotated[
        float, typer.Option(min=0, max=5, help="0: always the likeliest token.")
    ] = sampling.TEMPERATURE,
    top_k: Annotated[int | None, typer.Option(min=1, help="Only the k likeliest tokens.")] = None,
    top_p: Annotated[float | None, typer.Option(min=0, max=1, help="Only the likeliest up to this mass.")] = None,
    max_characters: Annotated[int, typer.Option(min=1, help="No sentence is longer.")] = 280,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed says the same.")] = None,
) -> None:
    """Say new sentences in a persona's voice."""
    controls = {
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "max_characters": max_characters,
        "prompt": prompt,
    }

    async def run(runtime: Runtime) -> None:
        async with open_sampler(runtime) as sampler:
            spoken = await sampling.speak(runtime, sampler, handle=handle, n=n, controls=controls, seed=seed)
        for sentence in spoken.sentences:
            out.print(sentence.text, markup=False, highlight=False, soft_wrap=True)

    _with_runtime(run)


@app.command(name="personas")
def list_personas() -> None:
    """List the personas with their corpora and models."""

    async def run(runtime: Runtime) -> None:
        table = RichTable("handle", "name", "posts", "model", "valid. perplexity", "bits/byte", box=None)
        async with runtime.transaction() as session:
            for persona in await session.scalars(select(Persona).order_by(Persona.handle)):
                posts = await corpora.count_tweets(session, persona_id=persona.id)
                version = await promotion.promoted(session, persona_id=persona.id)
                model, perplexity, bits = "none yet", "", ""
                if version is not None:
                    model = f"{version.number} ({version.preset})"
                    evaluations = (await training.evaluations_of(session, [version]))[version.id]
                    for evaluation in evaluations:
                        if evaluation.split == "valid":
                            perplexity, bits = f"{evaluation.perplexity:.1f}", f"{evaluation.bits_per_byte:.3f}"
                table.add_row(f"@{persona.handle}", persona.name, f"{posts:,}", model, perplexity, bits)
        out.print(table if table.row_count else "No persona yet. Next: mynah import HANDLE FILE")

    _with_runtime(run)


@app.command(name="demo")
def run_demo(
    corpus: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, readable=True, help="Posts. Default: Python's docstrings."),
    ] = None,
    handle: Annotated[str | None, typer.Option(help="The persona's handle.")] = None,
) -> None:
    """Run the service with a persona to play with."""
    settings = _settings()
    observability.configure_logging(settings.model_copy(update={"log_level": "warning"}))
    web = create_app(settings)
    run_server(settings, web, beside=lambda: demo.bring_up(web, settings, corpus=corpus, handle=handle, out=out))


def _settings() -> Settings:
    try:
        return Settings()
    except ValidationError as error:
        for item in error.errors():
            name = "MYNAH_" + "_".join(str(part) for part in item["loc"]).upper()
            err.print(f"{name}: {item['msg']}", markup=False, highlight=False)
        raise SystemExit(2) from error


def _with_runtime(run: Callable[[Runtime], Awaitable[None]]) -> None:
    """Open database and queue, run a command, close them."""
    settings = _settings()
    observability.configure_logging(settings.model_copy(update={"log_level": "error"}))

    async def opened() -> None:
        async with open_runtime(settings) as runtime:
            await run(runtime)

    asyncio.run(opened())


async def _show_models(runtime: Runtime, handle: str) -> None:
    """The newest model version with its evaluations, and what is served."""
    async with runtime.transaction() as session:
        persona = await personas.find(session, handle=handle)
        served = await promotion.promoted(session, persona_id=persona.id)
        newest = await training.newest_model(session, persona_id=persona.id)
        if newest is None:
            return
        evaluations = (await training.evaluations_of(session, [newest]))[newest.id]
    table = RichTable("split", "perplexity", "bits/byte", "tokens", box=None)
    for row in evaluations:
        table.add_row(row.split, f"{row.perplexity:.2f}", f"{row.bits_per_byte:.3f}", f"{row.tokens:,}")
    out.print(f"Model {newest.number} ({newest.preset}, {newest.parameters:,} parameters):")
    out.print(table)
    if served is not None:
        out.print(f"Served now: model {served.number} ({served.preset}). Next: mynah say {persona.handle}")


def _raise_if_failed(document: dict[str, Any] | None) -> None:
    """A failed row tells its problem as if it had happened here."""
    if document is not None:
        raise Problem.retold(document)


if __name__ == "__main__":
    main()
