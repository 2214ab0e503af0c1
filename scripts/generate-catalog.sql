-- Prints common/sql/catalog.inc from the catalogue of a real PostgreSQL 15. Run by scripts/generate-catalog.
\pset format unaligned
\pset tuples_only on
CREATE TEMP TABLE t (oid oid PRIMARY KEY, name text);
INSERT INTO t SELECT p.oid, m.name FROM pg_type p JOIN (VALUES
  ('bool', 'BOOLEAN'), ('int2', 'SMALLINT'), ('int4', 'INTEGER'), ('int8', 'BIGINT'), ('numeric', 'NUMERIC'),
  ('float8', 'DOUBLE'), ('text', 'TEXT'), ('varchar', 'VARCHAR'), ('date', 'DATE'), ('timestamp', 'TIMESTAMP'),
  ('timestamptz', 'TIMESTAMPTZ'), ('uuid', 'UUID'), ('interval', 'INTERVAL')) m(pg, name)
  ON p.typname = m.pg AND p.typnamespace = 'pg_catalog'::regnamespace;
-- Written in SQL inside PostgreSQL, hence without a C name: round(x) is round(x, 0).
CREATE TEMP VIEW f AS
  SELECT p.oid, p.proname AS name, p.pronargs AS n, r.name AS result,
         array_to_string(ARRAY(SELECT t.name FROM unnest(p.proargtypes) WITH ORDINALITY a(type, i) JOIN t ON t.oid = a.type ORDER BY i), ', ') AS args,
         (SELECT count(*) FROM unnest(p.proargtypes) a(type) JOIN t ON t.oid = a.type) = p.pronargs AS known,
         CASE WHEN p.proname = 'round' AND p.prolang = (SELECT oid FROM pg_language WHERE lanname = 'sql') THEN 'numeric_round' ELSE p.prosrc END AS kernel,
         p.prokind
  FROM pg_proc p JOIN t r ON r.oid = p.prorettype WHERE p.pronamespace = 'pg_catalog'::regnamespace;
CREATE TEMP TABLE functions AS SELECT * FROM f WHERE prokind = 'f' AND known AND n BETWEEN 1 AND 3
  AND name IN ('date_trunc', 'date_bin', 'extract', 'timezone', 'lower', 'upper', 'length', 'char_length', 'character_length', 'substring', 'substr',
               'left', 'right', 'btrim', 'ltrim', 'rtrim', 'abs', 'round', 'floor', 'ceil', 'ceiling', 'mod')
  AND kernel ~ '^[a-z0-9_]+$' AND kernel NOT IN ('textregexsubstr', 'interval_trunc');
CREATE TEMP TABLE operators AS SELECT o.oprname AS name, coalesce(l.name, 'UNKNOWN') AS left_type, r.name AS right_type, e.name AS result, p.prosrc AS kernel
  FROM pg_operator o JOIN pg_proc p ON p.oid = o.oprcode LEFT JOIN t l ON l.oid = o.oprleft JOIN t r ON r.oid = o.oprright JOIN t e ON e.oid = o.oprresult
  WHERE (o.oprleft = 0 OR l.oid IS NOT NULL)
    AND o.oprname IN ('+', '-', '*', '/', '%', '=', '<>', '<', '<=', '>', '>=', '~~', '!~~', '~~*', '!~~*', '||', '@') AND p.prosrc ~ '^[a-z0-9_]+$';
CREATE TEMP TABLE casts AS SELECT s.name AS source, d.name AS target, c.castcontext AS context, coalesce(p.prosrc, 'NONE') AS kernel
  FROM pg_cast c JOIN t s ON s.oid = c.castsource JOIN t d ON d.oid = c.casttarget LEFT JOIN pg_proc p ON p.oid = c.castfunc
  WHERE coalesce(p.prosrc, '') NOT IN ('interval_scale', 'timestamp_scale', 'timestamptz_scale');
