"""Small plots of cost against size, as one SVG that can be read on light and on dark pages. Both axes are logarithmic."""
import math

WIDTH, HEIGHT = 300, 150      # of a panel's axes
CELL_WIDTH, CELL_HEIGHT = 455, 245
LEFT, TOP = 72, 40            # of the axes in their cell
COLOURS = 6
STYLE = '''
  text { font: 11px system-ui, sans-serif; fill: #24292f; }
  .title { font-weight: 600; font-size: 12.5px; }
  .axis { stroke: #6e7781; fill: none; }
  .grid { stroke: #6e7781; stroke-opacity: 0.22; fill: none; }
  .reference { stroke: #6e7781; stroke-dasharray: 4 3; fill: none; }
  .note { fill: #6e7781; }
  .s0 { stroke: #0969da; fill: #0969da; } .s1 { stroke: #bc4c00; fill: #bc4c00; } .s2 { stroke: #1a7f37; fill: #1a7f37; }
  .s3 { stroke: #8250df; fill: #8250df; } .s4 { stroke: #bf3989; fill: #bf3989; } .s5 { stroke: #7d6608; fill: #7d6608; }
  polyline { fill: none !important; stroke-width: 1.8; }
  text { stroke: none !important; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .axis, .grid, .reference { stroke: #9198a1; } .note { fill: #9198a1; }
    .s0 { stroke: #58a6ff; fill: #58a6ff; } .s1 { stroke: #f0883e; fill: #f0883e; } .s2 { stroke: #3fb950; fill: #3fb950; }
    .s3 { stroke: #bc8cff; fill: #bc8cff; } .s4 { stroke: #f778ba; fill: #f778ba; } .s5 { stroke: #d4b32d; fill: #d4b32d; }
  }
'''


class Panel:
    """series: [(name, [(x, y), ...]), ...]. linear_from: draw what is proportional to x through that point of the first
    series. bound: a level not to be passed."""

    def __init__(self, title, x_unit, y_unit, series, linear_from=None, bound=None, bound_text='bound'):
        self.title, self.x_unit, self.y_unit, self.bound = title, x_unit, y_unit, bound
        self.series = [(name, [(x, y) for x, y in points if x > 0 and y and y > 0]) for name, points in series]
        self.series = [(name, points) for name, points in self.series if points]
        self.linear_from, self.bound_text = linear_from, bound_text


def escaped(text):
    return 'µs' if text == 'us' else text.replace('&', '&amp;').replace('<', '&lt;')


def tick_text(value):
    for unit, size in (('M', 1e6), ('k', 1e3)):
        if value >= 0.9995 * size:
            return f'{value / size:.3g}{unit}'
    return f'{value:.3g}'


def axis_range(values, least_decades):
    """Whole steps of 1, 2, 5 around the values, as logarithms, at least so many decades apart."""
    steps = [mantissa * 10.0**exponent for exponent in range(-6, 12) for mantissa in (1, 2, 5)]
    low = max(step for step in steps if step <= min(values) * 0.999)
    high = min(step for step in steps if step >= max(values) * 1.001)
    while math.log10(high / low) < least_decades:
        low = max(step for step in steps if step < low)
        if math.log10(high / low) < least_decades:
            high = min(step for step in steps if step > high)
    return math.log10(low), math.log10(high)


def ticks(low, high):
    """The powers of ten in the range, and 2 and 5 between them when it is short."""
    mantissas = (1, 2, 5) if high - low < 2.3 else (1,)
    return [mantissa * 10.0**exponent for exponent in range(math.floor(low), math.ceil(high) + 1) for mantissa in mantissas
            if low - 1e-9 <= math.log10(mantissa * 10.0**exponent) <= high + 1e-9]


def spread(labels):
    """Label heights moved apart so that no two overlap."""
    placed = []
    for y, *rest in sorted(labels):
        if placed and y < placed[-1][0] + 12:
            y = placed[-1][0] + 12
        placed.append((y, *rest))
    return placed


