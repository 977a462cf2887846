-- Seven columns of text: kind, schema and name of a relation, and four of detail. Lists are parted by chr(31).
WITH relations AS (
  SELECT c.oid, n.nspname AS schema, c.relname AS name, c.relkind AS kind, c.relispartition AS partition
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT 'relation', schema, name, kind::text, NULL, NULL, NULL
FROM relations WHERE kind IN ('r', 'p', 'v', 'm', 'S', 'f')
UNION ALL
SELECT 'column', r.schema, r.name, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod),
  concat_ws(' ', CASE WHEN a.attnotnull THEN 'required' END, CASE WHEN a.atthasdef OR a.attidentity <> '' THEN 'default' END), NULL
FROM relations r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid
WHERE r.kind IN ('r', 'p', 'v', 'm', 'f') AND a.attnum > 0 AND NOT a.attisdropped
UNION ALL
SELECT CASE c.contype WHEN 'c' THEN 'check' WHEN 'f' THEN 'foreign' WHEN 'p' THEN 'key' WHEN 'u' THEN 'key' WHEN 'x' THEN 'key' ELSE 'other' END,
  r.schema, r.name, c.conname,
  (SELECT string_agg(a.attname, chr(31)) FROM pg_catalog.pg_attribute a WHERE a.attrelid = r.oid AND a.attnum = ANY (c.conkey)),
  CASE c.contype WHEN 'c' THEN pg_catalog.pg_get_expr(c.conbin, c.conrelid) WHEN 'f' THEN t.schema || chr(31) || t.name END,
  c.convalidated::text
FROM relations r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid LEFT JOIN relations t ON t.oid = c.confrelid
UNION ALL
SELECT 'index', r.schema, r.name, t.schema, t.name, NULL, NULL
FROM relations r JOIN pg_catalog.pg_index i ON i.indexrelid = r.oid JOIN relations t ON t.oid = i.indrelid
UNION ALL
SELECT 'child', p.schema, p.name, c.schema, c.name, NULL, NULL
FROM pg_catalog.pg_inherits i JOIN relations p ON p.oid = i.inhparent JOIN relations c ON c.oid = i.inhrelid
WHERE p.kind IN ('r', 'p', 'f')
UNION ALL
SELECT 'type', n.nspname, t.typname,
  CASE WHEN t.typnotnull OR EXISTS (SELECT FROM pg_catalog.pg_constraint c WHERE c.contypid = t.oid) THEN 'checked' ELSE 'plain' END, NULL, NULL, NULL
FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE t.typtype IN ('d', 'e', 'r') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
