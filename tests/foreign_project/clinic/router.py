class LettersInTheArchive:
    """Letters live in the database ``archive``, everything else in ``default``."""

    def db_for_read(self, model, **hints):
        return "archive" if model._meta.model_name == "letter" else None

    db_for_write = db_for_read

    def allow_migrate(self, db, app_label, model_name=None, **hints):
        return (db == "archive") == (model_name == "letter")
