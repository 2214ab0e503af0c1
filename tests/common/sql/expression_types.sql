-- Prints tests/common/sql/expression_types.tsv: what a real PostgreSQL 15 makes of a few thousand expressions, as
-- "expression<tab>type or SQLSTATE". Run by scripts/generate-expression-types; test_expression_types compares.
\pset format unaligned
\pset tuples_only on
\pset fieldsep '\t'
SET client_min_messages = error;
CREATE TEMP TABLE x (b boolean, i2 smallint, i4 integer, i8 bigint, n numeric(12,2), f8 double precision, t text, v varchar(5),
                     d date, ts timestamp, tz timestamptz, u uuid);
CREATE FUNCTION pg_temp.type_of(expression text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE result text;
BEGIN
  EXECUTE 'CREATE TEMP VIEW probe AS SELECT ' || expression || ' AS r FROM x';
  SELECT format_type(atttypid, NULL) INTO result FROM pg_attribute WHERE attrelid = 'probe'::regclass AND attname = 'r';
  DROP VIEW probe;
  RETURN result;
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE;
END $$;
CREATE TEMP TABLE operands (o text);
INSERT INTO operands VALUES ('b'), ('i2'), ('i4'), ('i8'), ('n'), ('f8'), ('t'), ('v'), ('d'), ('ts'), ('tz'), ('u'),
  ('interval ''1 day'''), ('''1'''), ('NULL'), ('1.5'), ('''2026-03-02''');
CREATE TEMP TABLE expressions (e text);
INSERT INTO expressions SELECT format('%s %s %s', l.o, op, r.o) FROM operands l, operands r,
  unnest(ARRAY['+', '-', '*', '/', '%', '=', '<', 'LIKE', '||', 'IS DISTINCT FROM']) op;
INSERT INTO expressions SELECT format('%s %s', op, o) FROM operands, unnest(ARRAY['-', '+', '@', 'NOT']) op;
INSERT INTO expressions SELECT format('%s(%s)', f, o) FROM operands, unnest(ARRAY['abs', 'round', 'ceil', 'floor', 'lower', 'upper',
  'length', 'btrim', 'ltrim', 'sum', 'avg', 'min', 'max', 'count', 'bool_and', 'var_pop', 'stddev', 'date', 'text', 'int4', 'float8', 'numeric']) f;
INSERT INTO expressions SELECT format('%s(%s, %s)', f, l.o, r.o) FROM operands l, operands r,
  unnest(ARRAY['round', 'mod', 'coalesce', 'greatest', 'nullif', 'left', 'substr', 'btrim']) f;
INSERT INTO expressions SELECT format('extract(hour from %s)', o) FROM operands;
INSERT INTO expressions SELECT format('date_trunc(''day'', %s)', o) FROM operands WHERE o NOT LIKE '''%' AND o <> 'NULL';
INSERT INTO expressions SELECT format('%s AT TIME ZONE %s', l.o, r.o) FROM operands l, operands r
  WHERE r.o IN ('t', 'v', 'NULL', 'i4', 'interval ''1 day''');
INSERT INTO expressions SELECT format('%s AT TIME ZONE ''Europe/Berlin''', o) FROM operands;
INSERT INTO expressions SELECT format('date_trunc(''day'', %s, ''Europe/Berlin'')', o) FROM operands;
INSERT INTO expressions SELECT format('date_trunc(''day'', tz, %s)', o) FROM operands;
INSERT INTO expressions SELECT format('timezone(%s, tz)', o) FROM operands;
INSERT INTO expressions SELECT format('date_bin(interval ''1 hour'', %s, %s)', l.o, r.o) FROM operands l, operands r
  WHERE r.o IN ('ts', 'tz', 'd', '''2026-03-02''');
INSERT INTO expressions SELECT format('CASE WHEN b THEN %s ELSE %s END', l.o, r.o) FROM operands l, operands r;
INSERT INTO expressions SELECT format('%s::%s', o, c) FROM operands, unnest(ARRAY['boolean', 'smallint', 'integer', 'bigint', 'numeric',
  'numeric(5,2)', 'double precision', 'text', 'varchar(3)', 'date', 'timestamp', 'timestamptz', 'uuid', 'interval']) c;
INSERT INTO expressions SELECT format('%s IN (%s, %s)', s.o, l.o, r.o) FROM operands s, operands l, operands r
  WHERE s.o IN ('i4', 'n', 't', 'tz') AND l.o <= r.o;
INSERT INTO expressions SELECT format('%s BETWEEN %s AND %s', s.o, l.o, r.o) FROM operands s, operands l, operands r
  WHERE s.o IN ('i4', 'd') AND l.o <= r.o;
INSERT INTO expressions SELECT format('%s IS NULL', o) FROM operands UNION ALL SELECT format('%s IS TRUE', o) FROM operands;
DELETE FROM expressions WHERE e ~ '^(''1''|NULL|''2026-03-02'') - [tv]$'; -- jsonb - text, which we do not have
SELECT e, pg_temp.type_of(e) FROM expressions ORDER BY e COLLATE "C";
