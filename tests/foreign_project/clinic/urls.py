from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.urls import path

from backup_center.engine.errors import Refused
from backup_center.services import BackupService


def careless(request: HttpRequest) -> HttpResponse:
    """A view inside the transaction that ATOMIC_REQUESTS opens."""
    try:
        return HttpResponse(BackupService().create_backup().backup_name)
    except Refused as error:
        return HttpResponse(str(error), status=409)


@transaction.non_atomic_requests
def careful(request: HttpRequest) -> HttpResponse:
    return careless(request)


urlpatterns = [path("careless/", careless), path("careful/", careful)]
