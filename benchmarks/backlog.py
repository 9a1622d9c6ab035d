"""A queue of any length, put in by SQL."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

from governance.models import Grant, User
from governance.roles import Role
from labeling.models import DefectClass
from traceability.models import Line, ModelVersion, PartNumber, PartRevision, Site, Station

_ROWS = (
    """
    INSERT INTO traceability_unit (uuid, site_id, serial, part_revision_id, disposition,
    disposition_revision, first_seen_at) SELECT gen_random_uuid(), %(site)s, 'B-' || n,
    %(revision)s, '', 0, %(at)s FROM generate_series(%(first)s, %(last)s) n
    """,
    """
    INSERT INTO traceability_inspection (uuid, site_id, line_id, station_id, unit_id, external_id,
    views_expected, opened_at, settled_at) SELECT gen_random_uuid(), u.site_id, %(line)s,
    %(station)s, u.id, u.serial || '/1', 1, %(at)s, %(at)s FROM traceability_unit u WHERE NOT
    EXISTS (SELECT 1 FROM traceability_inspection i WHERE i.unit_id = u.id)
    """,
    """
    INSERT INTO traceability_capture (uuid, site_id, inspection_id, view, captured_at, bucket,
    key, version_id, sha256, media_type, width, height, camera, shift, quality, preview,
    preview_refusal) SELECT gen_random_uuid(), i.site_id, i.id, 'main', %(at)s, 'loupe-images',
    i.external_id, '', md5(i.external_id) || md5(i.external_id), 'image/jpeg', 480, 360, '', '',
    '{}', 'READY', '' FROM traceability_inspection i WHERE NOT EXISTS (SELECT 1 FROM
    traceability_capture c WHERE c.inspection_id = i.id)
    """,
    """
    INSERT INTO traceability_prediction (uuid, site_id, source, event_id, body_sha256, event_at,
    received_at, capture_id, model_version_id, score, defect_class, detections, heatmap_uri,
    sender_route, reply, ext, route, policy_version, sampled, inclusion_probability) SELECT
    gen_random_uuid(), c.site_id, 'bench', c.key, c.sha256, %(at)s, %(at)s, c.id, %(model)s, 0.5,
    'scratch', '[{"id": "1", "label": "scratch", "score": 0.5, "box": [10, 20, 30, 40]}]', '', '',
    '{}', '{}', 'REVIEW', 1, false, 1 FROM traceability_capture c WHERE NOT EXISTS (SELECT 1 FROM
    traceability_prediction p WHERE p.capture_id = c.id)
    """,
    """
    INSERT INTO review_reviewtask (uuid, site_id, line_id, inspection_id, unit_id, kind, state,
    score, defect_class, policy_version, review_from, contain_from, inclusion_probability,
    opened_at, deadline, due, severity, is_escalated, fence) SELECT gen_random_uuid(), i.site_id,
    i.line_id, i.id, i.unit_id, 'REVIEW', 'QUEUED', 0.5, 'scratch', 1, 0.3, 0.8, 1, %(at)s,
    %(deadline)s + i.id * interval '1 ms', date_trunc('minute', %(deadline)s + i.id * interval '1
    ms'), i.id %% 3, false, 0 FROM traceability_inspection i WHERE NOT EXISTS (SELECT 1 FROM
    review_reviewtask t WHERE t.inspection_id = i.id)
    """,
)


def fill(*, size: int) -> None:
    """Have `size` open tasks; those that lack are new units, each with its inspection."""
    at = timezone.now()
    site, _new = Site.objects.get_or_create(code="bench")
    line, _new = Line.objects.get_or_create(site=site, code="line-1")
    station, _new = Station.objects.get_or_create(site=site, line=line, code="st-1")
    part, _new = PartNumber.objects.get_or_create(site=site, number="P-1")
    revision, _new = PartRevision.objects.get_or_create(site=site, part_number=part, revision="A")
    model, _new = ModelVersion.objects.get_or_create(
        site=site, name="bench", version="1", defaults={"first_seen_at": at}
    )
    DefectClass.objects.get_or_create(site=site, code="scratch", defaults={"name": "Scratch"})
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traceability_unit")
        units = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM review_reviewtask WHERE state = 'QUEUED'")
        lacking = size - cursor.fetchone()[0]
        if lacking <= 0:
            return
        values = {
            "site": site.pk,
            "line": line.pk,
            "station": station.pk,
            "revision": revision.pk,
            "model": model.pk,
            "at": at,
            "deadline": at + timedelta(days=1),
            "first": units + 1,
            "last": units + lacking,
        }
        for statement in _ROWS:
            cursor.execute(statement, values)
        cursor.execute("ANALYZE")


def inspectors(count: int) -> list[User]:
    """`count` inspectors of the bench's site."""
    site = Site.objects.get(code="bench")
    people = []
    for number in range(count):
        user, is_new = User.objects.get_or_create(username=f"inspector-{number}")
        if is_new:
            Grant.objects.create(user=user, role=Role.INSPECTOR, site=site)
        people.append(user)
    return people
