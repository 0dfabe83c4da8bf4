"""Assets of people: made, changed, shared, thrown away and taken back. States move by the rules of domain/assets.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from orchestrator.app.context import Context, new_id
from orchestrator.app.rereads import again
from orchestrator.domain.actors import Caller
from orchestrator.domain.assets import (
    ASSET_RULES,
    COVER,
    EVERYBODY,
    NOT_BY_USERS,
    Asset,
    AssetCommand,
    AssetFile,
    AssetNameTaken,
    AssetQuery,
    AssetState,
    PropertyChange,
    decide,
    has_main,
    may_be_fetched,
    with_properties,
)
from orchestrator.domain.editions import decisive_video
from orchestrator.domain.errors import Forbidden, Invalid, Unavailable, UploadError, UploadNotOpen
from orchestrator.domain.model import File, FileState
from orchestrator.domain.views import MAX_PAGE
from orchestrator.ports.store import Tx

BIN_LIFETIME: Final = timedelta(days=7)
"""How long the recycle bin keeps an asset."""

Planned = tuple[str, datetime]
"""BLOCK or DELETE, and when."""

# whoever is sealing one at this moment sees that nobody wants it any more
_ENDINGS: Final = {
    FileState.OPEN: FileState.ABORTING, FileState.SEALING: FileState.ABORTING, FileState.SEALED: FileState.DELETING,
}  # fmt: skip
_PLANNED: Final = {"BLOCK": AssetCommand.FREEZE, "DELETE": AssetCommand.RECYCLE}


@dataclass(frozen=True, slots=True)
class Share:
    """Who else may use an asset; nobody: it is the owner's alone.

    Attributes:
        with_everybody: makes it an asset of the system.
        expires_at: None: the end of the 30th day from now.
    """

    project_ids: Sequence[str] = ()
    expires_at: datetime | None = None
    with_everybody: bool = False


class Library:
    """Use cases on assets, for their owners."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(
        self, caller: Caller, kind: str, name: str, *, description: str = "", tags: Sequence[str] = (), order: int = 0,
        attributes: Mapping[str, object], share: Share | None = None, planned: Sequence[Planned] = (),
        properties: Sequence[PropertyChange] = (),
    ) -> Asset:  # fmt: skip
        """An asset without files.

        Args:
            planned: what is to be done by itself, and when.
            properties: system properties to begin with; what the caller may not set is ignored.

        Raises:
            Forbidden: models come from training only.
            Invalid: shared with everybody, by somebody who does not speak for the system.
            AssetNameTaken: another asset of the type has the name.
        """
        if kind in NOT_BY_USERS:
            raise Forbidden(f"assets of type {kind} are made by training")
        _check_share(caller, share)
        at = self._context.clock()
        held = with_properties(attributes, properties, by_the_system=caller.speaks_for_the_system)
        asset = Asset(
            new_id(at), caller.project_id, None, kind, AssetState.CREATING, name, description,
            {**held, **_kept_plan(planned)}, at, at, app_user_id=caller.app_user_id, tags=list(tags),
            asset_order=order, due_at=_first(planned),
        )  # fmt: skip
        with self._context.store.begin() as tx:
            _check_name(tx, asset, name, kind)
            tx.library.add(asset)
            if share is not None:
                self._share(tx, asset, share)
        return asset

    def update(
        self, caller: Caller, asset_id: str, *, state: AssetCommand | None = None, share: Share | None = None,
        attributes: Callable[[Asset], Mapping[str, object]] = lambda _: {}, properties: Sequence[PropertyChange] = (),
        planned: Sequence[Planned] | None = None, **values: object,
    ) -> Asset:  # fmt: skip
        """Change what is given.

        Args:
            state: how the state moves.
            attributes: made of the asset as it was, and laid over those it has.
            properties: changes of system properties; of those that the caller may not set nothing comes.
            planned: in the place of what was planned; None leaves that.
            values: name, description, type, tags, asset_order.

        Raises:
            AssetNotFound, CommandNotAllowed, AssetNameTaken, Forbidden, Invalid: as `create` and `move`.
        """
        _check_share(caller, share)
        if planned is not None:
            values["due_at"] = _first(planned)

        def work(tx: Tx, asset: Asset) -> Asset:
            target = decide(asset, AssetCommand.EDIT)
            if state is not None:
                target = decide(asset, state)
            kind, name = str(values.get("type", asset.type)), str(values.get("name", asset.name))
            if kind != asset.type and (kind in NOT_BY_USERS or asset.type in NOT_BY_USERS):
                raise Forbidden(f"an asset of type {asset.type} cannot become one of type {kind}")
            if (kind, name) != (asset.type, asset.name):
                _check_name(tx, asset, name, kind)
            kept: Mapping[str, object] = {**asset.attributes, **attributes(asset)}
            if properties:
                kept = with_properties(kept, properties, by_the_system=caller.speaks_for_the_system)
            if planned is not None:
                kept = {**kept, **_kept_plan(planned)}
            saved = tx.library.save(
                asset, **values, state=target, attributes=dict(kept), updated_at=self._context.clock()
            )
            if share is not None:  # behind the write that lets one in at a time
                self._share(tx, asset, share)
            return saved

        return self._change(caller, asset_id, work)

    def move(self, caller: Caller, asset_id: str, command: AssetCommand) -> Asset:
        """Recycle, restore, activate, deactivate or erase an asset. Raises AssetNotFound, CommandNotAllowed."""
        return self._change(caller, asset_id, lambda tx, asset: self.moved(tx, asset, command))

    def moved(self, tx: Tx, asset: Asset, command: AssetCommand) -> Asset:
        """The same within a transaction."""
        at = self._context.clock()
        target = decide(asset, command)
        values: dict[str, object] = {"state": target, "updated_at": at}
        if target is AssetState.DELETING:
            values["due_at"] = at + BIN_LIFETIME
        elif target is AssetState.DELETED:
            values |= {"due_at": None, "deleted_at": at}
            self._erase_files(tx, asset, at)
        elif asset.state is AssetState.DELETING:
            values["due_at"] = _planned(asset, at)[1]
            if not has_main(tx.library.files([asset.id])[asset.id]):
                values["state"] = AssetState.CREATING  # as it was thrown away
        return tx.library.save(asset, **values)

    def share(self, caller: Caller, asset_id: str, share: Share, attributes: Mapping[str, object]) -> Asset:
        """Let others use an asset, or nobody any more. `attributes` are laid over those it has."""
        return self.update(caller, asset_id, share=share, attributes=lambda _: attributes)

    def find(self, caller: Caller, query: AssetQuery) -> tuple[Sequence[tuple[Asset, Sequence[AssetFile]]], int]:
        """A page of assets with their files, and the number of all matches.

        Raises:
            Forbidden: the query is of a project that the caller may not see.
            Invalid: the page is too large or too small.
        """
        if not caller.may_see(query.project_id):
            raise Forbidden(f"the assets of project {query.project_id} are not for this key")
        if not 1 <= query.limit <= MAX_PAGE:
            raise Invalid(f"the page size is {query.limit}; 1 to {MAX_PAGE} are allowed", field="limit")
        now = self._context.clock()
        with self._context.store.read() as tx:
            found = tx.library.page(query, now)
            files = tx.library.files([asset.id for asset in found]) if found else {}
            return [(asset, files[asset.id]) for asset in found], tx.library.count(query, now)

    def show(self, caller: Caller, asset_id: str) -> tuple[Asset, Sequence[AssetFile]]:
        """An asset of the caller, or one that others share with them, and its files. Raises AssetNotFound."""
        with self._context.store.read() as tx:
            asset = tx.library.get(asset_id, caller.project_id, shared_at=self._context.clock())
            return asset, tx.library.files([asset.id])[asset.id]

    def download(self, asset: Asset, file: AssetFile) -> str | None:
        """A URL that downloads a file as an attachment of a fixed type; None for one that is not shown to anybody."""
        if not may_be_fetched(asset, file):
            return None
        return self._context.download_url(file.key, file.name, file.content_type)

    def cover(self, asset: Asset, files: Sequence[AssetFile]) -> str | None:
        """A URL that downloads the cover; None without one that may be shown."""
        covers = (self.download(asset, file) for file in files if file.category == COVER)
        return next((url for url in covers if url is not None), None)

    def frame_size(self, asset: Asset) -> tuple[int, int] | None:
        """(width, height) in pixels of the video that a model was trained from, as measured; None: not known."""
        if asset.job_id is None:
            return None
        with self._context.store.read() as tx:
            video = decisive_video(tx.files.of_job(asset.job_id))
        match ((video and video.facts) or {}).get("display"):
            case [int(width), int(height)]:
                return width, height
        return None

    # what happens by itself

    def due(self, now: datetime, limit: int) -> Sequence[Asset]:
        with self._context.store.read() as tx:
            return tx.library.due(now, limit)

    def come_due(self, asset: Asset, now: datetime) -> str:
        """Empty the bin of `asset`, or do what its owner planned; gives a word for what was done."""
        with self._context.store.begin() as tx:
            if asset.state is AssetState.DELETING:
                self.moved(tx, asset, AssetCommand.ERASE)
                return "erased"
            command, following = _planned(asset, now)
            if command is None or asset.state not in ASSET_RULES[command].sources:
                tx.library.save(asset, due_at=following)
                return "nothing to do now"
            moved = self.moved(tx, asset, command)
            if moved.state is not AssetState.DELETING:  # the bin has a date of its own
                tx.library.save(moved, due_at=following)
            return moved.state.value

    # inside

    def _change(self, caller: Caller, asset_id: str, work: Callable[[Tx, Asset], Asset]) -> Asset:
        return changed(self._context, caller, asset_id, work)

    def _share(self, tx: Tx, asset: Asset, share: Share) -> None:
        at = self._context.clock()
        last_day = (at + timedelta(days=30)).replace(hour=23, minute=59, second=59, microsecond=0)
        others = [each for each in share.project_ids if each not in {asset.project_id, EVERYBODY}]
        others += [EVERYBODY] if share.with_everybody else []
        tx.library.share(asset.id, others, share.expires_at or last_day)

    def _erase_files(self, tx: Tx, asset: Asset, at: datetime) -> None:
        for file in tx.library.files([asset.id])[asset.id]:
            drop_file(self._context, tx, file, at)


