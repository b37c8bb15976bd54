"""What a batch is asked for: sentences (Speech), or what the tokens of a text cost (Reading). Bookkeeping only.

A request is made and cancelled by whoever wants it, and carried on by the one thread that steps its voice.
"""

import math
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from ml.errors import ConfigError, OutOfTime, SamplingError
from ml.language_model import TokenArray
from ml.sampling.alternatives import Alternatives
from ml.sampling.attempt import Attempt, Script
from ml.sampling.controls import Controls
from ml.sampling.sentence import Flaw, Sentence
from ml.sampling.voice import Moment, Voice

MAX_ATTEMPTS: Final = 100
"""At one sentence: what succeeds once in ten fails a hundred times in a row with probability 3e-5."""

_TOOK_TOO_LONG: Final = "It took too long. Ask for fewer or shorter sentences, or for a lower temperature."


class Listener(Protocol):
    """Hears how a speech goes on, in the thread that steps it. Quick, and raises nothing."""

    def said(self, attempt: Attempt) -> None:
        """An attempt has said one more token."""
        ...

    def gave_up(self, attempt: Attempt, reason: str) -> None:
        """An attempt at a sentence is given up; another one follows."""
        ...

    def finished(self, number: int, sentence: Sentence) -> None:
        """A sentence is done."""
        ...


class Request:
    """Something to be read by a voice from the start of a post.

    prompt: tokens that are read first; prompt_costs: their log-probabilities, as far as they were read; start: the
    moment after them. alternatives: how many of the likeliest tokens to note at each place; prompt_alternatives: those
    of the prompt. It is `over` when it is done, has failed or was cancelled.
    """

    def __init__(self, voice: Voice, prompt: Sequence[int], *, alternatives: int = 0, until: float = math.inf) -> None:
        """until: when to give up, in seconds of the clock of whoever steps it."""
        self.voice = voice
        self.prompt = tuple(prompt)
        self.prompt_costs: list[float] = []
        self.alternatives = alternatives
        self.prompt_alternatives: list[Alternatives] = []
        self.start: Moment | None = None
        self.until = until
        self.error: BaseException | None = None
        self.cancelled = False

    def cancel(self) -> None:
        """From any thread: its rows are given up at the next step."""
        self.cancelled = True

    def fail(self, error: BaseException) -> None:
        """Ends it with an error; the first one counts."""
        self.error = self.error or error

    def expire(self, now: float) -> None:
        """Fail it if its time is over."""
        if now > self.until:
            self.fail(OutOfTime(_TOOK_TOO_LONG))

    @property
    def over(self) -> bool:
        return self.cancelled or self.error is not None or self.done

    @property
    def done(self) -> bool:
        """All that was wanted is there."""
        raise NotImplementedError

    @property
    def waiting(self) -> int:
        """How many rows have not begun yet."""
        raise NotImplementedError


class Reading(Request):
    """What each token of one text costs, `<eos>` at its end counted where it is given."""

    def __init__(self, voice: Voice, tokens: Sequence[int], *, alternatives: int = 0, until: float = math.inf) -> None:
        super().__init__(voice, tokens, alternatives=alternatives, until=until)

    @property
    def done(self) -> bool:
        return len(self.prompt_costs) == len(self.prompt)

    @property
    def waiting(self) -> int:
        return 0 if self.prompt_costs else 1


