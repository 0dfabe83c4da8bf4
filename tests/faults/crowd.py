"""People who bring jobs through their whole life over the API, whatever happens, and know what must become of them.

They do what good clients do: ask again with the same `Idempotency-Key` until there is an answer, take up broken
uploads, and look at the job before they ask for something twice.
"""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import httpx

from tests.faults.people import Patience, Person, Tale
from tests.faults.stories import STORIES, WEIGHTS, Teller, small_film


@dataclass
class Crowd:
    """Many people at once.

    Attributes:
        tokens: of a user, a reviewer and an admin.
        put: lays an object of that name into the users' inbox in the store; gives its address.
        seconds: within which they all begin.
        patience: whose stories are not at their end when it is over, gives up.
    """

    endpoints: Sequence[str]
    tokens: Mapping[str, str] = field(repr=False)
    put: Callable[[str, bytes], str]
    jobs: int
    seed: int
    seconds: float
    patience: Patience
    threads: int = 16
    tales: list[Tale] = field(default_factory=list)
    bugs: Counter[str] = field(default_factory=Counter)
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        chance = random.Random(f"{self.seed} crowd")
        # every story once, then by their weights
        kinds = [*STORIES, *chance.choices(list(STORIES), WEIGHTS, k=max(0, self.jobs - len(STORIES)))][: self.jobs]
        chance.shuffle(kinds)
        self.tales = [Tale(number, kind) for number, kind in enumerate(kinds)]
        begin_s = sorted(chance.uniform(0, self.seconds * 0.7) for _ in kinds)
        queue = list(zip(self.tales, begin_s, strict=True))
        started_s, lock = time.monotonic(), threading.Lock()
        small_film()

        def run() -> None:
            with httpx.Client(timeout=httpx.Timeout(15, connect=5), trust_env=False) as http:
                while True:
                    with lock:
                        if not queue:
                            return
                        tale, at_s = queue.pop(0)
                    time.sleep(max(0.0, started_s + at_s - time.monotonic()))
                    people = [
                        Person(self.endpoints, self.tokens[role], http, self.patience, self.bugs)
                        for role in ("user", "reviewer", "admin")
                    ]
                    Teller(tale, *people, self.put, random.Random(f"{self.seed} {tale.number}")).tell()

        people = min(self.threads, self.jobs)
        self._threads = [threading.Thread(target=run, name=f"person-{n}", daemon=True) for n in range(people)]
        for thread in self._threads:
            thread.start()

    @property
    def ended(self) -> int:
        return sum(tale.ended or bool(tale.trouble) for tale in self.tales)

    def is_busy(self) -> bool:
        return any(thread.is_alive() for thread in self._threads)
