from django.db import models


class Tape(models.Model):
    number = models.CharField(max_length=20)

    def __str__(self) -> str:
        return self.number
