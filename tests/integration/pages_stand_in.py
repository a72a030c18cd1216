"""URLs of a project that includes the pages, for tests of what leads to them."""

from django.contrib import admin
from django.http import HttpResponse
from django.urls import include, path

PAGES = [path(route, HttpResponse, name=name) for route, name in (("", "list"), ("create/", "create"))]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("backup/", include((PAGES, "backup"))),
]
