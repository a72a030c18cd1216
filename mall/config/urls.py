from django.contrib import admin
from django.contrib.staticfiles.views import serve
from django.urls import include, path
from django.utils.translation import gettext_lazy as _
from django.views.generic import RedirectView

admin.site.site_header = admin.site.site_title = _("Mall operations")
admin.site.index_title = _("Overview")

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("backup/", include("backup_center.urls")),
    path("i18n/", include("django.conf.urls.i18n")),
    # "insecure" is Django's word for serving them without DEBUG, one file at a time. That is all that a few operators
    # need, on any server and without collectstatic; a busy host lets its web server answer /static/ before this does.
    path("static/<path:path>", serve, {"insecure": True}),
]
