"""Tally's JSON answer against PostgreSQL's text, cell by cell."""
import math
from decimal import Decimal


def text_of(value, column_type):
    """A protocol value as psql prints it."""
    if value is None:
        return None
    if value is True:
        return 't'
    if value is False:
        return 'f'
    if column_type == 'timestamptz':
        return value.replace('T', ' ').replace('Z', '+00')
    if column_type == 'timestamp':
        return value.replace('T', ' ')
    return str(getattr(value, 'text', value))


def cells_equal(ours, theirs, column_type, by_value):
    if ours is None or theirs is None:
        return ours is None and theirs is None
    if column_type == 'double precision':  # PostgreSQL's last digits depend on row order
        a, b = float(ours), float(theirs)
        return a == b or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-9)
    if column_type == 'numeric' and by_value:
        return Decimal(ours) == Decimal(theirs)
    return ours == theirs


def sort_key(row, types):
    """Equal numerics of other scales have their order too: else rows that are all there would be compared crosswise."""
    return [('~',) if cell is None else
            ('', float(cell)) if kind == 'double precision' else
            ('', Decimal(cell), cell) if kind == 'numeric' else ('', cell)
            for cell, kind in zip(row, types)]


def difference(result, names, theirs, ordered, by_value):
    """None when the answers are equal, else words that say where they differ."""
    types = [column['type'] for column in result['columns']]
    our_names = [column['name'] for column in result['columns']]
    ours = [[text_of(value, kind) for value, kind in zip(row, types)] for row in result['rows']]
    if names and our_names != names:
        return f'columns {our_names}, PostgreSQL has {names}'
    if len(ours) != len(theirs):
        return f'{len(ours)} rows, PostgreSQL has {len(theirs)}; first: {ours[:2]} and {theirs[:2]}'
    if not ordered:
        ours = sorted(ours, key=lambda row: sort_key(row, types))
        theirs = sorted(theirs, key=lambda row: sort_key(row, types))
    for number, (a, b) in enumerate(zip(ours, theirs)):
        for name, kind, x, y in zip(our_names, types, a, b):
            if not cells_equal(x, y, kind, by_value):
                return f'row {number}, column {name}: {x!r}, PostgreSQL has {y!r} (rows {a} and {b})'
    return None