SELECT '/* Generated from PostgreSQL 15''s own catalogue by scripts/generate-catalog: do not edit. */';
SELECT '#ifdef TLY_CATALOG_KERNEL';
SELECT 'TLY_CATALOG_KERNEL(' || kernel || ')' FROM (SELECT kernel FROM functions UNION SELECT kernel FROM operators UNION SELECT kernel FROM casts WHERE kernel <> 'NONE') k ORDER BY kernel COLLATE "C";
SELECT '#endif';
SELECT '#ifdef TLY_CATALOG_FUNCTION';
SELECT format('TLY_CATALOG_FUNCTION("%s", %s, %s, %s, %s)', name, n, result, kernel, args) FROM functions ORDER BY name COLLATE "C", n, args COLLATE "C";
SELECT '#endif';
SELECT '#ifdef TLY_CATALOG_OPERATOR';
SELECT format('TLY_CATALOG_OPERATOR("%s", %s, %s, %s, %s)', name, left_type, right_type, result, kernel) FROM operators ORDER BY name COLLATE "C", left_type COLLATE "C", right_type COLLATE "C";
SELECT '#endif';
SELECT '#ifdef TLY_CATALOG_CAST';
SELECT format('TLY_CATALOG_CAST(%s, %s, ''%s'', %s)', source, target, context, kernel) FROM casts ORDER BY source COLLATE "C", target COLLATE "C";
SELECT '#endif';
SELECT '#ifdef TLY_CATALOG_AGGREGATE';
SELECT format('TLY_CATALOG_AGGREGATE("%s", %s, %s)', name, args, result) FROM f WHERE prokind = 'a' AND n = 1 AND known
  AND name IN ('sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'var_pop', 'var_samp', 'variance', 'stddev', 'stddev_pop', 'stddev_samp')
  ORDER BY name COLLATE "C", args COLLATE "C";
SELECT '#endif';
-- What PostgreSQL has beyond that, so that it is refused by name and not called unknown: functions that are documented for use.
CREATE TEMP TABLE refused AS SELECT DISTINCT p.proname::text AS name FROM pg_proc p
  WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.prokind IN ('f', 'a') AND p.prorettype NOT IN ('internal'::regtype, 'trigger'::regtype)
    AND coalesce(obj_description(p.oid, 'pg_proc'), 'internal') !~ '^(I/O|implementation of|internal|\(internal|less|greater|join sel|restriction sel|GIN|GiST|SP-GiST|BRIN|btree|hash|planner|aggregate (trans|final|serial|deserial|combine|inverse)|statistics|sort supp|serialize|deserialize|encoding conv|combine|comparison)'
    AND p.proname !~ '^(pg_|binary_upgrade_|lo_|txid_|has_|to_reg|ts_|cursor_to|currtid|database_to|schema_to|query_to|table_to|bpchar|gin_|brin_)'
    AND p.proname !~ '(larger|smaller|subdiff|handler|canonical|typanalyze|transfn|finalfn|equalimage|inc|inc_any|dec|dec_any)$'
    AND p.proname NOT IN (SELECT name FROM functions)
    AND p.proname NOT IN ('count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', 'every', 'var_pop', 'var_samp', 'variance', 'stddev', 'stddev_pop',
                          'stddev_samp', 'now', 'transaction_timestamp', 'statement_timestamp', 'bool', 'int2', 'int4', 'int8', 'numeric', 'float8',
                          'text', 'varchar', 'date', 'timestamp', 'timestamptz', 'uuid', 'rank', 'dense_rank', 'percent_rank', 'cume_dist');
SELECT '#ifdef TLY_CATALOG_REFUSED_FUNCTION';
SELECT format('TLY_CATALOG_REFUSED_FUNCTION("%s")', name) FROM refused ORDER BY name COLLATE "C";
SELECT '#endif';
SELECT '#ifdef TLY_CATALOG_REFUSED_OPERATOR';
SELECT format('TLY_CATALOG_REFUSED_OPERATOR("%s")', name) FROM (
  SELECT o.oprname::text AS name FROM pg_operator o EXCEPT SELECT name FROM operators) r ORDER BY name COLLATE "C";
SELECT '#endif';
