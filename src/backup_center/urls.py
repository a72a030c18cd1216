"""``path("backup/", include("backup_center.urls"))`` in the host's URLs."""

from __future__ import annotations

from django.urls import path

from .web import (
    alarms,
    browsing,
    creating,
    details,
    exporting,
    identity,
    importing,
    listing,
    logs,
    metrics,
    records,
    restoring,
    scheduling,
    settings,
    working,
)

app_name = "backup"

urlpatterns = [
    path("", listing.BackupListView.as_view(), name="list"),
    path("create/", creating.BackupCreateView.as_view(), name="create"),
    path("import/", importing.BackupImportView.as_view(), name="import"),
    path("stats/", listing.BackupStatsView.as_view(), name="stats"),
    path("selected/", listing.SelectedView.as_view(), name="selected"),
    path("confirm-identity/", identity.ConfirmIdentityView.as_view(), name="confirm_identity"),
    path("jobs/", working.JobListView.as_view(), name="jobs"),
    path("jobs/<int:pk>/", working.JobView.as_view(), name="job"),
    path("jobs/<int:pk>/cancel/", working.JobCancelView.as_view(), name="job_cancel"),
    path("progress/", creating.ProgressView.as_view(), name="progress"),
    path("log/", logs.LogView.as_view(), name="log"),
    path("log/verify/", logs.LogVerifyView.as_view(), name="log_verify"),
    path("log/export/", exporting.LogExportView.as_view(), name="log_export"),
    path("log/<int:pk>/", logs.LogEntryView.as_view(), name="log_entry"),
    path("log/<int:pk>/undo/", restoring.RestoreUndoView.as_view(), name="undo"),
    path("schedules/", scheduling.ScheduleListView.as_view(), name="schedules"),
    path("schedules/add/", scheduling.ScheduleAddView.as_view(), name="schedule_add"),
    path("schedules/<int:pk>/", scheduling.ScheduleEditView.as_view(), name="schedule"),
    path("schedules/<int:pk>/switch/", scheduling.ScheduleSwitchView.as_view(), name="schedule_switch"),
    path("schedules/<int:pk>/run/", scheduling.ScheduleRunView.as_view(), name="schedule_run"),
    path("schedules/<int:pk>/delete/", scheduling.ScheduleDeleteView.as_view(), name="schedule_delete"),
    path("alarms/", alarms.AlarmsView.as_view(), name="alarms"),
    path("alarms/test/", alarms.AlarmTestView.as_view(), name="alarm_test"),
    path("metrics/", metrics.MetricsView.as_view(), name="metrics"),
    path("settings/", settings.SettingsView.as_view(), name="settings"),
    path("<int:pk>/", details.BackupDetailView.as_view(), name="detail"),
    path("<int:pk>/download/", details.BackupDownloadView.as_view(), name="download"),
    path("<int:pk>/restore/", restoring.BackupRestoreView.as_view(), name="restore"),
    path("<int:pk>/delete/", details.BackupDeleteView.as_view(), name="delete"),
    path("<int:pk>/verify/", details.BackupVerifyView.as_view(), name="verify"),
    path("<int:pk>/browse/", browsing.BrowseView.as_view(), name="browse"),
    path("<int:pk>/browse/<str:label>/", browsing.BrowseTableView.as_view(), name="browse_table"),
    path("record/<str:label>/<str:key>/", records.RecordView.as_view(), name="record"),
    path("<int:pk>/record/<str:label>/<str:key>/", restoring.BringBackView.as_view(), name="bring_back"),
    path("<int:pk>/drill/", details.BackupDrillView.as_view(), name="drill"),
    path("<int:pk>/pin/", details.BackupPinView.as_view(), name="pin"),
]