def draw_panel(panel, left, top):
    xs = sorted({x for _, points in panel.series for x, _ in points})
    ys = [y for _, points in panel.series for _, y in points] + ([panel.bound] if panel.bound else [])
    x_low, x_high = math.log10(xs[0]) - 0.08, math.log10(xs[-1]) + 0.08
    y_low, y_high = axis_range(ys, 1.0)

    def place(x, y):
        return (left + (math.log10(x) - x_low) / (x_high - x_low) * WIDTH,
                top + HEIGHT - (math.log10(y) - y_low) / (y_high - y_low) * HEIGHT)

    out = [f'<text class="title" x="{left}" y="{top - 16}">{escaped(panel.title)}</text>']
    for tick in ticks(y_low, y_high):
        y = place(xs[0], tick)[1]
        out.append(f'<path class="grid" d="M{left} {y:.1f}h{WIDTH}"/>'
                   f'<text x="{left - 6}" y="{y + 3.5:.1f}" text-anchor="end">{tick_text(tick)}</text>')
    for tick in xs:
        x = place(tick, ys[0])[0]
        out.append(f'<path class="grid" d="M{x:.1f} {top}v{HEIGHT}"/>'
                   f'<text x="{x:.1f}" y="{top + HEIGHT + 15}" text-anchor="middle">{tick_text(tick)}</text>')
    out.append(f'<path class="axis" d="M{left} {top}v{HEIGHT}h{WIDTH}"/>')
    out.append(f'<text class="note" transform="translate({left - 48} {top + HEIGHT / 2}) rotate(-90)" text-anchor="middle">'
               f'{escaped(panel.y_unit)}</text><text class="note" x="{left + WIDTH}" y="{top + HEIGHT + 29}" text-anchor="end">{escaped(panel.x_unit)}</text>')
    if panel.linear_from is not None:
        out += draw_linear(panel, place, (x_low, x_high), (y_low, y_high))
    if panel.bound:
        y = place(xs[0], panel.bound)[1]
        out.append(f'<path class="reference" d="M{left} {y:.1f}h{WIDTH}"/>'
                   f'<text class="note" x="{left + 4}" y="{y - 4:.1f}">{escaped(panel.bound_text)}</text>')
    labels = []
    for number, (name, points) in enumerate(panel.series):
        spots = [place(x, y) for x, y in points]
        out.append(f'<polyline class="s{number % COLOURS}" points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in spots)}"/>')
        out += [f'<circle class="s{number % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in spots]
        labels.append((spots[-1][1], spots[-1][0], number, name))
    for y, x, number, name in spread(labels):
        if len(labels) > 1:
            out.append(f'<text class="s{number % COLOURS}" x="{x + 6:.1f}" y="{y + 3.5:.1f}">{escaped(name)}</text>')
    return out


def draw_linear(panel, place, x_range, y_range):
    """The dashed line on which cost is proportional to size."""
    x0, y0 = panel.series[0][1][panel.linear_from]
    factor = math.log10(y0 / x0)
    low = max(x_range[0], y_range[0] - factor)
    high = min(x_range[1], y_range[1] - factor)
    (x1, y1), (x2, y2) = place(10**low, 10**(low + factor)), place(10**high, 10**(high + factor))
    return [f'<path class="reference" d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}"/>'
            f'<text class="note" x="{x1 + 8:.1f}" y="{y1 - 8:.1f}">linear</text>']


def draw(panels):
    rows = (len(panels) + 1) // 2
    width, height = 2 * CELL_WIDTH + 40, rows * CELL_HEIGHT
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
           '<title>Cost against size</title>', f'<style>{STYLE}</style>']
    for number, panel in enumerate(panels):
        out += draw_panel(panel, number % 2 * (CELL_WIDTH + 20) + LEFT, number // 2 * CELL_HEIGHT + TOP)
    return '\n'.join([*out, '</svg>', ''])
