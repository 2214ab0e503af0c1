"""Conformance cases from a seed: one wide stream with every type and NULLs, random views over it, random queries over those.

View expressions are chosen so that they cannot raise: PostgreSQL fails the whole query where tally sets the event aside (that
is tested elsewhere). Queries may raise; then both must, with the same SQLSTATE."""
import json
import random
import uuid

STREAM = """
CREATE FOREIGN TABLE events (
    k text NOT NULL, k2 integer, flag boolean, small smallint, n integer NOT NULL, big bigint,
    amount numeric(18,2) NOT NULL, wide numeric(30,8), free numeric, d double precision, s text, v varchar(8),
    day date NOT NULL, ts timestamp, tz timestamptz NOT NULL, u uuid, inner_code text OPTIONS (path 'a.b')
) SERVER embedded OPTIONS (format 'json', event_time 'tz');
"""

KEYS = [('k', 'k'), ('k2', 'k2'), ('flag', 'flag'), ("date_trunc('hour', tz)", 'hour'), ("date_trunc('month', ts)", 'month'),
        ('day', 'day'), ('upper(s)', 'us'), ('left(k, 1)', 'initial'), ('n % 7', 'bucket'), ('amount > 0', 'positive'),
        ('coalesce(k2, -1)', 'k2c'), ("CASE WHEN n < 50 THEN 'low' WHEN n < 80 THEN 'mid' ELSE 'high' END", 'band'),
        ("extract(dow FROM tz)::integer", 'dow'), ("date_bin('15 minutes', tz, '2026-01-01')", 'quarter'), ('u', 'u'),
        ('amount', 'amount'), ('length(s)', 'len'), ('inner_code', 'inner_code'), ('small', 'small'),
        ('floor(amount / 10)', 'tens'), ('v', 'v')]
# (text, whether PostgreSQL's display scale depends on row order)
AGGREGATES = [('count(*)', 0), ('count(k2)', 0), ('count(DISTINCT k2)', 0), ('count(DISTINCT s)', 0), ('count(DISTINCT amount)', 0),
              ('sum(n)', 0), ('sum(big)', 0), ('sum(small)', 0), ('sum(amount)', 0), ('sum(wide)', 0), ('sum(free)', 0),
              ('sum(d)', 0), ('avg(d)', 0), ('avg(n)', 0), ('avg(amount)', 0), ('avg(free)', 0), ('min(amount)', 0),
              ('max(amount)', 0), ('min(free)', 1), ('max(free)', 1), ('min(s)', 0), ('max(s)', 0), ('min(d)', 0),
              ('max(d)', 0), ('min(day)', 0), ('max(ts)', 0), ('min(tz)', 0), ('bool_and(flag)', 0), ('bool_or(flag)', 0),
              ('every(n > 3)', 0), ('var_samp(n)', 0), ('var_pop(amount)', 0), ('stddev(amount)', 0), ('stddev_pop(big)', 0),
              ('variance(free)', 0), ('max(v)', 0), ('sum(amount * 2 + 1)', 0), ('sum(amount * wide)', 0),
              ('sum(CASE WHEN flag THEN amount ELSE 0 END)', 0), ('round(avg(amount), 2)', 0), ('sum(abs(n - 50))', 0),
              ('sum(amount) / count(*)', 0), ('max(length(s))', 0), ('min(lower(s) || k)', 0),
              ("sum(extract(hour FROM tz))", 0), ('max(tz) - interval \'1 day\'', 0), ('max(day) - min(day)', 0),
              ('greatest(max(n), 10)', 0), ('nullif(count(*), 3)', 0), ('max(n::numeric(10,2))', 0), ('sum(n::bigint)', 0)]
FILTERS = ['n > 20', "k LIKE 'a%'", 'flag', 'k2 IS NULL', "s ILIKE '%E%'", 'amount BETWEEN -10 AND 40', 'k2 IN (1, 2, 3)',
           "tz >= '2026-03-02'", 'flag IS NOT TRUE', 'k2 IS DISTINCT FROM 2', 'NOT (flag AND n > 3)', "day = '2026-03-02'"]
