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
            name="FinanceRecord",
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
                (
                    "record_type",
                    models.CharField(
                        choices=[
                            ("RENT", "Rent"),
                            ("DEPOSIT", "Deposit"),
                            ("PROPERTY_FEE", "Property fee"),
                            ("UTILITIES", "Water and electricity"),
                            ("PROMOTION", "Promotion fee"),
                            ("PARKING", "Parking"),
                            ("PENALTY", "Penalty"),
                        ],
                        max_length=16,
                        verbose_name="type",
                    ),
                ),
                ("amount", models.DecimalField(decimal_places=2, max_digits=14, verbose_name="amount")),
                ("billing_start", models.DateField(verbose_name="billed from")),
                ("billing_end", models.DateField(verbose_name="billed to")),
                (
                    "status",
                    models.CharField(
                        choices=[("UNPAID", "Unpaid"), ("PAID", "Paid"), ("OVERDUE", "Overdue"), ("VOIDED", "Voided")],
                        default="UNPAID",
                        max_length=16,
                        verbose_name="status",
                    ),
                ),
                (
                    "payment_method",
                    models.CharField(
                        blank=True,
                        choices=[
                            ("WECHAT", "WeChat Pay"),
                            ("ALIPAY", "Alipay"),
                            ("BANK_TRANSFER", "Bank transfer"),
                            ("CASH", "Cash"),
                        ],
                        max_length=16,
                        verbose_name="payment method",
                    ),
                ),
                ("transaction_id", models.CharField(blank=True, max_length=64, verbose_name="transaction number")),
                ("paid_at", models.DateTimeField(blank=True, null=True, verbose_name="paid at")),
                (
                    "contract",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="finance_records",
                        to="store.contract",
                        verbose_name="contract",
                    ),
                ),
                (
                    "recorded_by",
                    models.ForeignKey(
                        blank=True,
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                        verbose_name="recorded by",
                    ),
                ),
                (
                    "shop",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="finance_records",
                        to="store.shop",
                        verbose_name="shop",
                    ),
                ),
            ],
            options={
                "verbose_name": "finance record",
                "verbose_name_plural": "finance records",
                "ordering": ["-created_at", "-pk"],
                "indexes": [models.Index(fields=["created_at"], name="finance_record_created_at")],
            },
        ),
    ]
