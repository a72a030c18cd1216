import uuid

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db import models


class Members(BaseUserManager):
    def create_user(self, email: str, **fields) -> "Member":
        return self.create(email=email, **fields)


class Member(AbstractBaseUser, PermissionsMixin):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    email = models.EmailField(unique=True)
    is_active = models.BooleanField(default=True)

    USERNAME_FIELD = "email"
    is_staff = True
    objects = Members()


class Doctor(models.Model):
    name = models.CharField(max_length=100)

    def __str__(self) -> str:
        return self.name


class Surgeon(Doctor):
    """A child in a table of its own."""

    field = models.CharField(max_length=100)


class Patient(models.Model):
    name = models.CharField(max_length=100)
    doctors = models.ManyToManyField(Doctor)

    def __str__(self) -> str:
        return self.name


class Letter(models.Model):
    text = models.TextField()

    def __str__(self) -> str:
        return self.text[:20]


class Visit(AbstractBaseSession):
    """Sessions by another name."""
