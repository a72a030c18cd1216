"""The fields of django.contrib.postgres, and keys whose equality is not equality of bytes."""

from django.contrib.postgres import fields
from django.contrib.postgres.constraints import ExclusionConstraint
from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.search import SearchVectorField
from django.db import models


class Arrays(models.Model):
    numbers = fields.ArrayField(models.IntegerField(null=True), null=True)
    words = fields.ArrayField(fields.ArrayField(models.TextField()), null=True)
    pairs = fields.HStoreField(null=True)
    data = models.JSONField(null=True)
    search = SearchVectorField(null=True)

    class Meta:
        indexes = [GinIndex(fields=["search"], name="arrays_search")]


class Ranges(models.Model):
    integers = fields.IntegerRangeField(null=True)
    bigs = fields.BigIntegerRangeField(null=True)
    decimals = fields.DecimalRangeField(null=True)
    moments = fields.DateTimeRangeField(null=True)
    days = fields.DateRangeField(null=True)

    class Meta:
        constraints = [ExclusionConstraint(name="ranges_days", expressions=[("days", "&&")])]


class AnyCase(models.Model):
    """Anna and ANNA are one key, and two texts."""

    word = models.TextField(primary_key=True, db_collation="any_case")
    text = models.TextField(db_collation="any_case", default="")
