"""Everything the core refuses or fails with, as one tree.

    UnderstudyError
    ├── NotFound            the thing named does not exist, or belongs to another project
    ├── Refused             the machine says no; nothing was written
    │   ├── CommandNotAllowed    the state has no row for this command and actor
    │   ├── GuardRefused         a row exists, but its guard gave a reason
    │   ├── StaleJob             somebody moved the job since it was read
    │   └── Conflict             another unique thing is in the way
    ├── Invalid             the request itself makes no sense: wrong value, range or combination
    ├── Unauthenticated     no key, a wrong key
    │   └── KeyDisabled          a key that is refused from now on
    ├── Forbidden           the key is good, its role is not enough
    ├── TooManyRequests     the key asks, or its address failed to sign in, too often; `retry_after_s` says when
    ├── UploadError
    │   ├── UploadNotOpen        sealed, aborted or being sealed
    │   ├── UploadIncomplete     parts are missing or have the wrong size
    │   └── UploadTooLarge       more bytes than 1000 parts may carry
    └── Unavailable         something outside did not answer; try again
        ├── StorageUnavailable
        ├── TrainerUnavailable
        ├── DatabaseUnavailable
        ├── WrittenByNewer       a row holds a word that only a newer version knows
        └── CheckBrokenOff       who looked at a file was killed: nothing is said of the file

Each class has a stable public `code`; a dialect maps codes to its own status and words in one dict. The facts
of the error are in `details`, for logs and for API answers.
"""

from __future__ import annotations

from collections.abc import Mapping


class UnderstudyError(Exception):
    """Base of all errors that a caller may see. `code` is public and never changes."""

    code = "error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.message = message
        self.details: Mapping[str, object] = details


class NotFound(UnderstudyError):
    code = "not_found"


class Refused(UnderstudyError):
    code = "refused"


class CommandNotAllowed(Refused):
    code = "command_not_allowed"


class GuardRefused(Refused):
    code = "guard_refused"


class StaleJob(Refused):
    code = "stale_job"


class Conflict(Refused):
    code = "conflict"


class Invalid(UnderstudyError):
    code = "invalid"


class Unauthenticated(UnderstudyError):
    code = "unauthenticated"


class KeyDisabled(Unauthenticated):
    """Says `unauthenticated`, as all of its kind: only APIs that have a word for it tell the two apart."""


class Forbidden(UnderstudyError):
    code = "forbidden"


class TooManyRequests(UnderstudyError):
    code = "too_many_requests"


class UploadError(UnderstudyError):
    code = "upload_error"


class UploadNotOpen(UploadError):
    code = "upload_not_open"


class UploadIncomplete(UploadError):
    code = "upload_incomplete"


class UploadTooLarge(UploadError):
    code = "upload_too_large"


class Unavailable(UnderstudyError):
    code = "unavailable"


class StorageUnavailable(Unavailable):
    code = "storage_unavailable"


class CheckBrokenOff(Unavailable):
    """Has no code of its own: no caller of an API waits for a check."""


class WrittenByNewer(Unavailable):
    """Has no code of its own: who asks again comes to a process of the newer version, sooner or later."""


class TrainerUnavailable(Unavailable):
    code = "trainer_unavailable"


class DatabaseUnavailable(Unavailable):
    code = "database_unavailable"
