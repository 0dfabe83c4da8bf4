"""The second job, through MetaStudio's own SDK, unmodified: refused with every reason, filled again, published."""

from __future__ import annotations

import inspect
import io
import textwrap
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import SdkException
from huaweicloudsdkmetastudio.v1 import (
    Create2dModelTrainingJobReq,
    Create2dModelTrainingJobRequest,
    Execute2dModelTrainingCommandByUserReq,
    Execute2dModelTrainingCommandByUserRequest,
    MetaStudioClient,
    Show2dModelTrainingJobRequest,
    ShowAssetRequest,
    Update2dModelTrainingJobReq,
    Update2dModelTrainingJobRequest,
)
from PIL import Image, ImageDraw

from orchestrator.cli.client import Api
from orchestrator.cli.demo.story import DEAD, PATIENCE_S, approve
from orchestrator.cli.demo.telling import Teller
from orchestrator.cli.failures import CliError, Exit
from orchestrator.cli.progress import transfer_bar
from orchestrator.cli.transfer import THREADS, Slice, slices
from orchestrator.domain.uploads import MIN_PART_BYTES

LOOK_S: Final = 0.3
RESOLUTION_CODE: Final = "44005901"
REASONS: Final = (
    "The picture is 1280",
    "lasts 0:44",
    "id card front is missing",
    "id card back is missing",
    "letter is missing",
)
OCTETS: Final = {"Content-Type": "application/octet-stream"}


def connect(dev: Mapping[str, Any]) -> MetaStudioClient:
    """The SDK's client of an API. `dev`: as in `dev.json`."""
    return (
        MetaStudioClient.new_builder()
        .with_credentials(BasicCredentials(dev["access_key"], dev["secret_key"], dev["project_id"]))
        .with_endpoint(dev["endpoint"])  # this line; it was .with_region(...)
        .build()
    )


