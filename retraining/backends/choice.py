"""Which backend the settings ask for."""

from __future__ import annotations

from functools import cache

import boto3
from django.conf import settings
from django.utils.translation import gettext as _

from retraining.backends.local import LocalBackend
from retraining.backends.local_serving import LocalServing
from retraining.backends.protocol import BackendRefused, Serving, TrainingBackend
from retraining.backends.requests import Account
from retraining.backends.sagemaker import SageMakerBackend, SageMakerServing

SAGEMAKER = SageMakerBackend.name


def training(name: str) -> TrainingBackend:
    """The backend a run was given; BackendRefused when its settings are not complete."""
    if name == SAGEMAKER:
        return _sagemaker(_account(), settings.LOUPE.aws_region)[0]
    return LocalBackend(folder=settings.LOUPE.state / "training", code=settings.BASE_DIR)


def serving() -> Serving:
    """What answers for the model in force."""
    if settings.LOUPE.training_backend == SAGEMAKER:
        return _sagemaker(_account(), settings.LOUPE.aws_region)[1]
    return LocalServing(
        folder=settings.LOUPE.state / "serving", server=settings.LOUPE.model_server_url
    )


def _account() -> Account:
    environment = settings.LOUPE
    if not (environment.training_role_arn and environment.training_image):
        raise BackendRefused(
            _("Training on SageMaker needs LOUPE_TRAINING_ROLE_ARN and LOUPE_TRAINING_IMAGE.")
        )
    return Account(
        role_arn=environment.training_role_arn,
        image=environment.training_image,
        training_instance=environment.training_instance_type,
    )


@cache
def _sagemaker(account: Account, region: str) -> tuple[SageMakerBackend, SageMakerServing]:
    client = boto3.client("sagemaker", region_name=region)
    return SageMakerBackend(client, account), SageMakerServing(client, account)
