import django.core.validators
import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import apps.records


class Migration(migrations.Migration):
    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="Shop",
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
                ("number", models.CharField(max_length=16, unique=True, verbose_name="shop number")),
                ("name", models.CharField(max_length=80, verbose_name="name")),
                (
                    "category",
                    models.CharField(
                        choices=[
                            ("FASHION", "Fashion"),
                            ("DINING", "Dining"),
                            ("JEWELLERY", "Jewellery"),
                            ("BEAUTY", "Beauty"),
                            ("DIGITAL", "Digital"),
                            ("CHILDREN", "Children"),
                            ("HOME", "Furnishings"),
                            ("SUPERMARKET", "Supermarket"),
                            ("LEISURE", "Leisure"),
                        ],
                        max_length=16,
                        verbose_name="category",
                    ),
                ),
                (
                    "floor",
                    models.CharField(
                        choices=[("B1", "B1"), ("L1", "L1"), ("L2", "L2"), ("L3", "L3"), ("L4", "L4"), ("L5", "L5")],
                        max_length=4,
                        verbose_name="floor",
                    ),
                ),
                (
                    "area",
                    models.DecimalField(
                        decimal_places=2,
                        max_digits=8,
                        validators=[django.core.validators.MinValueValidator(0)],
                        verbose_name="area (m²)",
                    ),
                ),
                ("contact", models.CharField(max_length=40, verbose_name="contact")),
                ("phone", models.CharField(max_length=20, verbose_name="phone")),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("FITTING_OUT", "Fitting out"),
                            ("OPEN", "Open"),
                            ("SUSPENDED", "Suspended"),
                            ("CLOSED", "Closed"),
                        ],
                        default="FITTING_OUT",
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                ("opened_on", models.DateField(blank=True, null=True, verbose_name="opened on")),
            ],
            options={
                "verbose_name": "shop",
                "verbose_name_plural": "shops",
                "ordering": ["number"],
            },
        ),
        migrations.CreateModel(
            name="Contract",
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
                ("number", models.CharField(max_length=32, unique=True, verbose_name="contract number")),
                ("starts_on", models.DateField(verbose_name="starts on")),
                ("ends_on", models.DateField(verbose_name="ends on")),
                ("monthly_rent", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="monthly rent")),
                ("deposit", models.DecimalField(decimal_places=2, max_digits=12, verbose_name="deposit")),
                (
                    "billing_period",
                    models.PositiveSmallIntegerField(
                        choices=[(1, "Monthly"), (3, "Quarterly"), (6, "Half-yearly"), (12, "Yearly")],
                        default=1,
                        verbose_name="billing period",
                    ),
                ),
                (
                    "status",
                    models.CharField(
                        choices=[
                            ("DRAFT", "Draft"),
                            ("IN_REVIEW", "In review"),
                            ("REJECTED", "Rejected"),
                            ("ACTIVE", "Active"),
                            ("EXPIRED", "Expired"),
                            ("TERMINATED", "Terminated"),
                        ],
                        default="DRAFT",
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                ("reviewed_at", models.DateTimeField(blank=True, null=True, verbose_name="reviewed at")),
                ("review_comment", models.TextField(blank=True, verbose_name="review comment")),
                (
                    "reviewed_by",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="reviewed_contracts",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="reviewed by",
                    ),
                ),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="contracts",
                        to="store.shop",
                        verbose_name="shop",
                    ),
                ),
            ],
            options={
                "verbose_name": "contract",
                "verbose_name_plural": "contracts",
                "ordering": ["number"],
                "constraints": [
                    models.CheckConstraint(
                        condition=models.Q(("ends_on__gte", models.F("starts_on"))),
                        name="contract_ends_after_it_starts",
                        violation_error_message="A contract can't end before it starts.",
                    )
                ],
            },
        ),
    ]
