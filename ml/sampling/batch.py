"""Batch: the rows of one voice. Each turn admits rows, steps all of them at once, and retires those that are finished.

Rows belong to different requests, with controls of their own, and come and go at any step. A row reads the prompt of
its request, once for all n sentences, or is an attempt at one of them. Where there is no room for a request that has
no row yet, the one that has most sets a row aside until there is.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np

from ml.errors import SamplingError
from ml.language_model import FloatArray, TokenArray
from ml.sampling.alternatives import likeliest
from ml.sampling.attempt import Attempt
from ml.sampling.draw import draw, penalise
from ml.sampling.request import Request, Speech
from ml.sampling.voice import Moment, Voice

MAX_ROWS: Final = 64
"""Rows in a batch: enough to share the cost of a step, and [B, V] arrays of some MiB."""


@dataclass(slots=True)
class _Row:
    """attempt: None while the prompt of the request is read."""

    request: Request
    attempt: Attempt | None

    @property
    def has_read_prompt(self) -> bool:
        return self.attempt is None and len(self.request.prompt_costs) == len(self.request.prompt)


class Batch:
    """Rows under way and requests that wait for room."""

    def __init__(self, voice: Voice, *, now: Callable[[], float], max_rows: int = MAX_ROWS) -> None:
        self.voice = voice
        self._max_rows = max_rows
        self._now = now
        self._rows: list[_Row] = []
        self._moment: Moment | None = None
        self._queue: deque[Request] = deque()
        self._set_aside: defaultdict[Request, deque[tuple[_Row, Moment]]] = defaultdict(deque)
        self._requests: list[Request] = []

    @property
    def waiting(self) -> int:
        """Rows that have not begun."""
        return sum(request.waiting for request in self._requests)

    def add(self, request: Request) -> None:
        """Take in a request of this voice."""
        self._requests.append(request)
        self._queue.append(request)

    def turn(self) -> list[Request]:
        """One step for every row; returns the requests that are over. Those that are left go on with the next turn."""
        now = self._now()
        for request in self._requests:
            request.expire(now)
        self._settle()
        self._make_room()
        self._admit()
        if self._rows:
            self._step()
        return self._retire()

    def fail(self, error: BaseException) -> list[Request]:
        """End all requests with an error, and return them."""
        for request in self._requests:
            request.fail(error)
        self._rows, self._moment = [], None
        self._queue.clear()
        return self._retire()

    def _retire(self) -> list[Request]:
        over: list[Request] = []
        going_on: list[Request] = []
        for request in self._requests:  # asked once each: a caller may cancel at any moment
            (over if request.over else going_on).append(request)
        self._requests = going_on
        for request in over:
            self._set_aside.pop(request, None)
        return over

    @property
    def idle(self) -> bool:
        """There is nothing to do."""
        return not self._requests

    def _settle(self) -> None:
        """Drop the rows of requests that are over, and let those whose prompt has been read begin to speak."""
        kept = []
        for number, row in enumerate(self._rows):
            if row.request.over:
                continue
            if row.has_read_prompt and self._moment is not None:
                row.request.start = self._moment.take([number])
                self._queue.appendleft(row.request)
                continue
            kept.append(number)
        self._keep(kept)

    def _keep(self, kept: list[int]) -> None:
        if len(kept) < len(self._rows):
            self._rows = [self._rows[number] for number in kept]
            self._moment = self._moment.take(kept) if self._moment is not None and kept else None

    def _make_room(self) -> None:
        """Set rows aside of the requests that have most, as many as there are requests without any."""
        if len(self._rows) < self._max_rows or not self._queue:
            return
        held = Counter(row.request for row in self._rows)
        without = [request for request in self._queue if not (request.over or held[request])]
        aside: list[int] = []
        for _ in without:
            greediest, rows = held.most_common(1)[0]
            if rows == 1:
                break
            held[greediest] -= 1
            newest = max(
                number for number, row in enumerate(self._rows) if row.request is greediest and number not in aside
            )
            aside.append(newest)
        if not aside:
            return
        self._lay_aside(aside)
        # In front of those that would take the room back at once.
        first = without[: len(aside)]
        others = set(first)
        self._queue = deque([*first, *(request for request in self._queue if request not in others)])

    def _lay_aside(self, numbers: list[int]) -> None:
        if not numbers or self._moment is None:
            return
        for number in numbers:
            row = self._rows[number]
            self._set_aside[row.request].append((row, self._moment.take([number])))
            if row.request not in self._queue:
                self._queue.append(row.request)
        self._keep([number for number in range(len(self._rows)) if number not in numbers])

    def _admit(self) -> None:
        """Begin rows while there is room, a row of each request in turn, so that a long one keeps nobody waiting."""
        moments = [] if self._moment is None else [self._moment]
        while self._queue and len(self._rows) < self._max_rows:
            request = self._queue.popleft()
            if request.over:
                continue
            if self._set_aside.get(request):
                row, moment = self._set_aside[request].popleft()
                self._rows.append(row)
                moments.append(moment)
                self._queue.append(request)
                continue
            if request.start is None and not request.prompt:
                request.start = self.voice.start
            if request.start is None:
                self._rows.append(_Row(request, attempt=None))
                moments.append(self.voice.start)
            elif isinstance(request, Speech) and request.waiting:
                self._rows.append(_Row(request, request.begin()))
                moments.append(request.start)
                self._queue.append(request)
        if moments:
            self._moment = Moment.join(moments)

    def _step(self) -> None:
        if self._moment is None:
            raise AssertionError("rows have a moment")
        tokens = self._choose(self._moment.probabilities)
        with np.errstate(divide="ignore"):  # what a text holds may be impossible to a model without smoothing
            costs = np.log(self._moment.probabilities[np.arange(len(tokens)), tokens])
        self._note_alternatives(self._moment.probabilities)
        said = zip(self._rows, tokens.tolist(), costs.tolist(), strict=True)
        going_on = [number for number, (row, token, cost) in enumerate(said) if self._tell(row, token, cost)]
        state = self._moment.state
        if len(going_on) < len(self._rows):
            self._rows = [self._rows[number] for number in going_on]
            state = state.take(np.array(going_on, dtype=np.int64))
        self._moment = self.voice.read(tokens[going_on], state) if going_on else None

    def _note_alternatives(self, probabilities: FloatArray) -> None:
        """For the rows whose request asks for them. probabilities: [B, V]."""
        for number, row in enumerate(self._rows):
            if row.request.alternatives:
                noted = row.request.prompt_alternatives if row.attempt is None else row.attempt.alternatives
                noted.append(likeliest(probabilities[number], row.request.alternatives))

    def _tell(self, row: _Row, token: int, cost: float) -> bool:
        """Let the row's request know; returns whether the row goes on."""
        if row.attempt is None or not isinstance(row.request, Speech):
            row.request.prompt_costs.append(cost)
            return not row.request.over
        goes_on = row.request.hear(row.attempt, token, cost)
        if not goes_on and not row.request.over and row.request.waiting and row.request not in self._queue:
            self._queue.appendleft(row.request)
        return goes_on

    def _choose(self, probabilities: FloatArray) -> TokenArray:
        """The next token of each row: [B] int64. What is read is given, what is said is drawn."""
        tokens = np.empty(len(self._rows), dtype=np.int64)
        speaking = []
        for number, row in enumerate(self._rows):
            if row.attempt is None:
                tokens[number] = row.request.prompt[len(row.request.prompt_costs)]
            else:
                speaking.append(number)
        if speaking:
            # What is drawn from is changed on the way, and what a token costs is read afterwards: hence the copy.
            weights = probabilities.copy() if len(speaking) == len(tokens) else probabilities[speaking]
            attempts = [attempt for row in self._rows if (attempt := row.attempt) is not None]
            tokens[speaking] = self._draw(attempts, weights)
        return tokens

    def _draw(self, attempts: list[Attempt], weights: FloatArray) -> list[int]:
        """weights: [B, V] of the rows that speak, overwritten."""
        penalties = [attempt.script.controls.repetition_penalty for attempt in attempts]
        if any(penalty != 1 for penalty in penalties):
            penalise(weights, [[*attempt.script.prompt, *attempt.said] for attempt in attempts], penalties)
        weights[:, self.voice.never_spoken] = 0
        for number, attempt in enumerate(attempts):
            if attempt.unspoken is not None:
                weights[number, attempt.unspoken] = 0
            if forbidden := attempt.forbidden():
                weights[number, forbidden] = 0
        self._mark_stuck(attempts, weights)
        uniforms = np.array([attempt.uniform() for attempt in attempts])
        drawn = draw(weights, uniforms, [attempt.script.shape for attempt in attempts])
        return [attempt.next_token(token) for attempt, token in zip(attempts, drawn.tolist(), strict=True)]

    def _mark_stuck(self, attempts: list[Attempt], weights: FloatArray) -> None:
        """An n-gram model without smoothing may lead to a word after which it only knows `<unk>`: that attempt ends."""
        for number in np.flatnonzero(weights.max(axis=1) <= 0):
            attempt = attempts[number]
            if not attempt.said:
                error = SamplingError("The model leaves no token to draw: all it would say is <unk> or nothing at all.")
                next(row.request for row in self._rows if row.attempt is attempt).fail(error)
            attempt.stuck = True
            weights[number, self.voice.tokenizer.eos] = 1  # drawn, and thrown away with the attempt
