"""The fields of django.contrib.postgres."""
