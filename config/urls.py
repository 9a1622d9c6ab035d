"""Every address of Loupe, app by app."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

import governance.device_api
import inference_bridge.urls
import labeling.urls
import mes_integration.urls
import retraining.urls
from config.api_description import ApiDescription
from config.health import health

api: list[URLPattern | URLResolver] = [
    path("", include("review.api_urls")),
    path("", include("review.line.api_urls")),
    *governance.device_api.device_api_urls,
    *inference_bridge.urls.api_urls,
    *mes_integration.urls.api_urls,
    *labeling.urls.api_urls,
    *retraining.urls.api_urls,
]

handler500 = "config.away.fault"

urlpatterns = [
    path("health/", health, name="health"),
    path("language/", set_language, name="set_language"),
    path("api/schema/", ApiDescription.as_view(), name="schema"),
    path("api/v1/", include(api)),
    path("", include("governance.urls")),
    path("", include("insights.urls")),
    path("", include("governance.image_urls")),
    path("", include("inference_bridge.urls")),
    path("", include("mes_integration.urls")),
    path("nonconformances/", include("mes_integration.nonconformance_urls")),
    path("", include("labeling.urls")),
    path("", include("retraining.urls")),
    path("review/", include("review.urls")),
    path("line/", include("review.line.urls")),
]
