"""Every kind of model and field that Django ships (those of django.contrib.postgres are in ``tests.postgres_zoo``)."""

import uuid

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.db.models.functions import Now, Upper

LANGUAGE_ORDER = "und-x-icu" if settings.ON_POSTGRESQL else "NOCASE"


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


# -- values -----------------------------------------------------------------------------------------------------------


class Numbers(models.Model):
    """The key is a small one: not every project follows DEFAULT_AUTO_FIELD."""

    id = models.SmallAutoField(primary_key=True)
    small = models.SmallIntegerField(null=True)
    integer = models.IntegerField(null=True)
    big = models.BigIntegerField(null=True)
    positive_small = models.PositiveSmallIntegerField(null=True)
    positive = models.PositiveIntegerField(null=True)
    positive_big = models.PositiveBigIntegerField(null=True)
    real = models.FloatField(null=True)
    money = models.DecimalField(max_digits=30, decimal_places=10, null=True)
    yes = models.BooleanField(null=True)


class Texts(models.Model):
    id = models.AutoField(primary_key=True)
    char = models.CharField(max_length=200, null=True)
    text = models.TextField(null=True)
    slug = models.SlugField(allow_unicode=True, null=True)
    email = models.EmailField(null=True)
    url = models.URLField(null=True)
    address = models.GenericIPAddressField(null=True)
    file = models.FileField(upload_to="files", null=True)
    image = models.ImageField(upload_to="images", null=True)
    path = models.FilePathField(path="/tmp", null=True)  # noqa: S108
    data = models.JSONField(null=True)
    binary = models.BinaryField(null=True)


class Times(models.Model):
    day = models.DateField(null=True)
    moment = models.DateTimeField(null=True)
    time = models.TimeField(null=True)
    duration = models.DurationField(null=True)


class Computed(models.Model):
    """What the database fills in by itself."""

    name = models.CharField(max_length=100)
    loud = models.GeneratedField(
        expression=Upper("name"), output_field=models.CharField(max_length=100), db_persist=True
    )
    stamp = models.DateTimeField(db_default=Now())
    level = models.IntegerField(db_default=7)


class Empty(models.Model):
    """A table without rows is a part of a backup as well."""

    name = models.CharField(max_length=100)


# -- keys -------------------------------------------------------------------------------------------------------------


class Uuid(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    parent = models.ForeignKey("self", models.CASCADE, null=True)


class Word(models.Model):
    word = models.CharField(max_length=100, primary_key=True, db_collation=LANGUAGE_ORDER)


class Moment(models.Model):
    at = models.DateTimeField(primary_key=True)


class Amount(models.Model):
    amount = models.DecimalField(max_digits=20, decimal_places=5, primary_key=True)


class Seat(models.Model):
    pk = models.CompositePrimaryKey("row", "number")
    row = models.CharField(max_length=10)
    number = models.IntegerField()
    guest = models.CharField(max_length=100)


class Passport(models.Model):
    animal = models.OneToOneField(Animal, models.CASCADE, primary_key=True)
    number = models.CharField(max_length=20)


class Stamp(models.Model):
    """Refers to a key that is a reference itself."""

    passport = models.ForeignKey(Passport, models.CASCADE)
    country = models.CharField(max_length=2)


# -- relations --------------------------------------------------------------------------------------------------------


class Egg(models.Model):
    chicken = models.ForeignKey("Chicken", models.CASCADE, null=True, related_name="laid")


class Chicken(models.Model):
    """Eggs come from chickens, which come from eggs."""

    egg = models.ForeignKey(Egg, models.CASCADE, null=True, related_name="hatched")


class Vehicle(models.Model):
    wheels = models.IntegerField()


class Car(Vehicle):
    plate = models.CharField(max_length=20)


class Taxi(Car):
    number = models.IntegerField()


class Team(models.Model):
    name = models.CharField(max_length=50, unique=True)
    members = models.ManyToManyField(Keeper, through="Membership")


class Membership(models.Model):
    team = models.ForeignKey(Team, models.CASCADE, to_field="name")
    keeper = models.ForeignKey(Keeper, models.CASCADE)
    since = models.DateField()


class Tag(models.Model):
    """May hang on anything."""

    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.TextField()
    thing = GenericForeignKey()
    text = models.CharField(max_length=50)


class Tagged(models.Model):
    tags = GenericRelation(Tag)


class Owned(models.Model):
    """Belongs to somebody outside of the data type."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE)


# -- names ------------------------------------------------------------------------------------------------------------


class Odd(models.Model):
    """Words of SQL, capitals, spaces, quotes and Chinese as names."""

    select = models.IntegerField(db_column="SELECT")
    space = models.IntegerField(db_column="with space")
    quote = models.IntegerField(db_column="it's")
    chinese = models.IntegerField(db_column="数量")
    others = models.ManyToManyField("self", db_table="Odd others; --")

    class Meta:
        db_table = "Table, of ÖDD Names"


# -- tables that other programs made: tests create them as they need them (the fixture ``schema``) --------------------


class Legacy(models.Model):
    """The model knows two columns, and says that ``id`` is a key; the table may know better."""

    id = models.IntegerField(primary_key=True)
    name = models.TextField()

    class Meta:
        managed = False
        db_table = "legacy"


class LegacyNote(models.Model):
    id = models.IntegerField(primary_key=True)
    legacy_id = models.IntegerField()

    class Meta:
        managed = False
        db_table = "legacy_note"


class LegacyView(models.Model):
    id = models.IntegerField(primary_key=True)

    class Meta:
        managed = False
        db_table = "legacy_view"


class LegacyAbroad(models.Model):
    """A table in another schema."""

    id = models.IntegerField(primary_key=True)

    class Meta:
        managed = False
        db_table = '"abroad"."legacy"' if settings.ON_POSTGRESQL else "abroad_legacy"
