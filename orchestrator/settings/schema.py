"""Every setting with its type, limits, default and meaning. Frozen; unknown keys are refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from orchestrator.settings.words import Bytes, Duration, MaybeRate, Rate, Texts

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Positive = Annotated[Duration, Field(gt=timedelta(0))]
UrlLifetime = Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=7))]  # the most that SigV4 signs


class Section(BaseModel):
    """Attributes of a section are described where they stand, for `understudy config show` and default.toml."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class DatabaseSettings(Section):
    """Where the truth is."""

    url: SecretStr = Field(SecretStr(""), description="postgresql://user:password@host/name or sqlite:////path/file.db")
    pool_size: Count = Field(5, description="connections a process keeps; as many more are opened under load")


class BrokerSettings(Section):
    """Carries wake-ups; may lose them."""

    url: SecretStr = Field(
        SecretStr(""), description="redis://host/0, redis+socket:///path or amqp://user:password@host//"
    )
    prefix: str = Field("understudy:", description="begins every key in Redis, for servers that others use too")

    @property
    def kind(self) -> Literal["redis", "rabbitmq", "none"]:
        """Which broker the URL names; none: workers look for work by their own timers only."""
        scheme = self.url.get_secret_value().partition(":")[0]
        if not scheme:
            return "none"
        return "rabbitmq" if scheme in {"amqp", "amqps", "pyamqp"} else "redis"


class StorageSettings(Section):
    """The object store: one bucket."""

    profile: Literal["aws", "oss", "obs", "minio", "generic"] = Field("generic", description="the kind of store")
    endpoint: str = Field("", description="for our own calls, such as http://store.internal:9000; empty on AWS")
    public_endpoint: str = Field("", description="what clients reach; goes into signed URLs; empty: endpoint")
    bucket: str = Field("", description="must exist")
    region: str = Field("us-east-1", description="as the store knows it")
    addressing: Literal["", "path", "virtual"] = Field("", description="where the bucket stands; empty: by profile")
    access_key: str = Field("", description="reads and writes the bucket")
    secret_key: SecretStr = Field(SecretStr(""), description="of access_key")
    session_token: SecretStr = Field(SecretStr(""), description="of temporary credentials")
    signer_access_key: str = Field("", description="may only put below staging/; signs part URLs; empty: access_key")
    signer_secret_key: SecretStr = Field(SecretStr(""), description="of signer_access_key")
    thumbnail_stores: Texts = Field(
        (),
        description="where thumbnails may be written, besides the project's own inbox: https://host/ or https://host/folder/",
    )


class SecretsSettings(Section):
    """What protects secrets in the database."""

    encryption_key: SecretStr = Field(
        SecretStr(""),
        description="Fernet keys, comma between; the first encrypts, all decrypt (`understudy key new-encryption-key`)",
    )


