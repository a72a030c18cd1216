"""What PostgreSQL's catalogue says of our tables: the SQL in one place, each block described."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext as _

from ..base import Column, TableSpec

# Tables by their names as Django quotes them: oid, kind, name, whether we own it, whether row security hides rows, how
# many rows there may be, the primary key.
RELATIONS = """
SELECT asked.name, c.oid::int8, c.relkind::text, quote_ident(n.nspname) || '.' || quote_ident(c.relname),
       pg_has_role(c.relowner, 'USAGE'), c.relrowsecurity AND row_security_active(c.oid), c.reltuples::int8,
       array(SELECT a.attname::text FROM pg_index i
             JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = ANY (i.indkey)
             WHERE i.indrelid = c.oid AND i.indisprimary)
FROM unnest(%s::text[]) AS asked(name)
JOIN pg_class c ON c.oid = to_regclass(asked.name)
JOIN pg_namespace n ON n.oid = c.relnamespace
"""

# All tables with rows of their own in the schemas that the connection searches (partitions belong to their parent).
PLAIN_TABLES = """
SELECT c.relname FROM pg_class c
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
  AND c.relnamespace = ANY (SELECT oid FROM pg_namespace WHERE nspname = ANY (current_schemas(false)))
ORDER BY c.relname
"""

# Stored columns with their types; generated ones are computed again by the database.
COLUMNS = """
SELECT a.attrelid::int8, a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull, t.typname,
       a.atttypmod, t.typtype::text, coalesce(k.collname, ''), coalesce(k.collprovider::text, ''),
       coalesce(k.collisdeterministic, true), coalesce(k.collversion, '')
FROM pg_attribute a
JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_collation k ON k.oid = a.attcollation
WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attrelid, a.attnum
"""

# Generators of a table's columns: identity, serial, or any sequence that a default draws from. The last value is NULL
# if nothing was drawn yet.
SEQUENCES = """
SELECT DISTINCT a.attname, quote_ident(n.nspname) || '.' || quote_ident(s.relname), q.seqincrement, q.seqmax,
       a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype), pg_sequence_last_value(s.oid)
FROM (SELECT refobjid AS relation, refobjsubid AS number, objid AS sequence
      FROM pg_depend
      WHERE classid = 'pg_class'::regclass AND refclassid = 'pg_class'::regclass AND deptype IN ('a', 'i')
      UNION ALL
      SELECT f.adrelid, f.adnum, d.refobjid
      FROM pg_attrdef f
      JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = f.oid AND d.refclassid = 'pg_class'::regclass
     ) g
JOIN pg_class s ON s.oid = g.sequence AND s.relkind = 'S'
JOIN pg_namespace n ON n.oid = s.relnamespace
JOIN pg_sequence q ON q.seqrelid = s.oid
JOIN pg_attribute a ON a.attrelid = g.relation AND a.attnum = g.number
WHERE g.relation = %s
"""

# Foreign keys out of or into the tables; those that a partition inherits are its parent's.
FOREIGN_KEYS = """
SELECT k.conname, child.sql, child.columns, parent.sql, parent.columns,
       k.condeferrable, k.confdeltype::text, pg_get_constraintdef(k.oid),
       obj_description(k.oid, 'pg_constraint'), k.conrelid::int8, k.confrelid::int8,
       pg_has_role((SELECT relowner FROM pg_class WHERE oid = k.conrelid), 'USAGE')
FROM pg_constraint k,
LATERAL (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql,
                array(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(num, i)
                      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num ORDER BY i) AS columns
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.conrelid) child,
LATERAL (SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS sql,
                array(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(num, i)
                      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = u.num ORDER BY i) AS columns
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = k.confrelid) parent
WHERE k.contype = 'f' AND k.conparentid = 0 AND (k.conrelid = ANY (%s) OR k.confrelid = ANY (%s))
ORDER BY k.conname, k.oid
"""

# Secondary indexes that can be dropped and built again without anybody noticing.
REBUILDABLE_INDEXES = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), pg_get_indexdef(i.indexrelid),
       coalesce((SELECT spcname FROM pg_tablespace WHERE oid = c.reltablespace), ''),
       obj_description(c.oid, 'pg_class'), i.indisclustered, quote_ident(c.relname),
       array(SELECT a.attnum || ' ' || a.attstattarget FROM pg_attribute a
             WHERE a.attrelid = c.oid AND a.attstattarget >= 0 ORDER BY a.attnum)
FROM pg_index i
JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE i.indrelid = %s AND i.indisvalid AND i.indisready AND NOT i.indisunique AND NOT i.indisprimary
  AND NOT i.indisexclusion AND NOT i.indisreplident
  AND NOT EXISTS (SELECT 1 FROM pg_inherits WHERE inhrelid = i.indexrelid)
ORDER BY 1
"""

# The host's triggers and rules that would act on these tables or their partitions.
TRIGGERS = """
SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname), t.kind, quote_ident(t.name), t.enabled,
       pg_has_role(c.relowner, 'USAGE')
FROM (SELECT tgrelid AS relation, 'TRIGGER' AS kind, tgname AS name, tgenabled::text AS enabled
      FROM pg_trigger WHERE NOT tgisinternal
      UNION ALL
      SELECT ev_class, 'RULE', rulename, ev_enabled::text FROM pg_rewrite WHERE ev_type <> '1') t
JOIN pg_class c ON c.oid = t.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE t.enabled <> 'D'
  AND (t.relation = ANY (%s)
       OR t.relation IN (SELECT p.relid FROM unnest(%s::int8[]) AS u(o), pg_partition_tree(o::oid::regclass) p))
ORDER BY 1, 2, 3
"""

# Types whose equality is equality of bytes; all others are digested as text.
DIGESTED_RAW = {"int2", "int4", "int8", "bool", "text", "varchar", "uuid", "bytea", "date", "timestamp", "timestamptz"}


@dataclass(frozen=True, slots=True)
class Relation:
    """A table's own facts: what ``LiveTable.extra`` keeps for PostgreSQL."""

    oid: int
    kind: str
    owned: bool
    estimate: int
    digested: Mapping[str, str]  # column → the expression by which it enters the row digest


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def regclass_text(table: str) -> str:
    """``table`` as Django quotes it: a name that brings its own quotes (``"schema"."table"``) is left alone."""
    return table if table.startswith('"') and table.endswith('"') else f'"{table}"'


def why_not_plain(kind: str) -> str:
    """Why a relation is not backed up, or an empty string."""
    if kind in {"v", "m"}:
        return _("it is a view")
    if kind == "f":
        return _("it is a foreign table")
    if kind not in {"r", "p"}:
        return _("it is not a table")
    return ""


def columns_of(
    spec: TableSpec, rows: Sequence[Sequence[object]]
) -> tuple[tuple[Column, ...], dict[str, str], dict[str, str]]:
    """From the COLUMNS query: the columns, the keys' collations with versions, the digested expressions."""
    columns, collations, digested = [], {}, {}
    for name, written, null, typname, modifier, kind, collation, provider, deterministic, version in rows:
        column = Column(name=str(name), type=str(written), field=spec.fields.get(str(name)), null=bool(null))
        columns.append(column)
        if collation and name in spec.key:
            collations[column.name] = f"{collation}/{provider}/{version}"
        raw = kind == "b" and deterministic and (typname in DIGESTED_RAW or (typname == "numeric" and modifier != -1))
        # Text under a collation that calls different texts equal would have equal digests too.
        digested[column.name] = quote(column.name) + ("" if raw else '::text COLLATE "C"')
    return tuple(columns), collations, digested
