"""What the operations on avatars take."""

from __future__ import annotations

from typing import Literal

from orchestrator.dialects.ims.wire import Id, PageNo, PageSize, Parameters


class GetAvatar(Parameters):
    avatar_id: Id


class ListAvatars(Parameters):
    avatar_type: Literal["2DAvatar"] | None = None
    page_no: PageNo = 1
    page_size: PageSize = 10
