"""The first job, through our own API, as a user and a reviewer would: a good video becomes a model."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx
import numpy as np

from orchestrator.cli import watch
from orchestrator.cli.client import Api, Json
from orchestrator.cli.commands.job_views import log_line
from orchestrator.cli.demo.telling import Teller
from orchestrator.cli.output import amount
from orchestrator.cli.progress import transfer_bar
from orchestrator.cli.transfer import Sent, slices, upload
from orchestrator.domain.uploads import MIN_PART_BYTES
from orchestrator.embedded.trainer.training import FORMAT

PROFILE: Final = "avatar"
KIND: Final = "training_video"
PATIENCE_S: Final = 120.0
LEAST_PARTS: Final = 3
DEAD: Final = range(400, 500)


@dataclass
class Story:
    """What it needs: the API as two people, a place for results, and a video that may still be in the making.

    Attributes:
        good: gives the path of the video once it is made.
    """

    user: Api
    reviewer: Api
    results: Path
    good: Callable[[], Path]
    teller: Teller

    def tell(self) -> None:
        """Raises CliError when anything is not as promised."""
        tell = self.teller
        tell.chapter("1. A draft, and its video in parallel parts")
        video = self.good()
        tell.say(f"made a real video: {video.name}, 1920x1080 H.264, {amount(video.stat().st_size)}")
        job = self.user.post("/jobs", profile=PROFILE, name="Ada")
        tell.say(f"job {job['id']} ({job['profile']})")
        sent = self._send(job, video, parts=video.stat().st_size // MIN_PART_BYTES)
        tell.promise("the video arrived in several parts", holds=sent.parts_sent >= LEAST_PARTS, found=sent.parts_sent)
        self._url_is_dead(sent, video)

        tell.chapter("2. Submitted: the machine looks at it")
        self._submit_and_pass(job, sent)

        tell.chapter("3. Trained and published")
        done = self._until_published(job)

        tell.chapter("4. What happened, from the operation log")
        log = self._log(job)
        for entry in log:
            tell.say(log_line(entry))
        tell.promise("the log ends where the job is", holds=log[-1]["target"] == done["state"])

        tell.chapter("5. The model")
        self._model(done)

    # -- pieces ------------------------------------------------------------------------------------------------

    def _send(self, job: Json, video: Path, *, parts: int) -> Sent:
        with transfer_bar(video.name) as bar:
            sent = upload(self.user, job["id"], KIND, video, part_count=parts, on_start=bar)
        self.teller.promise("the upload is sealed", holds=sent.file["state"] == "sealed", found=sent.file["state"])
        return sent

    def _url_is_dead(self, sent: Sent, video: Path) -> None:
        number, url = next(iter(sent.urls.items()))
        part = slices(video, video.stat().st_size, len(sent.urls))[number - 1]
        answer = httpx.put(url, content=b"\0" * part.size_bytes, timeout=30)
        said = f"the store answers {answer.status_code}"
        self.teller.promise(
            "a part's URL is dead once the upload is sealed", holds=answer.status_code in DEAD, found=said
        )
        stored = hashlib.sha256()
        with httpx.stream("GET", self._download_url(f"/files/{sent.file['id']}"), timeout=30) as stream:
            for piece in stream.iter_bytes():
                stored.update(piece)
        same = stored.hexdigest() == _sha256(video)
        self.teller.promise("and the sealed file is byte for byte what was sent", holds=same)

    def _submit_and_pass(self, job: Json, sent: Sent) -> None:
        tell = self.teller
        self.user.post(f"/jobs/{job['id']}/submit")
        with tell.following() as seen:
            checked = watch.until(
                self.user, job["id"], lambda j: watch.has_ended(j) or j["state"] == "manual_verifying", seen,
                timeout_s=PATIENCE_S,
            )  # fmt: skip
        tell.promise("the machine accepts it", holds=checked["state"] == "manual_verifying", found=checked["state"])
        facts = self.user.get(f"/files/{sent.file['id']}")["facts"]
        tell.say(
            f"measured {facts['display'][0]}x{facts['display'][1]}, {facts['duration_s']:g} s, {facts['video_codec']}, "
            f"read {amount(facts['read_bytes'])} of {amount(facts['size_bytes'])} for it"
        )
        approve(self.reviewer, job["id"], tell)

    def _until_published(self, job: Json) -> Json:
        with self.teller.following() as seen:
            done = watch.until_ended(self.user, job["id"], seen, timeout_s=PATIENCE_S)
        self.teller.promise("the job succeeded", holds=done["state"] == "job_success", found=done["state"])
        return done

    def _model(self, job: Json) -> None:
        tell = self.teller
        asset = self.user.get(f"/assets/{job['asset_id']}")
        by_category = {file["category"].lower(): file for file in asset["files"]}
        self.results.mkdir(parents=True, exist_ok=True)
        tell.say(f"asset {asset['id']}")
        for category in ("main", "cover"):
            file = by_category[category]
            target = self.results / file["name"]
            with httpx.stream("GET", file["download_url"], timeout=30) as stream, target.open("wb") as out:
                stream.raise_for_status()
                out.writelines(stream.iter_bytes())
            same = (target.stat().st_size, _sha256(target)) == (file["size_bytes"], file["sha256"])
            tell.promise(f"{file['name']} is what the trainer made", holds=same, found=f"sha256 {file['sha256'][:16]}…")
            tell.say(f"in the store: {urlsplit(file['download_url']).path}, {amount(file['size_bytes'])}")
            tell.say(f"a copy here:  {target}")
        with np.load(self.results / by_category["main"]["name"], allow_pickle=False) as model:
            arrays = {name: model[name].shape for name in model.files}
        tell.promise(f"it is a model that loads ({FORMAT})", holds=bool(arrays), found=", ".join(sorted(arrays)))

    def _log(self, job: Json) -> list[Json]:
        return list(self.user.pages(f"/jobs/{job['id']}/log"))

    def _download_url(self, path: str) -> str:
        return str(self.user.get(path)["download_url"])


def approve(reviewer: Api, job_id: str, teller: Teller) -> None:
    """What a person would do after a look at the job."""
    waiting = reviewer.get("/reviews/next", limit=1)["items"]
    teller.promise("the job waits for a reviewer", holds=[each["id"] for each in waiting] == [job_id])
    teller.say("nobody is here to review, so the demo approves, with the reviewer's token")
    reviewer.post(f"/jobs/{job_id}/approve", comment="approved by the demo")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
