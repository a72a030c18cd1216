"""The manifests of encrypted backups, kept in the clear beside the live database, which is what they speak of.

So a server that can't decrypt takes incrementals all the same. One that is missing costs a full backup, nothing else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine import covers, manifest
from ..engine.codecs import CODECS
from ..engine.errors import Damaged
from ..models import KeptManifest

if TYPE_CHECKING:
    from ..engine.covers import Cover
    from ..engine.manifest import Manifest, Sidecar
    from ..models import BackupRecord

PACKING = CODECS["gzip"]


def keep(record: BackupRecord, sidecar: Sidecar) -> None:
    body = b"".join(PACKING.pack_pieces(manifest.dump(sidecar.manifest)))
    KeptManifest.objects.update_or_create(record=record, defaults={"body": body})


def recall(record: BackupRecord, cover: Cover) -> Manifest | None:
    """``None`` unless it is here and tells of the very chunks that the signed sidecar lists."""
    kept = KeptManifest.objects.filter(record=record).first()
    if kept is None:
        return None
    try:
        found = manifest.load(PACKING.unpack(bytes(kept.body), manifest.SIDECAR_LIMIT))
    except Damaged:
        return None
    same = (found.id, found.needs, covers.places(found)) == (cover.id, cover.needs, cover.chunks)
    return found if same else None
