"""What finished jobs left behind, for those who may see it."""

from __future__ import annotations

from orchestrator.app.context import Context
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import Asset, AssetFile
from orchestrator.domain.errors import Invalid
from orchestrator.domain.views import MAX_PAGE


class Assets:
    """Use cases on assets."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def get(self, caller: Caller, asset_id: str) -> tuple[Asset, list[AssetFile]]:
        """An asset and its files. Raises NotFound, also for another project's asset."""
        with self._context.store.read() as tx:
            return tx.assets.get(asset_id, caller.scope)

    def list(self, caller: Caller, before: str | None = None, limit: int = 20) -> list[Asset]:
        """Newest first; `before` is the id of the last asset of the page before."""
        if not 1 <= limit <= MAX_PAGE:
            raise Invalid(f"the page size is {limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        with self._context.store.read() as tx:
            return tx.assets.page(caller.scope, before, limit)

    def download(self, file: AssetFile) -> str:
        """A URL that downloads a file of an asset as an attachment of a fixed type."""
        return self._context.download_url(file.key, file.name, file.content_type)
