"""Every setting Loupe reads from the environment; the table in the docs is made from it."""

from __future__ import annotations

from pathlib import Path

from pydantic import AliasChoices, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

UNSAFE_SECRET_KEY = "unsafe-key-for-local-use-only"  # noqa: S105  # production refuses it
UNSAFE_MES_SECRET = "demo-mes-secret"  # noqa: S105  # production refuses it
ROOT = Path(__file__).resolve().parents[2]


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
    undo_window_s: float = Field(
        default=8.0, ge=0, description="Seconds an inspector can take a verdict back."
    )
    lease_s: float = Field(
        default=90.0, gt=0, le=120, description="Seconds a claimed task stays with its inspector."
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
