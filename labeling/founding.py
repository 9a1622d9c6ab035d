"""How a dataset begins."""

from __future__ import annotations

from datetime import datetime

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from governance import audit
from governance.access import Actor
from labeling.models import Dataset
from traceability.models import Site
from traceability.refusals import Conflict, Invalid


def found_dataset(*, actor: Actor, site: Site, slug: str, name: str, at: datetime) -> Dataset:
    """Create a dataset of a site. Raises Conflict when the slug is taken, by any site."""
    if Dataset.objects.filter(slug=slug).exists():
        raise Conflict(_("%(code)s is there already.") % {"code": slug})
    dataset = Dataset(site=site, slug=slug, name=name or slug)
    try:
        dataset.clean_fields()
    except ValidationError as error:
        raise Invalid(" ".join(error.messages)) from error
    with audit.recorded(actor=actor, at=at) as trail:
        dataset.save()
        trail.add("dataset.add", subject_kind="dataset", subject=slug, site_id=site.pk)
    return dataset
