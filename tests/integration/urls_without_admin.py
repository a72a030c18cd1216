from django.urls import include, path

urlpatterns = [path("backup/", include("backup_center.urls"))]
