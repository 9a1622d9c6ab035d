"""SageMaker's requests, built from plain values; nothing here talks to anybody."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retraining.backends.protocol import JobSpec, Release

CONTENT_TYPES = ["image/jpeg", "image/png"]
VARIANT = "AllTraffic"
METRICS = ("auroc", "average_precision", "ece", "log_loss", "class_auroc", "class_accuracy")
LARGEST_INSTANCE_COUNT = 100


@dataclass(frozen=True, slots=True)
class Account:
    """What one AWS account offers: the role, the trainer image by digest, machines and network."""

    role_arn: str
    image: str
    training_instance: str = "ml.m5.xlarge"
    serving_instance: str = "ml.m5.large"
    serving_count: int = 1
    volume_gb: int = 50
    subnets: tuple[str, ...] = ()
    security_groups: tuple[str, ...] = ()
    kms_key: str = ""
    alarms: tuple[str, ...] = field(default=())


def endpoint_name(release: Release) -> str:
    """One endpoint a model name; its package group is named alike."""
    return _name(f"loupe-{release.model_name}"[:50])


def title(release: Release) -> str:
    """The name of the model and its endpoint configuration: another one each deployment."""
    return _name(f"{endpoint_name(release)[:40]}-{release.model_version[:8]}-{release.deployment}")


def _name(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", text).strip("-")


def training_job(spec: JobSpec, account: Account) -> dict[str, Any]:
    """CreateTrainingJob. The job's name is the idempotency key: there is no client token."""
    request: dict[str, Any] = {
        "TrainingJobName": spec.job_name,
        "RoleArn": account.role_arn,
        "AlgorithmSpecification": {
            "TrainingImage": account.image,
            "TrainingInputMode": "File",
            "ContainerArguments": ["train"],
            "MetricDefinitions": [
                {"Name": f"loupe:{name}", "Regex": f"loupe:{name}=([0-9.eE+-]+)"}
                for name in METRICS
            ],
            "EnableSageMakerMetricsTimeSeries": True,
        },
        "InputDataConfig": _channels(spec),
        "OutputDataConfig": _encrypted(
            {"S3OutputPath": f"s3://{spec.bucket}/training/", "CompressionType": "GZIP"}, account
        ),
        "ResourceConfig": {
            "InstanceType": account.training_instance,
            "InstanceCount": 1,
            "VolumeSizeInGB": account.volume_gb,
        },
        "StoppingCondition": {"MaxRuntimeInSeconds": spec.max_seconds},
        "EnableNetworkIsolation": True,
        "HyperParameters": dict(spec.hyperparameters),
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(spec.tags.items())],
    }
    if account.subnets:
        request["VpcConfig"] = {
            "Subnets": list(account.subnets),
            "SecurityGroupIds": list(account.security_groups),
        }
    return request


def _channels(spec: JobSpec) -> list[dict[str, Any]]:
    base = f"s3://{spec.bucket}/{spec.dataset_prefix}"
    channels = [
        _channel(split, "ManifestFile", f"{base}/{split}.images.manifest") for split in spec.splits
    ]
    channels.append(_channel("labels", "S3Prefix", f"{base}/labels/"))
    if spec.champion_prefix is not None:
        where = f"s3://{spec.bucket}/{spec.champion_prefix}/"
        channels.append(_channel("champion", "S3Prefix", where))
    return channels


def _channel(name: str, kind: str, uri: str) -> dict[str, Any]:
    return {
        "ChannelName": name,
        "InputMode": "File",
        "DataSource": {
            "S3DataSource": {
                "S3DataType": kind,
                "S3Uri": uri,
                "S3DataDistributionType": "FullyReplicated",
            }
        },
    }


def _encrypted(config: dict[str, Any], account: Account) -> dict[str, Any]:
    return config | ({"KmsKeyId": account.kms_key} if account.kms_key else {})


def describe_training_job(name: str) -> dict[str, Any]:
    """DescribeTrainingJob."""
    return {"TrainingJobName": name}


def stop_training_job(name: str) -> dict[str, Any]:
    """StopTrainingJob."""
    return {"TrainingJobName": name}


def model_data_url(release: Release) -> str:
    """Where the training job left the packed model."""
    return f"s3://{release.bucket}/training/{release.job_name}/output/model.tar.gz"