class Speech(Request):
    """n sentences under the same controls.

    seed: the same seed gives the same sentences, and the first m of n are the m that are drawn alone. An attempt that
    grows too long, is blank, breaks a character or is refused by `refuse` is given up and made again, at most
    MAX_ATTEMPTS times a sentence.

    refuse: from a text to the reason for which it must not be said, None where it may.
    """

    def __init__(
        self,
        voice: Voice,
        controls: Controls,
        *,
        n: int,
        seed: int,
        refuse: Callable[[str], str | None] = lambda text: None,
        unspoken: TokenArray | None = None,
        listener: Listener | None = None,
        alternatives: int = 0,
        until: float = math.inf,
    ) -> None:
        """unspoken: ids of tokens that are not drawn. Raises ConfigError for a negative n or seed."""
        if n < 0 or seed < 0:
            raise ConfigError(f"n is {n} and seed is {seed}; both must be 0 or more.")
        self.script = Script(voice, controls)
        super().__init__(voice, self.script.prompt, alternatives=alternatives, until=until)
        self.n = n
        self.seed = seed
        self.given_up = Counter[str]()
        """How many attempts were given up, by reason."""
        self.unspoken = unspoken
        self._refuse = refuse
        self._listener = listener
        self._turns = deque((sentence, 0) for sentence in range(n))
        self._sentences: dict[int, Sentence] = {}
        self._reasons = {sentence: Counter[str]() for sentence in range(n)}

    def expire(self, now: float) -> None:
        """As of every request; what was in the way is told."""
        if now > self.until and self.given_up:
            listed = ", ".join(f"{count} {_described(reason)}" for reason, count in self.given_up.most_common())
            self.fail(OutOfTime(f"{_TOOK_TOO_LONG} Attempts given up until then: {listed}.", reasons=self.given_up))
        super().expire(now)

    @property
    def done(self) -> bool:
        return len(self._sentences) == self.n

    @property
    def waiting(self) -> int:
        return len(self._turns)

    @property
    def sentences(self) -> list[Sentence]:
        """All n, once it is done."""
        return [self._sentences[number] for number in range(self.n)]

    def begin(self) -> Attempt:
        """The next attempt."""
        sentence, number = self._turns.popleft()
        return Attempt.begin(self.script, seed=self.seed, sentence=sentence, number=number, unspoken=self.unspoken)

    def hear(self, attempt: Attempt, token: int, log_probability: float) -> bool:
        """Take what an attempt said; returns whether it goes on."""
        attempt.say(token, log_probability)
        judged = attempt.judge()
        if self._listener is not None:
            self._listener.said(attempt)
        refused = self._refuse(judged.text) if isinstance(judged, Sentence) else None
        match refused or judged:
            case None:
                return True
            case Sentence() as sentence:
                self._sentences[attempt.sentence] = sentence
                if self._listener is not None:
                    self._listener.finished(attempt.sentence, sentence)
            case Flaw() as flaw:
                self._give_up(attempt, flaw.slug)
            case reason:
                self._give_up(attempt, reason)
        return False

    def _give_up(self, attempt: Attempt, reason: str) -> None:
        self.given_up[reason] += 1
        reasons = self._reasons[attempt.sentence]
        reasons[reason] += 1
        made = attempt.number + 1
        if made == MAX_ATTEMPTS or self._always_the_same:
            self.fail(SamplingError(self._told(made, reasons), reasons=reasons))
            return
        if self._listener is not None:
            self._listener.gave_up(attempt, reason)
        self._turns.appendleft((attempt.sentence, made))

    @property
    def _always_the_same(self) -> bool:
        return self.script.controls.temperature == 0 or self.script.controls.top_k == 1

    def _told(self, made: int, reasons: Counter[str]) -> str:
        attempts = "1 attempt" if made == 1 else f"{made} attempts"
        listed = ", ".join(f"{count} {_described(reason)}" for reason, count in reasons.most_common())
        return f"No sentence could be drawn in {attempts}: {listed}. {self._advice(reasons)}"

    def _advice(self, reasons: Counter[str]) -> str:
        controls = self.script.controls
        if self._always_the_same:
            return "With temperature 0 or top_k 1 every attempt is the same: raise them, or allow more max_characters."
        if reasons.most_common(1)[0][0] not in Flaw.by_slug():
            return "Relax that filter, choose another prompt, or raise the temperature."
        shorter = "a shorter prompt, " if controls.prompt else ""
        more = f"more max_characters than {controls.max_characters}"
        return f"Try {more}, {shorter}a lower temperature or a smaller top_p."


def _described(reason: str) -> str:
    """A reason as it stands after a number: what a flaw is, or which filter it was."""
    flaw = Flaw.by_slug().get(reason)
    return f"refused as {reason}" if flaw is None else flaw.value


def text_tokens(voice: Voice, text: str) -> TokenArray:
    """The tokens of a whole post, `<eos>` at its end: [T] int64."""
    return voice.tokenizer.encode_posts([text])