class ApiSettings(Section):
    """The HTTP process."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8080, description="0 takes a free one")
    body_limit: Bytes = Field(1 << 20, description="larger request bodies are refused; files never come this way")
    threads: Count = Field(40, description="requests at work at once in a process")
    trusted_proxies: Texts = Field((), description="addresses whose X-Forwarded-* headers are believed")
    shutdown_grace: Positive = Field(timedelta(seconds=20), description="requests under way get so long at the end")
    idempotency_lifetime: Positive = Field(
        timedelta(hours=24), description="answers to Idempotency-Key are kept so long"
    )
    requests_per_key: MaybeRate = Field(None, description="such as 100/second, in each process; empty: no limit")
    failed_sign_ins: MaybeRate = Field(
        Rate(600, 60), description="from one address, then all its requests are refused for a while; empty: no limit"
    )
    metrics: bool = Field(True, description="serve /metrics")  # noqa: FBT003  a field's default


class WorkerSettings(Section):
    """The worker processes."""

    concurrency: Count = Field(2, description="pool processes of one worker")
    batch: Annotated[int, Field(ge=1, le=1000)] = Field(250, description="jobs claimed at once")
    tick: Positive = Field(timedelta(seconds=5), description="how often a worker looks for work without being woken")
    max_tasks_per_child: Count = Field(500, description="a pool process is replaced after so many tasks")
    task_time_limit: Positive = Field(timedelta(seconds=120), description="a task that takes longer is ended")


class TimingSettings(Section):
    """How patient the machinery is."""

    lease: Positive = Field(timedelta(seconds=30), description="a worker that does not renew within it lost its jobs")
    step_retry: Positive = Field(
        timedelta(seconds=15), description="until a step that something outside stopped is tried again"
    )
    max_takeovers: Count = Field(5, description="lost leases of one job at one place before it is given up")
    start_grace: Positive = Field(
        timedelta(seconds=30), description="until an unanswered submit is looked for at its backend"
    )
    poll_first: Positive = Field(timedelta(seconds=1), description="until a started run is looked at first")
    poll_longest: Positive = Field(timedelta(seconds=15), description="between two looks at an old run")
    heartbeat_limit: Positive = Field(timedelta(seconds=60), description="a run silent for longer may be lost")
    single_part_poll: Positive = Field(timedelta(seconds=10), description="until an upload of one part is looked for")
    abort_retry: Positive = Field(timedelta(minutes=1), description="between tries to abort an upload")
    upload_url_lifetime: UrlLifetime = Field(timedelta(hours=24), description="of part URLs")
    download_url_lifetime: UrlLifetime = Field(timedelta(hours=24), description="of download URLs")
    keep_deleted: Positive = Field(timedelta(days=7), description="rows and objects of deleted jobs")
    keep_runs: Positive = Field(timedelta(days=14), description="directories and artefacts of ended runs")
    orphan_age: Positive = Field(timedelta(days=2), description="objects that no row knows are left alone for so long")


class PoolSettings(Section):
    """Slots of one trainer backend."""

    backend: Literal["local", "instant"] = Field(
        "local", description="who runs; instant succeeds at once, for benchmarks"
    )
    slots: Count = Field(1, description="runs at a time")
    runs_dir: Path = Field(Path("/var/lib/understudy/runs"), description="working directories, on a local disk")
    gpus: Texts = Field((), description="device ids as CUDA_VISIBLE_DEVICES takes them")
    environment: dict[str, str] = Field(default_factory=dict, description="variables for every stage command")


class ProbeSettings(Section):
    """What the check of one file may cost."""

    max_read: Bytes = Field(64 << 20, description="bytes read of one file")
    max_requests: Count = Field(200, description="ranged reads of one file")
    max_wall: Positive = Field(timedelta(seconds=30), description="from start to verdict")
    max_cpu: Positive = Field(timedelta(seconds=20), description="processor time of the child process")
    max_memory: Bytes = Field(512 << 20, description="memory of the child process")


class ProfilesSettings(Section):
    """Kinds of jobs."""

    dir: str = Field("", description="further profiles, *.toml; one with the name of a shipped one replaces it")


class LogSettings(Section):
    """What is told about the work."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is written")
    format: Literal["json", "console"] = Field("json", description="one JSON object a line, or lines for people")


def _default_pools() -> dict[str, PoolSettings]:
    return {"local": PoolSettings()}


class Settings(Section):
    """Everything that can be set. Built by `load()`, passed on as values."""

    database: DatabaseSettings = Field(default_factory=DatabaseSettings)
    broker: BrokerSettings = Field(default_factory=BrokerSettings)
    storage: StorageSettings = Field(default_factory=StorageSettings)
    secrets: SecretsSettings = Field(default_factory=SecretsSettings)
    api: ApiSettings = Field(default_factory=ApiSettings)
    worker: WorkerSettings = Field(default_factory=WorkerSettings)
    timing: TimingSettings = Field(default_factory=TimingSettings)
    pools: dict[str, PoolSettings] = Field(default_factory=_default_pools)
    probe: ProbeSettings = Field(default_factory=ProbeSettings)
    profiles: ProfilesSettings = Field(default_factory=ProfilesSettings)
    log: LogSettings = Field(default_factory=LogSettings)
