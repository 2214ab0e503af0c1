-- Prints tests/common/sql/numeric_scales.tsv: display scales and digits that a real PostgreSQL 15 gives to numeric
-- expressions over extreme values, as "expression<tab>least scale<tab>largest scale<tab>most digits". Run by
-- scripts/generate-numeric-scales; test_proof checks that no proof of ours is ever wrong.
\pset format unaligned
\pset tuples_only on
\pset fieldsep '\t'
SET client_min_messages = error;
CREATE TEMP TABLE x (i2 smallint, i4 integer, i8 bigint, n numeric(12,2), m numeric);
INSERT INTO x VALUES (1, 1, 1, 1.50, 1.5), (-32768, -2147483648, -9223372036854775808, -9999999999.99, -1e20),
  (32767, 2147483647, 9223372036854775807, 9999999999.99, 0.000000000001), (7, -3, 10, 0.05, 99.995), (-1, 99, -5, -0.01, 123456.7);
CREATE FUNCTION pg_temp.look(expression text, OUT low int, OUT high int, OUT digits int) LANGUAGE plpgsql AS $$
DECLARE r x; v numeric; before int;
BEGIN
  FOR r IN SELECT * FROM x LOOP
    BEGIN
      EXECUTE 'SELECT ' || expression || ' FROM (SELECT ($1).*) x' INTO v USING r;
      before := CASE WHEN trunc(v) = 0 THEN 0 ELSE length(abs(trunc(v))::text) END;
      low := LEAST(low, scale(v)); high := GREATEST(high, scale(v)); digits := GREATEST(digits, before + scale(v));
    EXCEPTION WHEN division_by_zero OR numeric_value_out_of_range THEN NULL;
    END;
  END LOOP;
END $$;
CREATE TEMP TABLE a (e text);
INSERT INTO a VALUES ('n'), ('m'), ('i2::numeric'), ('i4::numeric'), ('i8::numeric'), ('1.5'), ('0.005'), ('100'), ('n::numeric(10,3)'), ('m::numeric(20,4)');
CREATE TEMP TABLE f (e text);
INSERT INTO f SELECT e FROM a;
INSERT INTO f SELECT format(g, e) FROM a, unnest(ARRAY['-(%s)', 'abs(%s)', 'round(%s::numeric)', 'round(%s, 1)', 'round(%s, 5)', 'round(%s, -2)',
  'floor(%s::numeric)', 'ceil(%s::numeric)', 'coalesce(%s, n)', 'greatest(%s, 0.5)', 'nullif(%s, 1)', 'CASE WHEN i4 > 0 THEN %s ELSE n END']) g;
INSERT INTO f SELECT format('(%s %s %s)', l.e, op, r.e) FROM a l, a r, unnest(ARRAY['+', '-', '*', '%', '/']) op;
CREATE TEMP TABLE expressions AS SELECT e FROM f WHERE e <> '100'
  UNION SELECT format('%s %s %s', l.e, op, r.e) FROM f l, a r, unnest(ARRAY['+', '*', '%']) op WHERE r.e IN ('n', '1.5', 'i4::numeric') AND l.e <> '100'
  UNION SELECT format(g, e) FROM f, unnest(ARRAY['round(%s, 3)', 'floor(%s::numeric)', 'round(%s::numeric)', '-(%s)']) g WHERE e LIKE '(%' AND e NOT LIKE '%100 % 100%';
SELECT e, l.* FROM expressions, pg_temp.look(e) l WHERE length(e) < 16 OR hashtext(e) % 3 = 0 ORDER BY e COLLATE "C";