TEXTS = ['', 'e', 'Eve', 'über', 'ÜBER', 'a"b', "o'clock", 'tab\tx', 'x\\y', '100%', 'a_b', '日本', 'zz', 'Zz', ' pad ']


def number(chooser, digits, scale):
    coefficient = chooser.choice([0, 1, -1, chooser.randint(-10 ** digits + 1, 10 ** digits - 1), chooser.randint(-5000, 5000)])
    text = f'{abs(coefficient):0{scale + 1}d}'
    sign = '-' if coefficient < 0 else ''
    return f'{sign}{text[:-scale]}.{text[-scale:]}' if scale else f'{sign}{text}'


def event(chooser):
    """One JSON line; numbers are spelled by us, so that no digit passes through a double."""
    def maybe(value):
        return chooser.choice([value, value, value, 'null'])
    text = json.dumps
    stamp = f'2026-03-{chooser.randint(1, 4):02d}T{chooser.randint(0, 23):02d}:{chooser.randint(0, 59):02d}:{chooser.randint(0, 59):02d}'
    members = {
        'k': text(chooser.choice(['alpha', 'beta', 'gamma', 'a', 'Änne'])), 'k2': maybe(str(chooser.randint(0, 5))),
        'flag': maybe(chooser.choice(['true', 'false'])), 'small': maybe(str(chooser.randint(-300, 300))),
        'n': str(chooser.randint(0, 99)), 'big': maybe(number(chooser, 17, 0)), 'amount': number(chooser, 9, 2),
        'wide': maybe(number(chooser, 26, 8)), 'free': maybe(number(chooser, 8, chooser.randint(0, 5))),
        'd': maybe(repr(chooser.choice([0.1, 0.2, 2.5, chooser.uniform(-1000, 1000), 1e-5]))),
        's': maybe(text(chooser.choice(TEXTS))), 'v': maybe(text(chooser.choice(['', 'x', 'ab cd', 'längst']))),
        'day': text(stamp[:10]), 'ts': maybe(text(stamp.replace('T', ' ') + chooser.choice(['', '.5', '.123456']))),
        'tz': text(stamp + chooser.choice(['Z', '+00:00', '.25Z', '+02:00'])), 'u': maybe(text(str(uuid.UUID(int=chooser.randint(0, 3))))),
        'a': chooser.choice(['{"b":"x"}', '{"b":null}', '{"c":1}', 'null', '{"b":"y","c":[1,{"b":2}]}']),
    }
    if chooser.random() < 0.1:
        members.pop(chooser.choice(['k2', 'flag', 's', 'u', 'a']))
    order = list(members)
    if chooser.random() < 0.2:
        chooser.shuffle(order)
    space = chooser.choice(['', '', ' '])
    return '{' + f',{space}'.join(f'"{name}":{space}{members[name]}' for name in order) + '}'


def view(chooser, name):
    keys = chooser.sample(KEYS, chooser.choice([0, 1, 1, 2, 2, 3]))
    aggregates = chooser.sample(AGGREGATES, chooser.randint(1, 6))
    columns, outputs, loose = [], [], []
    for text, key in keys:
        columns.append((f'{key}_k', 'key'))
        outputs.append(f'{text} AS {key}_k')
    for i, (text, is_loose) in enumerate(aggregates):
        plain = text.split('(')[0] in ('count', 'sum', 'min', 'max', 'avg', 'bool_and', 'bool_or') and text.endswith(')') and text.count('(') == 1
        if plain and 'DISTINCT' not in text and chooser.random() < 0.25:
            text += f' FILTER (WHERE {chooser.choice(FILTERS)})'
        outputs.append(f'{text} AS c{i}')
        columns.append((f'c{i}', 'number' if text.startswith(('count', 'sum', 'avg', 'var', 'stddev', 'round')) and '(d)' not in text else 'other'))
        if is_loose:
            loose.append(f'c{i}')
    sql = f"SELECT {', '.join(outputs)} FROM events"
    if chooser.random() < 0.4:
        sql += f' WHERE {chooser.choice(FILTERS)}'
    if keys:
        sql += ' GROUP BY ' + ', '.join(chooser.choice([text, str(i + 1)]) for i, (text, _) in enumerate(keys))
    if chooser.random() < 0.2:
        sql += f' HAVING count(*) > {chooser.randint(0, 6)}'
    # Columns whose rows have scales of their own: of equal ones, DISTINCT and max() may show any in PostgreSQL.
    varying = [f'c{i}' for i, (text, _) in enumerate(aggregates) if '(free)' in text]
    return f'CREATE MATERIALIZED VIEW {name} AS {sql};', columns, bool(loose), varying


