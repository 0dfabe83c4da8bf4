"""What the operations on avatars take."""

from __future__ import annotations

from typing import Literal

from orchestrator.dialects.ims.wire import Id, Paged, Parameters


class GetAvatar(Parameters):
    avatar_id: Id


class ListAvatars(Paged):
    avatar_type: Literal["2DAvatar"] | None = None