def changed(context: Context, caller: Caller, asset_id: str, work: Callable[[Tx, Asset], Asset]) -> Asset:
    """What `work` makes of an asset in one transaction, done again when somebody was faster."""

    def once() -> Asset:
        with context.store.begin() as tx:
            return work(tx, tx.library.get(asset_id, caller.project_id))

    return again(once)


def drop_file(context: Context, tx: Tx, file: AssetFile, at: datetime) -> None:
    """Take a file out of its asset; its object follows, by a sweep or right after the commit."""
    tx.library.drop_file(file.id)
    if not let_go(tx, [file.id], at):  # made by a job, not uploaded
        tx.after_commit(partial(_delete_object, context, file.key))


def let_go(tx: Tx, file_ids: Sequence[str], at: datetime) -> bool:
    """Give up the uploads behind files that are no asset's any more. False: none of them was uploaded."""
    uploaded = tx.files.get_many(file_ids).values() if file_ids else ()
    for file in uploaded:
        _end(tx, file, at)
    return bool(uploaded)


def _end(tx: Tx, file: File, at: datetime) -> None:
    """Give up an upload wherever it is by now: somebody may be sealing it at this moment."""
    while (ending := _ENDINGS.get(file.state)) is not None:
        try:
            tx.files.move(file, ending, due_at=at)
        except UploadNotOpen:  # it has moved on since it was read
            file = tx.files.get(file.id)
        else:
            return