def model_package_group(release: Release) -> dict[str, Any]:
    """CreateModelPackageGroup."""
    return {
        "ModelPackageGroupName": endpoint_name(release),
        "ModelPackageGroupDescription": f"Models of {release.model_name} at {release.site}"[:1024],
    }


def model_package(release: Release, account: Account) -> dict[str, Any]:
    """CreateModelPackage, not yet approved; the token makes a repeat answer with the first one."""
    token = uuid.uuid5(uuid.NAMESPACE_URL, f"{endpoint_name(release)}/{model_data_url(release)}")
    return {
        "ModelPackageGroupName": endpoint_name(release),
        "ModelApprovalStatus": "PendingManualApproval",
        "ClientToken": str(token),
        "InferenceSpecification": {
            "Containers": [{"Image": account.image, "ModelDataUrl": model_data_url(release)}],
            "SupportedContentTypes": CONTENT_TYPES,
            "SupportedResponseMIMETypes": ["application/json"],
            "SupportedRealtimeInferenceInstanceTypes": [account.serving_instance],
        },
        "CustomerMetadataProperties": _lineage(release),
        "ModelLifeCycle": {"Stage": "Staging", "StageStatus": "PendingApproval"},
    }


def _lineage(release: Release) -> Mapping[str, str]:
    return {
        "loupe:site": release.site[:256],
        "loupe:model": f"{release.model_name} {release.model_version}",
        "loupe:dataset_version": release.dataset_label or "-",
        "loupe:content_sha256": release.content_sha256 or "-",
        "loupe:gate": "passed",
    }


def approval(package_arn: str, release: Release) -> dict[str, Any]:
    """UpdateModelPackage: what the person in Loupe decided."""
    return {
        "ModelPackageArn": package_arn,
        "ModelApprovalStatus": "Approved",
        "ApprovalDescription": f"Passed the gate; promoted by {release.approved_by}"[:1024],
        "ModelLifeCycle": {"Stage": "Production", "StageStatus": "Approved"},
    }


def model(package_arn: str, release: Release, account: Account) -> dict[str, Any]:
    """CreateModel from the approved package."""
    return {
        "ModelName": title(release),
        "ExecutionRoleArn": account.role_arn,
        "Containers": [{"ModelPackageName": package_arn}],
        "EnableNetworkIsolation": True,
    }


def endpoint_config(release: Release, account: Account) -> dict[str, Any]:
    """CreateEndpointConfig. The variant keeps its name: a deployment with guardrails needs that."""
    config: dict[str, Any] = {
        "EndpointConfigName": title(release),
        "ProductionVariants": [
            {
                "VariantName": VARIANT,
                "ModelName": title(release),
                "InitialInstanceCount": min(account.serving_count, LARGEST_INSTANCE_COUNT),
                "InstanceType": account.serving_instance,
                "InitialVariantWeight": 1.0,
                "ContainerStartupHealthCheckTimeoutInSeconds": 600,
                "RoutingConfig": {"RoutingStrategy": "LEAST_OUTSTANDING_REQUESTS"},
            }
        ],
    }
    return _encrypted(config, account)


def endpoint(release: Release) -> dict[str, Any]:
    """CreateEndpoint, for the first model of all."""
    return {"EndpointName": endpoint_name(release), "EndpointConfigName": title(release)}


def endpoint_update(release: Release, account: Account) -> dict[str, Any]:
    """UpdateEndpoint: a canary where there are machines to split, and back by itself on alarm."""
    request: dict[str, Any] = {**endpoint(release), "RetainAllVariantProperties": False}
    routing: dict[str, Any] = {"Type": "ALL_AT_ONCE", "WaitIntervalInSeconds": 300}
    if account.serving_count > 1:
        # A canary may be at most half of the fleet, and at least one machine.
        size = {"Type": "INSTANCE_COUNT", "Value": max(1, account.serving_count // 5)}
        routing = {"Type": "CANARY", "CanarySize": size, "WaitIntervalInSeconds": 900}
    deployment: dict[str, Any] = {
        "BlueGreenUpdatePolicy": {
            "TrafficRoutingConfiguration": routing,
            "TerminationWaitInSeconds": 300,
            "MaximumExecutionTimeoutInSeconds": 5400,
        }
    }
    if account.alarms:
        alarms = [{"AlarmName": name} for name in account.alarms[:10]]
        deployment["AutoRollbackConfiguration"] = {"Alarms": alarms}
    return {**request, "DeploymentConfig": deployment}
