"""IPC-CFX 2.1, as far as Loupe speaks and hears it: typed, so that nothing else gets out.

The names on the wire are the standard's own. What is said refuses a field it does not know (a slip
in a mapping profile), what is heard passes over it (the peer may be newer).
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue
from pydantic.alias_generators import to_pascal

VERSION: Final = "2.1"

Verification = Literal[
    "NotVerifiedYet",
    "DefectConfirmed",
    "DefectRejected",
    "DefectAccepted",
    "DefectRepaired",
    "DefectClosed",
]
Result = Literal["Passed", "Failed", "Error", "Aborted", "Skipped"]
Method = Literal["Human", "AOI", "SPI", "AXI"]
Actor = Literal["Human", "Robot", "RemoteSystem"]
Sampling = Literal[
    "NoSampling", "ANSI_Z14", "MIL_STD_105", "MIL_STD_1916", "Squeglia", "FixedSample"
]
Disqualification = Literal[
    "DefectiveRepairNotPossible", "DefectiveRepairNotFeasible", "DefectiveMaterials"
]
RepairResult = Literal["RepairSuccessful", "UnableToRepair", "Scrap", "Error", "Aborted"]
Status = Literal["Success", "Failed", "Warning"]
TopicQuery = Literal["All", "Any", "Ignore"]
Confidence = Annotated[float, Field(ge=1, le=100)]
Named = Annotated[str, Field(min_length=1)]


_OWN_NAMES: Final = {
    "cfx_handle": "CFXHandle",
    "image_url": "ImageURL",
    "request_id": "RequestID",
    "unique_id": "UniqueID",
}


def _name(field: str) -> str:
    return _OWN_NAMES.get(field) or to_pascal(field)


class Said(BaseModel):
    """What Loupe sends."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, alias_generator=_name, validate_by_name=True
    )


class Heard(BaseModel):
    """What a peer sends."""

    model_config = ConfigDict(
        extra="ignore", frozen=True, alias_generator=_name, validate_by_name=True
    )


class Operator(Said):
    """Who did it; names are given only where the profile asks for them."""

    operator_identifier: str | None = None
    actor_type: Actor = "Human"
    last_name: str | None = None
    first_name: str | None = None
    login_name: str | None = None


class SamplingInformation(Said):
    """How the units were chosen."""

    sampling_method: Sampling = "NoSampling"
    lot_size: float | None = Field(default=None, ge=0)
    sample_size: float | None = Field(default=None, ge=0)


class ComponentDesignator(Said):
    """The component a defect is of."""

    reference_designator: str | None = None
    unit_position: dict[str, JsonValue] | None = None
    part_number: str | None = None


class Segment(Said):
    """One further corner of a region."""

    x: float
    y: float


class Region(Said):
    """A polygon on the unit, in millimetres."""

    start_point_x: float
    start_point_y: float
    region_segments: tuple[Segment, ...] = ()


class Image(Said):
    """A picture by its address: a broker's messages are too small for pixels."""

    mime_type: str = "image/png"
    transfer_mode: Literal["OutOfBand"] = "OutOfBand"
    image_url: Named


class Defect(Said):
    """One kind of defect on the unit."""

    unique_identifier: str | None = None
    defect_code: Named
    defect_category: str | None = None
    description: str | None = None
    comments: str | None = None
    component_of_interest: ComponentDesignator | None = None
    region_of_interest: Region | None = None
    defect_images: tuple[Image, ...] = ()
    priority: int | None = Field(default=None, ge=1)
    confidence_level: Confidence | None = None
    verification: Verification | None = None
    verification_detail: str | None = None


class Inspection(Said):
    """One step of an inspection."""

    unique_identifier: str | None = None
    inspection_name: str | None = None
    inspection_start_time: AwareDatetime | None = None
    inspection_end_time: AwareDatetime | None = None
    test_procedure: str | None = None
    comments: str | None = None
    result: Result
    verification: Verification
    verification_detail: str | None = None
    error: str | None = None
    defects_found: tuple[Defect, ...] = ()
    symptoms: tuple[dict[str, JsonValue], ...] = ()
    measurements: tuple[dict[str, JsonValue], ...] = ()


class InspectedUnit(Said):
    """What was found on one unit."""

    unit_identifier: Named
    unit_position_number: int | None = Field(default=None, ge=0)
    overall_result: Result
    verification: Verification
    total_inspection_count: int | None = Field(default=None, ge=0)
    inspections: tuple[Inspection, ...] = ()


class UnitsInspected(Said):
    """CFX.Production.TestAndInspection.UnitsInspected."""

    primary_identifier: str | None = None
    hermes_identifier: str | None = None
    transaction_id: UUID | None = None
    inspection_method: Method
    sampling_information: SamplingInformation = SamplingInformation()
    inspector: Operator
    recipe_name: str | None = None
    recipe_revision: str | None = None
    inspected_units: Annotated[tuple[InspectedUnit, ...], Field(min_length=1)]


class UnitPosition(Said):
    """A unit, and where it sits in its carrier."""

    unit_identifier: Named
    position_number: int = Field(default=1, ge=0)
    position_name: str | None = None
    x: float = 0
    y: float = 0
    rotation: float = 0
    flip_x: bool = False
    flip_y: bool = False
    status: Literal["Pass", "Fail", "Skip"] | None = None


class UnitsDisqualified(Said):
    """CFX.Production.UnitsDisqualified: the unit is scrapped."""

    reason: Disqualification
    comments: str | None = None
    primary_identifier: str | None = None
    units: Annotated[tuple[UnitPosition, ...], Field(min_length=1)]