@dataclass
class VendorStory:
    """What it needs: where the API is and a user's key, a reviewer, and videos that may still be in the making.

    Attributes:
        dev: as in `dev.json`.
    """

    dev: Mapping[str, Any] = field(repr=False)
    reviewer: Api
    good: Callable[[], Path]
    bad: Callable[[], Path]
    teller: Teller

    def tell(self) -> None:
        """Raises CliError when anything is not as promised."""
        self._client = connect(self.dev)
        try:
            job = self._refused()
            self._filled_again(job)
            self._published(job.job_id)
        except SdkException as exc:
            raise CliError(f"the SDK says: {exc}") from exc

    def _refused(self) -> Any:  # noqa: ANN401  the SDK has no types
        tell = self.teller
        tell.chapter("6. A second job, through Huawei's SDK for MetaStudio, unmodified")
        for line in _shown(connect):
            tell.say(line)
        job = self._client.create2d_model_training_job(
            Create2dModelTrainingJobRequest(body=Create2dModelTrainingJobReq(name="Grace"))
        )
        video = self.bad()
        tell.say(f"job {job.job_id}; {video.name}: 44 seconds of 1280x720, and none of the papers")
        self._send(video, job.training_video_upload_url)
        self._submit(job.job_id)
        shown = self._until(job.job_id, "MANUAL_VERIFYING")
        tell.promise("the bad video is refused", holds=shown.state == "AUTO_VERIFY_FAILED", found=shown.state)
        refusal = shown.operation_logs[-1]
        told = refusal.log_description or ""
        tell.say(told)
        tell.promise(
            "every reason is told at once", holds=all(reason in told for reason in REASONS), found=len(REASONS)
        )
        code = refusal.error_code
        tell.promise("with the vendor's error code", holds=code == RESOLUTION_CODE, found=code)
        return job

    def _filled_again(self, before: Any) -> None:  # noqa: ANN401
        tell = self.teller
        tell.chapter("7. The bad video is replaced by a good one, and the papers are added")
        video, job_id = self.good(), before.job_id
        parts = video.stat().st_size // MIN_PART_BYTES
        job = self._client.update2d_model_training_job(
            Update2dModelTrainingJobRequest(
                job_id=job_id, body=Update2dModelTrainingJobReq(video_multipart_count=parts)
            )
        )
        answer = httpx.put(before.training_video_upload_url[0], content=b"late", headers=OCTETS, timeout=30)
        said = f"the store answers {answer.status_code}"
        tell.promise("the address of the bad video is dead", holds=answer.status_code in DEAD, found=said)
        self._send(video, job.training_video_upload_url)
        papers = {
            "front of an id card": job.id_card_image1_upload_url,
            "back of an id card": job.id_card_image2_upload_url,
            "authorization letter": job.grant_file_upload_url,
        }
        taken = [httpx.put(url, content=_paper(text), headers=OCTETS, timeout=30) for text, url in papers.items()]
        holds = all(answer.is_success for answer in taken)
        tell.promise("the store took the papers, which are small pictures", holds=holds, found=", ".join(papers))
        self._submit(job_id)
        shown = self._until(job_id, "MANUAL_VERIFYING")
        tell.promise("the machine accepts it", holds=shown.state == "MANUAL_VERIFYING", found=shown.state)
        approve(self.reviewer, job_id, tell)

    def _published(self, job_id: str) -> None:
        tell = self.teller
        done = self._until(job_id, "JOB_SUCCESS")
        tell.promise("the job succeeded", holds=done.state == "JOB_SUCCESS", found=done.state)
        for line in done.operation_logs:
            tell.say(f"{line.operate_time}  {line.operate_user:<6}  {line.log_type}")
        asset = self._client.show_asset(ShowAssetRequest(asset_id=done.asset_id))
        found = f"{asset.asset_type} {asset.asset_id}, {asset.asset_state}"
        tell.promise("the SDK shows the model as an asset", holds=asset.asset_state == "ACTIVED", found=found)

    # -- pieces ------------------------------------------------------------------------------------------------

    def _send(self, video: Path, urls: Sequence[str]) -> None:
        """A part to each address, several at a time."""
        size_bytes = video.stat().st_size
        parts = slices(video, size_bytes, len(urls))
        with (
            transfer_bar(video.name) as bar,
            httpx.Client(headers=OCTETS, timeout=60) as http,
            ThreadPoolExecutor(THREADS) as pool,
        ):
            progress = bar(size_bytes, 0, len(parts))
            refused = []
            for part, status in zip(parts, pool.map(lambda part, url: _put(http, part, url), parts, urls), strict=True):
                progress(part.size_bytes)
                if status != httpx.codes.OK:
                    refused.append(status)
        found = refused[0] if refused else len(parts)
        self.teller.promise("the store took every part at its address", holds=not refused, found=found)

    def _submit(self, job_id: str) -> None:
        for word in ("CONFIRM_MULTIPART_UPLOADED", "SUBMITVERIFYING"):
            answer = self._client.execute2d_model_training_command_by_user(
                Execute2dModelTrainingCommandByUserRequest(
                    job_id=job_id, body=Execute2dModelTrainingCommandByUserReq(command=word)
                )
            )
            if answer.commond_result != "EXCUTE_SUCCESS":  # the vendor's spelling
                raise CliError(f"NOT as promised: {word} is done; found {answer.excute_failed_msg}")

    def _until(self, job_id: str, state: str) -> Any:  # noqa: ANN401
        """The job as it is in `state`, or failed."""
        began_s, told = time.monotonic(), ""
        while True:
            shown = self._client.show2d_model_training_job(Show2dModelTrainingJobRequest(job_id=job_id))
            if shown.state != told:
                told = shown.state
                self.teller.say(told)
            if told == state or told.endswith("_FAILED"):
                return shown
            if time.monotonic() - began_s > PATIENCE_S:
                raise CliError(f"job {job_id} is still {told} after {PATIENCE_S:g} s", Exit.TIMEOUT)
            time.sleep(LOOK_S)


def _put(http: httpx.Client, part: Slice, url: str) -> int:
    with part.path.open("rb") as file:
        file.seek(part.offset)
        return http.put(url, content=file.read(part.size_bytes)).status_code


def _paper(text: str) -> bytes:
    """A small picture that says what it stands for."""
    picture = Image.new("RGB", (856, 540), "white")
    ImageDraw.Draw(picture).text((60, 60), f"{text}\n(made by the demo)", fill="black", font_size=48)
    out = io.BytesIO()
    picture.save(out, "PNG")
    return out.getvalue()


def _shown(function: Callable[..., object]) -> Sequence[str]:
    """The code that `function` returns the value of."""
    _, _, code = inspect.getsource(function).partition("return ")
    return textwrap.dedent(f"    client = {code}").splitlines()