def _delete_object(context: Context, key: str) -> None:
    try:
        context.storage.delete(key)
    except (Unavailable, UploadError):  # erased with its job at last
        return


def _kept_plan(planned: Sequence[Planned]) -> dict[str, object]:
    return {"planned": [[word, at.isoformat()] for word, at in planned]} if planned else {"planned": None}


def _first(planned: Sequence[Planned]) -> datetime | None:
    return min((at for _, at in planned), default=None)


def _planned(asset: Asset, now: datetime) -> tuple[AssetCommand | None, datetime | None]:
    """The last operation that is due, and when the next one is."""
    steps = asset.attributes.get("planned")
    plan = sorted((datetime.fromisoformat(at), str(word)) for word, at in steps) if isinstance(steps, list) else []
    due = [word for at, word in plan if at <= now]
    return _PLANNED.get(due[-1]) if due else None, next((at for at, _ in plan if at > now), None)


def _check_share(caller: Caller, share: Share | None) -> None:
    if share is not None and share.with_everybody and not caller.speaks_for_the_system:
        raise Invalid("only assets of the system are shared with everybody", field="shared_type")


def _check_name(tx: Tx, asset: Asset, name: str, kind: str) -> None:
    tx.leases.lock(f"names of assets:{asset.project_id}")  # two of one name would each see that there is none
    if tx.library.name_taken(asset.project_id, kind, name, but=asset.id):
        raise AssetNameTaken(f"another asset of type {kind} is called {name!r}")
