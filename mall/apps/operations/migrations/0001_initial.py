import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import apps.records


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        ("store", "0001_initial"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="DeviceData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                (
                    "updated_at",
                    apps.records.ChangedAtField(
                        default=django.utils.timezone.now, editable=False, verbose_name="changed at"
                    ),
                ),
                ("device_number", models.CharField(max_length=32, verbose_name="device number")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("FOOTFALL", "Footfall counter"),
                            ("ELECTRICITY", "Electricity meter"),
                            ("CLIMATE", "Climate sensor"),
                        ],
                        max_length=16,
                        verbose_name="kind",
                    ),
                ),
                ("measured_at", models.DateTimeField(db_index=True, verbose_name="measured at")),
                ("reading", models.JSONField(default=dict, verbose_name="reading")),
                (
                    "shop",
                    models.ForeignKey(
                        blank=True,
                        help_text="Empty for devices in public areas.",
                        null=True,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="device_data",
                        to="store.shop",
                        verbose_name="shop",
                    ),
                ),
            ],
            options={
                "verbose_name": "device reading",
                "verbose_name_plural": "device readings",
                "ordering": ["-measured_at", "-pk"],
            },
        ),
        migrations.CreateModel(
            name="ManualOperationData",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                (
                    "updated_at",
                    apps.records.ChangedAtField(
                        default=django.utils.timezone.now, editable=False, verbose_name="changed at"
                    ),
                ),
                ("is_deleted", models.BooleanField(default=False, editable=False, verbose_name="deleted")),
                ("deleted_at", models.DateTimeField(blank=True, editable=False, null=True, verbose_name="deleted at")),
                ("business_date", models.DateField(verbose_name="business date")),
                ("revenue", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="revenue")),
                ("orders", models.PositiveIntegerField(verbose_name="orders")),
                ("visitors", models.PositiveIntegerField(verbose_name="visitors")),
                ("note", models.TextField(blank=True, verbose_name="note")),
                (
                    "entered_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="entered by",
                    ),
                ),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="manual_operation_data",
                        to="store.shop",
                        verbose_name="shop",
                    ),
                ),
            ],
            options={
                "verbose_name": "manual operation record",
                "verbose_name_plural": "manual operation records",
                "ordering": ["-business_date", "shop"],
                "constraints": [
                    models.UniqueConstraint(fields=("shop", "business_date"), name="one_manual_record_per_shop_and_day")
                ],
            },
        ),
        migrations.CreateModel(
            name="OperationAnalysis",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False, verbose_name="created at"),
                ),
                (
                    "updated_at",
                    apps.records.ChangedAtField(
                        default=django.utils.timezone.now, editable=False, verbose_name="changed at"
                    ),
                ),
                ("month", models.DateField(help_text="Its first day.", verbose_name="month")),
                ("revenue", models.DecimalField(decimal_places=2, max_digits=14, verbose_name="revenue")),
                (
                    "revenue_per_square_metre",
                    models.DecimalField(decimal_places=2, max_digits=12, verbose_name="revenue per m²"),
                ),
                ("average_order", models.DecimalField(decimal_places=2, max_digits=10, verbose_name="average order")),
                ("visitors", models.PositiveIntegerField(verbose_name="visitors")),
                (
                    "conversion_rate",
                    models.DecimalField(
                        decimal_places=4,
                        help_text="Orders per visitor, from 0 to 1.",
                        max_digits=5,
                        validators=[
                            django.core.validators.MinValueValidator(0),
                            django.core.validators.MaxValueValidator(1),
                        ],
                        verbose_name="conversion rate",
                    ),
                ),
                (
                    "grade",
                    models.CharField(
                        choices=[("A", "A: thriving"), ("B", "B: sound"), ("C", "C: watch"), ("D", "D: at risk")],
                        max_length=1,
                        verbose_name="grade",
                    ),
                ),
                ("remarks", models.TextField(blank=True, verbose_name="remarks")),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="operation_analyses",
                        to="store.shop",
                        verbose_name="shop",
                    ),
                ),
            ],
            options={
                "verbose_name": "operation analysis",
                "verbose_name_plural": "operation analyses",
                "ordering": ["-month", "shop"],
                "constraints": [
                    models.UniqueConstraint(fields=("shop", "month"), name="one_analysis_per_shop_and_month")
                ],
            },
        ),
    ]
