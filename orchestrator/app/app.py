"""All use cases of one process, as the dialects, the workers and the command line see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from orchestrator.app.asset_files import AssetFiles
from orchestrator.app.assets import Assets
from orchestrator.app.audit import Audit
from orchestrator.app.care import Care
from orchestrator.app.context import Context
from orchestrator.app.dispatch import Dispatcher
from orchestrator.app.engine import Engine
from orchestrator.app.intake import Intake
from orchestrator.app.jobs import Jobs
from orchestrator.app.keys import Keys
from orchestrator.app.library import Library
from orchestrator.app.media import MediaLibrary
from orchestrator.app.media_prepare import Preparation
from orchestrator.app.media_use import MediaUse
from orchestrator.app.model_files import ModelFiles
from orchestrator.app.nonces import Nonces
from orchestrator.app.once import Once
from orchestrator.app.publish import Publishing
from orchestrator.app.review import Review
from orchestrator.app.run_logs import RunLogs
from orchestrator.app.runs import Runs
from orchestrator.app.sealing import Sealing
from orchestrator.app.secrets import Secrets
from orchestrator.app.sweeps import Sweeper
from orchestrator.app.thumbnails import Thumbnails
from orchestrator.app.uploads import Uploads
from orchestrator.app.verify import Verification
from orchestrator.domain.media_items import PREPARE_MEDIA


class App:
    """Build one per process, after a fork."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.jobs = Jobs(context)
        self.sealing = Sealing(context, self.jobs)
        self.preparation = Preparation(context)
        media_use = MediaUse(context, self.jobs, self.sealing, self.preparation)
        self.media = MediaLibrary(context, media_use)
        self.uploads = Uploads(context, self.jobs, self.sealing, media_use)
        self.intake = Intake(context, self.jobs, self.uploads, self.sealing, media_use)
        self.review = Review(context, self.jobs)
        self.assets = Assets(context)
        self.library = Library(context)
        self.model_files = ModelFiles(context)
        self.asset_files = AssetFiles(context, self.sealing)
        self.keys = Keys(context)
        self.secrets = Secrets(context)
        self.audit = Audit(context)
        self.nonces = Nonces(context)
        self.runs = Runs(context)
        self.run_logs = RunLogs(context)
        self.dispatcher = Dispatcher(context, self.runs)
        self.engine = Engine(context, Verification(context), Publishing(context), self.dispatcher)
        self.sweeper = Sweeper(Care(context, self.runs, self.sealing, self.library, Thumbnails(context)))

    def once(self, project_id: str, word: str) -> Once:
        """A request that its sender gave a word, so that it is done once however often it comes."""
        return Once(self.context, project_id, word)

    @property
    def work(self) -> Mapping[str, Callable[[], int]]:
        """What workers work off, by the name that it is woken by: gives how much was done."""
        effects = {effect.value: partial(self.engine.drain, effect) for effect in self.engine.effects}
        return {**effects, PREPARE_MEDIA: self.preparation.drain}