def queries_over(chooser, name, columns, loose, varying):
    def any_of_equals(column, sql):
        return '-- by value\n' + sql if column in varying and not loose else sql

    mark = '-- by value\n' if loose else ''
    all_names = [column for column, _ in columns]
    keys = [column for column, kind in columns if kind == 'key']
    numbers = [column for column, kind in columns if kind == 'number']
    distinct = chooser.choice(all_names)
    made = [f'SELECT * FROM {name}', f'SELECT count(*) FROM {name}',
            f'SELECT * FROM {name} ORDER BY {", ".join(all_names)} LIMIT 5 OFFSET 2',
            any_of_equals(distinct, f'SELECT DISTINCT {distinct} AS x FROM {name}')]
    for number_column in numbers[:3]:
        made.append(any_of_equals(number_column,
                                  f'SELECT sum({number_column}) AS s, min({number_column}) AS a, max({number_column}) AS b, count({number_column}) AS c FROM {name}'))
        made.append(f'SELECT {number_column} * 2 - 1 AS x, {number_column} IS NULL AS y FROM {name} WHERE {number_column} > 3')
        made.append(f'SELECT * FROM {name} WHERE {number_column} = (SELECT max({number_column}) FROM {name})')
    for key in keys:
        made.append(f'SELECT {key}, count(*) AS c FROM {name} GROUP BY {key} ORDER BY {key} DESC NULLS LAST')
        made.append(f'SELECT * FROM {name} WHERE {key} IS NULL')
        made.append(f'SELECT a.{key}, count(*) AS c FROM {name} a JOIN {name} b ON a.{key} = b.{key} GROUP BY a.{key}')
        made.append(f'SELECT a.{all_names[-1]} AS x FROM {name} a LEFT JOIN {name} b ON a.{key} = b.{key} AND b.{key} IS NULL')
        made.append(f'SELECT {key}, row_number() OVER (ORDER BY {", ".join(all_names)}) AS r FROM {name}')
        if numbers:
            made.append(f'SELECT {key}, sum({numbers[0]}) OVER (PARTITION BY {key}) AS s FROM {name}')
            made.append(any_of_equals(numbers[0], f'WITH w AS (SELECT {key} AS g, {numbers[0]} AS m FROM {name}'
                                                  f' WHERE {numbers[0]} IS NOT NULL) '
                                                  f'SELECT g, max(m) AS m FROM w GROUP BY g HAVING count(*) >= 1'))
    made.append(f'SELECT 1 AS one FROM {name} WHERE EXISTS (SELECT 1 FROM {name} WHERE {all_names[0]} IS NOT NULL) LIMIT 1')
    made.append(f'SELECT {all_names[0]} FROM {name} UNION ALL SELECT {all_names[0]} FROM {name}')
    return [mark + sql for sql in made]


def case(seed, make):
    chooser = random.Random(seed)
    definitions, queries = STREAM, []
    for i in range(6):
        text, columns, loose, varying = view(chooser, f'v{i}')
        definitions += text + '\n'
        queries += queries_over(chooser, f'v{i}', columns, loose or any(c in ('amount_k', 'tens_k') for c, _ in columns), varying)
    lines = [event(chooser) for _ in range(chooser.choice([0, 1, 30, 400, 400]))]
    return make(f'generated from seed {seed}', definitions, {'events': lines}, queries)
