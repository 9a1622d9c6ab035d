"""Every setting Loupe reads from the environment; the table in the docs is made from it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, JsonValue, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

UNSAFE_SECRET_KEY = "unsafe-key-for-local-use-only"  # noqa: S105  # production refuses it
UNSAFE_MES_SECRET = "demo-mes-secret"  # noqa: S105  # production refuses it
ROOT = Path(__file__).resolve().parents[2]


class MesTarget(BaseModel):
    """One system that is told of dispositions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(pattern="^[a-z0-9][a-z0-9-]{0,39}$")
    adapter: Literal["http", "mqtt", "cfx", "b2mml-http", "b2mml-files"]
    url: str = Field(min_length=1)
    user: str = ""
    secret: SecretStr = SecretStr("")
    profile: str = Field(default="", pattern="^[a-z0-9-]*$")
    sites: list[str] = Field(default_factory=list)
    timeout_s: float | None = Field(default=None, gt=0)
    options: dict[str, JsonValue] = Field(default_factory=dict)


class B2mmlInbox(BaseModel):
    """A folder from whose `in` B2MML documents are taken."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Path
    site: str = Field(min_length=1)
    target: str = Field(default="mes", pattern="^[a-z0-9][a-z0-9-]{0,39}$")


class Environment(BaseSettings):
    """What the environment says; names are `LOUPE_<FIELD>` unless a field names its own."""

    model_config = SettingsConfigDict(env_prefix="LOUPE_", extra="ignore", populate_by_name=True)

    state: Path = Field(
        default=ROOT / "var",
        description="Folder for everything that is kept between starts when nothing else is set.",
    )
    secret_key: SecretStr = Field(
        default=SecretStr(UNSAFE_SECRET_KEY),
        description="Signs sessions and image addresses. Production refuses the default.",
    )
    secret_key_fallbacks: list[str] = Field(
        default_factory=list, description="Earlier secret keys still accepted while rotating."
    )
    allowed_hosts: list[str] = Field(
        default_factory=lambda: ["localhost", "127.0.0.1", "[::1]"],
        description="Host names the web server answers to (JSON list).",
    )
    csrf_trusted_origins: list[str] = Field(
        default_factory=list, description="Origins allowed to post forms (JSON list, with scheme)."
    )
    language: Literal["en", "de"] = Field(
        default="en",
        description="The plant's language: what workers write down for people (why a write-back "
        "waits, what a gate found), and pages for a browser that asks for neither.",
    )
    trusted_proxies: int = Field(
        default=0,
        ge=0,
        description="Own proxies in front that append to X-Forwarded-For; the audit trail and the "
        "login take the client's address from there. 0 ignores the header.",
    )
    database_url: str = Field(
        default="",
        validation_alias=AliasChoices("DATABASE_URL", "LOUPE_DATABASE_URL"),
        description="PostgreSQL, as postgresql://user:password@host:port/name. "
        "`make run` starts an embedded server when it is empty.",
    )
    celery_broker_url: str = Field(
        default="",
        validation_alias=AliasChoices("CELERY_BROKER_URL", "LOUPE_CELERY_BROKER_URL"),
        description="Celery's broker: empty for PGMQ on the same PostgreSQL, else sqs://, "
        "redis:// (Valkey) or amqp:// (RabbitMQ).",
    )
    aws_endpoint_url: str = Field(
        default="",
        description="Endpoint of an SQS/SNS emulator; empty for AWS itself.",
    )
    aws_region: str = Field(default="eu-central-1", description="AWS region of queues and buckets.")
    prediction_queue: str = Field(
        default="loupe-predictions",
        description="SQS queue predictions are read from; empty turns the consumer off.",
    )
    dead_letter_queue: str = Field(
        default="loupe-predictions-dead",
        description="Name of the SQS dead-letter queue behind it.",
    )
    alert_topic: str = Field(
        default="loupe-alerts", description="Name of the SNS topic for alerts; empty sends none."
    )
    image_buckets: list[str] = Field(
        default_factory=lambda: ["loupe-images"],
        description="Buckets an event's s3:// address may name (JSON list). Others are refused.",
    )
    dataset_bucket: str = Field(
        default="loupe-datasets", description="Bucket of dataset versions, objects and models."
    )
    largest_image_mp: int = Field(
        default=500, ge=50, le=4000, description="Largest image that is taken, in megapixels."
    )
    largest_image_mb: int = Field(
        default=2048, ge=64, description="Largest image file that is taken, in megabytes."
    )
    image_memory_mb: int = Field(
        default=1536,
        ge=512,
        description="Memory the process may take that decodes one large or 16-bit image.",
    )
    large_images_at_once: int = Field(
        default=1,
        ge=1,
        description="Large or 16-bit images cut into tiles at the same time by all workers; fewer "
        "than their processes, so that small ones never wait behind them.",
    )
    storage: str = Field(
        default="files",
        pattern="^(files|s3)$",
        description="`files` keeps buckets as folders under LOUPE_STATE; `s3` uses S3.",
    )
    mes_url: str = Field(
        default="", description="Address dispositions are posted to; empty keeps them queued."
    )
    mes_secret: SecretStr = Field(
        default=SecretStr(UNSAFE_MES_SECRET),
        description="Shared secret of the disposition signature. Production refuses the default.",
    )
    mes_targets: list[MesTarget] = Field(
        default_factory=list,
        description="Further systems that dispositions go to (JSON list of name, adapter, url, "
        "user, secret, profile, sites, timeout_s, options); see the integrator's guide.",
    )
    b2mml_schemas: str = Field(
        default="",
        description="Folder with MESA's B2MML V7 schemas; every B2MML document is then checked "
        "before it is sent or taken.",
    )
    b2mml_inbox: list[B2mmlInbox] = Field(
        default_factory=list,
        description="Folders B2MML documents are taken from (JSON list of folder, site, target).",
    )
    mes_timeout_s: float = Field(
        default=10.0,
        gt=0,
        description="Seconds to wait for the MES before the outcome is uncertain.",
    )
    mes_quarantine_s: float = Field(
        default=30.0,
        ge=0,
        description="Seconds an uncertain write-back rests before it is read back; longer than "
        "the MES's longest processing time.",
    )
    mes_alarm_s: float = Field(
        default=300.0,
        gt=0,
        description="Seconds a disposition may be undelivered before an alarm is raised for its "
        "site and target.",
    )
    mes_alarm_again_s: float = Field(
        default=600.0,
        ge=0,
        description="Seconds after an alarm has cleared in which the same one is not raised again.",
    )
    mes_reconcile_days: int = Field(
        default=7,
        ge=1,
        le=90,
        description="Days whose acknowledged dispositions are read back from the MES every night.",
    )
    mes_reconcile_per_s: float = Field(
        default=10.0,
        gt=0,
        description="Dispositions a reconciliation asks the MES for in a second, at most.",
    )
    public_url: str = Field(
        default="",
        description="Address people reach Loupe at; links in what is sent out begin with it.",
    )
    undo_window_s: float = Field(
        default=8.0, ge=0, description="Seconds an inspector can take a verdict back."
    )
    operator_hours: float = Field(
        default=10.0,
        gt=0,
        le=24,
        description="Hours for which an operator comes back to a tablet with the badge alone; "
        "then the PIN is asked for again.",
    )
    pin_tries: int = Field(
        default=5, ge=1, le=20, description="Wrong PINs until a lead must set a new one."
    )
    lease_s: float = Field(
        default=90.0, gt=0, le=120, description="Seconds a claimed task stays with its inspector."
    )
    call_escalates_s: float = Field(
        default=180.0,
        gt=0,
        description="Seconds a call from a station waits for an answer before the alert topic "
        "hears of it.",
    )
    fit_captures_to_close: int = Field(
        default=2,
        ge=1,
        description="Fit images in a row after which a station's capture check is over.",
    )
    line_lease_s: float = Field(
        default=1800.0,
        ge=60,
        le=7200,
        description="Seconds a tablet keeps units it may have to judge without network.",
    )
    request_threads: int = Field(
        default=4,
        ge=1,
        description="Requests each web process works on at the same time, each with a database "
        "connection of its own.",
    )
    line_waiting: int = Field(
        default=240,
        ge=1,
        description="Tablets each web process keeps waiting for news. gunicorn's --threads is at "
        "least this and LOUPE_REQUEST_THREADS together.",
    )
    bulk_deviating_share: float = Field(
        default=0.1,
        gt=0,
        lt=1,
        description="Share of deviating parts that a lot judged in one action must not reach "
        "unseen: its sample of ln(0.05) / ln(1 - share) parts would then miss them in 5 % of "
        "lots at most.",
    )
    training_backend: str = Field(
        default="local",
        pattern="^(local|sagemaker)$",
        description="Where training runs: `local` (a subprocess) or `sagemaker`.",
    )
    training_role_arn: str = Field(
        default="", description="Execution role of SageMaker training jobs."
    )
    training_image: str = Field(
        default="", description="Trainer image by digest, for SageMaker training jobs."
    )
    training_instance_type: str = Field(
        default="ml.m5.xlarge", description="Instance type of SageMaker training jobs."
    )
    model_server_url: str = Field(
        default="", description="Address of the server that answers for the model in force."
    )
    port: int = Field(default=8000, description="Port of the web server `make run` starts.")
    demo: bool = Field(
        default=False, description="Demo logins and the demo line; refused in production."
    )
    demo_pace_s: float = Field(
        default=1.2, ge=0, description="Seconds between units of the demo line."
    )
    hosts_consumer: bool = Field(
        default=True, description="Whether this worker reads the prediction queue."
    )
    hosts_relay: bool = Field(
        default=True, description="Whether this worker delivers write-backs to the MES."
    )
    heartbeat_file: Path | None = Field(
        default=None, description="File the worker touches while it is alive."
    )
    log_level: str = Field(default="INFO", description="Python logging level.")


ENVIRONMENT = Environment()
