"""Completions: speeches that begin with a prompt, told as OpenAI's API tells them."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from app.errors import InvalidInput
from app.runtime import Runtime
from app.sampling.completion_schemas import (
    LONGEST_COMPLETION,
    ChoiceOut,
    CompletionCreate,
    CompletionOut,
    Usage,
)
from app.sampling.completion_tokens import SeenToken, Told, logprobs_of, seen_tokens
from app.sampling.sampler import Sampler, deadline
from app.sampling.service import Speaking, asked, carry_out, speaking, speech_of
from app.sampling.streams import Relay, Whole
from ml.sampling.attempt import Script
from ml.sampling.controls import Controls
from ml.sampling.request import Reading, Request
from ml.sampling.sentence import Finish, Sentence

_FINISH: Final[dict[Finish, Literal["stop", "length"]]] = {
    Finish.END: "stop",
    Finish.STOP: "stop",
    Finish.LENGTH: "length",
}
_SEEDS: Final = 2**64


@dataclass(frozen=True, slots=True)
class _Asked:
    """One prompt on its way. first: index of its first choice."""

    first: int
    script: Script
    request: Request
    relay: Relay


@dataclass(frozen=True, slots=True)
class Choice:
    """One completion that is done. said: None where nothing was to be said after the prompt."""

    index: int
    script: Script
    request: Request
    said: Sentence | None

    def text(self, *, echo: bool) -> str:
        """All of it, or what comes after the prompt."""
        lead = self.script.lead
        whole = lead if self.said is None else self.said.text
        return whole if echo else whole[len(lead) :]

    @property
    def finish_reason(self) -> Literal["stop", "length"]:
        return "length" if self.said is None else _FINISH[self.said.finish]

    @property
    def tokens(self) -> int:
        """How many were said."""
        return 0 if self.said is None else self.said.tokens

    def echoed(self, *, rivals: bool = True) -> list[SeenToken]:
        """The tokens of the prompt. rivals: whether to tell what else could have stood there."""
        request = self.request
        told = Told(request.prompt, request.prompt_costs, request.prompt_alternatives)
        return seen_tokens(self.script.tokenizer, told, begin=0, end=len(self.script.lead), rivals=rivals)

    def spoken(self, *, echo: bool, rivals: bool = True) -> list[SeenToken]:
        """The tokens after the prompt."""
        if self.said is None:
            return []
        told = Told(self.said.token_ids, self.said.log_probabilities, self.said.alternatives)
        begin = len(self.script.lead) if echo else 0
        return seen_tokens(
            self.script.tokenizer,
            told,
            before=self.request.prompt,
            begin=begin,
            end=len(self.text(echo=echo)),
            rivals=rivals,
        )


class Completing:
    """One request for completions: made by `begin`, its choices read once."""

    def __init__(
        self, sampler: Sampler, wanted: CompletionCreate, who: Speaking, *, relays: Sequence[Relay], created: int
    ) -> None:
        """Raises InvalidInput."""
        self.wanted = wanted
        self._envelope = CompletionOut(
            id=f"cmpl-{secrets.token_hex(12)}",
            created=created,
            model=who.persona.handle,
            system_fingerprint=f"{who.persona.handle}-{who.version.number}",
            choices=[],
        )
        seed = secrets.randbelow(2**53) if wanted.seed is None else wanted.seed
        self._asked = [
            _ask(sampler, wanted, who, relay=relay, number=number, seed=(seed + number) % _SEEDS)
            for number, relay in enumerate(relays)
        ]

    async def choices(self, sampler: Sampler) -> AsyncGenerator[Choice, None]:
        """Each completion when it is done; prompt after prompt, all of which are carried out at once.

        Raises NoSentence, Busy.
        """
        tasks = [asyncio.ensure_future(carry_out(sampler, asked.request)) for asked in self._asked]
        for task in tasks:
            # Looked at here: the error of one is told, and those of the others are left to nobody.
            task.add_done_callback(lambda done: done.cancelled() or done.exception())
        try:
            # All have been handed to the engine then: one that found no room is told before others are waited for.
            await asyncio.sleep(0)
            for task in tasks:
                if task.done():
                    task.result()
            for one, task in zip(self._asked, tasks, strict=True):
                async for event in one.relay.events(task):
                    if isinstance(event, Whole):
                        yield Choice(one.first + event.sentence, one.script, one.request, event.said)
                await task
                if isinstance(one.request, Reading):
                    for number in range(self.wanted.n):
                        yield Choice(one.first + number, one.script, one.request, None)
        finally:
            for task in tasks:
                task.cancel()

    def answer(self, choices: list[ChoiceOut], usage: Usage | None = None) -> CompletionOut:
        """Choices in what is around them."""
        return self._envelope.model_copy(update={"choices": choices, "usage": usage})

    def usage(self, completion_tokens: int) -> Usage:
        """What was read and said."""
        read = sum(len(one.request.prompt) for one in self._asked)
        return Usage(prompt_tokens=read, completion_tokens=completion_tokens, total_tokens=read + completion_tokens)


async def begin(runtime: Runtime, sampler: Sampler, wanted: CompletionCreate) -> Completing:
    """Raises InvalidInput, PersonaNotFound, NoModelYet, ModelUnavailable."""
    wanted.check()
    who = await speaking(runtime, sampler, handle=wanted.model)
    relays = [Relay(pieces=False) for _ in wanted.prompts]
    # In a thread: prompts may be long, and reading them takes milliseconds, in which others are answered.
    return await asyncio.to_thread(
        Completing, sampler, wanted, who, relays=relays, created=int(runtime.clock().timestamp())
    )


async def complete(sampler: Sampler, completing: Completing) -> CompletionOut:
    """All choices at once. Raises NoSentence, Busy."""
    done = sorted([choice async for choice in completing.choices(sampler)], key=lambda choice: choice.index)
    # In a thread: naming the tokens of all may take a second, in which others are answered.
    choices = await asyncio.to_thread(lambda: [_whole(choice, completing.wanted) for choice in done])
    return completing.answer(choices, completing.usage(sum(choice.tokens for choice in done)))


def _ask(sampler: Sampler, wanted: CompletionCreate, who: Speaking, *, relay: Relay, number: int, seed: int) -> _Asked:
    controls = _controls(wanted, wanted.prompts[number])
    first = number * wanted.n
    alternatives = wanted.logprobs or 0
    if wanted.max_tokens == 0:
        script = Script(who.served.voice, controls)
        reading = Reading(who.served.voice, script.prompt, alternatives=alternatives, until=deadline())
        return _Asked(first, script, reading, relay)
    speech = speech_of(sampler, who, controls, n=wanted.n, seed=seed, listener=relay, alternatives=alternatives)
    return _Asked(first, speech.script, speech, relay)


def _controls(wanted: CompletionCreate, prompt: str) -> Controls:
    if len(prompt) > LONGEST_COMPLETION:
        raise InvalidInput.at(
            "/prompt", f"It has {len(prompt)} characters; with its completion it may have {LONGEST_COMPLETION}."
        )
    return asked(
        lambda: Controls(
            prompt=prompt,
            temperature=wanted.temperature,
            top_p=wanted.top_p,
            max_tokens=wanted.max_tokens or None,
            max_characters=LONGEST_COMPLETION,
            stop=wanted.stops,
        )
    )


def _whole(choice: Choice, wanted: CompletionCreate) -> ChoiceOut:
    logprobs = None
    if wanted.logprobs is not None:
        echoed = choice.echoed() if wanted.echo else []
        logprobs = logprobs_of([*echoed, *choice.spoken(echo=wanted.echo)])
    return ChoiceOut(
        text=choice.text(echo=wanted.echo),
        index=choice.index,
        logprobs=logprobs,
        finish_reason=choice.finish_reason,
    )