class Repair(Said):
    """One repair and what became of it."""

    unique_identifier: str | None = None
    repair_name: str | None = None
    repair_start_time: AwareDatetime | None = None
    repair_end_time: AwareDatetime | None = None
    comments: str | None = None
    related_defect_identifiers: tuple[str, ...] = ()
    result: RepairResult
    error: str | None = None


class RepairedUnit(Said):
    """What became of one unit's repairs."""

    unit_identifier: Named
    unit_position_number: int | None = Field(default=None, ge=0)
    overall_result: RepairResult
    repairs: tuple[Repair, ...] = ()


class UnitsRepaired(Said):
    """CFX.Production.ReworkAndRepair.UnitsRepaired: the outcome of a rework."""

    transaction_id: UUID | None = None
    repair_operator: Operator
    repaired_units: Annotated[tuple[RepairedUnit, ...], Field(min_length=1)]


class Address(Said):
    """Who the endpoint is and where it is asked."""

    cfx_handle: str
    request_network_uri: str
    request_target_address: str | None = None


class EndpointConnected(Address):
    """CFX.EndpointConnected."""


class Heartbeat(Said):
    """CFX.Heartbeat: the endpoint is there, and says when it will say so again."""

    cfx_handle: str
    heartbeat_frequency: str = Field(pattern=r"^\d\d:\d\d:\d\d$")


class RequestResult(Said):
    """Whether a request was carried out."""

    result: Status = "Success"
    result_code: int = 0
    message: str | None = None


class AreYouThereResponse(Address):
    """CFX.AreYouThereResponse."""

    result: RequestResult = RequestResult()


class WhoIsThereResponse(Address):
    """CFX.WhoIsThereResponse."""

    result: RequestResult = RequestResult()


class GetInspectionInfoResponse(Said):
    """CFX.Production.TestAndInspection.GetInspectionInfoResponse."""

    inspected_units: tuple[InspectedUnit, ...] = ()


class NotSupportedResponse(Said):
    """CFX.NotSupportedResponse: an answer to what Loupe cannot answer."""

    request_result: RequestResult


class AreYouThereRequest(Heard):
    """CFX.AreYouThereRequest; meant for the endpoint whose handle it names."""

    cfx_handle: str | None = None


class SupportedTopic(Heard):
    """A topic that an endpoint is asked to know."""

    topic_name: str


class WhoIsThereRequest(Heard):
    """CFX.WhoIsThereRequest: asked of all."""

    supported_topic_query_type: TopicQuery = "Ignore"
    supported_topics: tuple[SupportedTopic, ...] = ()


class UnitInfo(Heard):
    """A unit that is asked for."""

    unit_identifier: str | None = None


class GetInspectionInfoRequest(Heard):
    """CFX.Production.TestAndInspection.GetInspectionInfoRequest."""

    primary_identifier: str | None = None
    units: tuple[UnitInfo, ...] | None = None


class HeardResult(Heard):
    """What a peer says of a request; a code or word that is new fails nothing but the reading."""

    result: Status
    result_code: int | None = None
    message: str | None = None


class HeardEnvelope(Heard):
    """A peer's envelope; its body is read by the message's own model."""

    message_name: str
    unique_id: UUID | None = None
    source: str | None = None
    target: str | None = None
    request_id: str | None = None
    message_body: dict[str, Any] = Field(default_factory=dict)


SaidBody = (
    UnitsInspected
    | UnitsDisqualified
    | UnitsRepaired
    | EndpointConnected
    | Heartbeat
    | AreYouThereResponse
    | WhoIsThereResponse
    | GetInspectionInfoResponse
    | NotSupportedResponse
)

NAMES: Final[dict[type[Said], str]] = {
    UnitsInspected: "CFX.Production.TestAndInspection.UnitsInspected",
    UnitsDisqualified: "CFX.Production.UnitsDisqualified",
    UnitsRepaired: "CFX.Production.ReworkAndRepair.UnitsRepaired",
    EndpointConnected: "CFX.EndpointConnected",
    Heartbeat: "CFX.Heartbeat",
    AreYouThereResponse: "CFX.AreYouThereResponse",
    WhoIsThereResponse: "CFX.WhoIsThereResponse",
    GetInspectionInfoResponse: "CFX.Production.TestAndInspection.GetInspectionInfoResponse",
    NotSupportedResponse: "CFX.NotSupportedResponse",
}


class Envelope(Said):
    """CFXEnvelope. `unique_id` and `time_stamp` are the same on every attempt."""

    unique_id: UUID
    time_stamp: AwareDatetime
    source: Named
    target: str | None = None
    request_id: str | None = None
    message_body: SaidBody

    @property
    def message_name(self) -> str:
        """The full name of what it carries."""
        return NAMES[type(self.message_body)]

    @property
    def topic(self) -> str:
        """The namespace of what it carries."""
        return self.message_name.rpartition(".")[0]

    def as_json(self) -> dict[str, Any]:
        """As it stands on the wire: `$type` first, for a reader that builds the object by it."""
        body = self.message_body.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {
            "MessageName": self.message_name,
            "Version": VERSION,
            "TimeStamp": self.model_dump(mode="json", include={"time_stamp"})["time_stamp"],
            "UniqueID": str(self.unique_id),
            "Source": self.source,
            "Target": self.target,
            "RequestID": self.request_id,
            "MessageBody": {"$type": f"{self.message_name}, CFX", **body},
        }
