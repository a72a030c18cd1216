"""Every kind of model and field that Django ships (those of django.contrib.postgres are in ``tests.postgres_zoo``)."""

from django.db import models


class Keeper(models.Model):
    name = models.CharField(max_length=100)
    boss = models.ForeignKey("self", models.CASCADE, null=True, blank=True)


class Animal(models.Model):
    name = models.CharField(max_length=100)
    weight = models.DecimalField(max_digits=10, decimal_places=3, null=True)
    born = models.DateTimeField(null=True)
    notes = models.TextField(blank=True)
    keeper = models.ForeignKey(Keeper, models.PROTECT, null=True)
    friends = models.ManyToManyField("self", blank=True)
