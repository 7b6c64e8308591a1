"""Renews the tables of README.md and docs/performance.md, and the plot, from what benchmarks have recorded.

    python -m benchmarks.report

A table stands between two comments, which name it: `<!-- figures: load -->` and `<!-- end -->`.
"""

import re
from collections.abc import Callable
from pathlib import Path

from benchmarks import results

PROJECT = Path(__file__).parents[1]
PAGES = [PROJECT / "README.md", PROJECT / "docs" / "performance.md"]
PLOT = PROJECT / "docs" / "performance.svg"

_BLOCK = re.compile(r"(<!-- figures: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def main() -> None:
    """Write them."""
    for page in PAGES:
        page.write_text(rendered(page.read_text(encoding="utf-8")), encoding="utf-8")
    PLOT.write_text(plot(), encoding="utf-8")


def rendered(text: str) -> str:
    """Return a page's text with its tables made from the results."""
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block[2]]()}\n\n{block[3]}", text)


def table(name: str, columns: dict[str, str]) -> str:
    """Return a table with a row for each row of a result.

    columns: from a column's heading to its cells, in the syntax of str.format with the row's name and
    quantities. A part in brackets, or the whole cell, is left out where a quantity was not measured.
    """
    result = results.read(name)
    base = next(iter(result["figures"].values()))
    rows = []
    for row, figures in result["figures"].items():
        ratio = {"ratio": base["seconds"] / figures["seconds"]} if "seconds" in base else {}
        rows.append([cell(column, {"name": row, **ratio, **figures}) for column in columns.values()])
    lines = [list(columns), ["---"] * len(columns), *rows]
    text = "\n".join("|".join(["", *(f" {one} " if one else " " for one in line), ""]) for line in lines)
    return f"{text}\n\n{source(result)}"


def facts(name: str, cells: dict[str, tuple[str, str]]) -> str:
    """Return a table of two columns; cells: from what it is to a row of the result and its format."""
    result = results.read(name)
    rows = [(what, cell(shown, result["figures"].get(row, {}))) for what, (row, shown) in cells.items()]
    lines = [f"| {what} | {figure} |" for what, figure in rows if figure]
    return "\n".join(["| what | figure |", "| --- | --- |", *lines, "", source(result)])


def cell(shown: str, figures: dict[str, object]) -> str:
    """Return a cell's text, or nothing where what it shows was not measured."""
    pieces = []
    for piece in re.split(r"(?= \()", shown):
        try:
            pieces.append(piece.format(**figures))
        except KeyError:
            continue
    return "".join(pieces)


def source(result: dict[str, str]) -> str:
    """Return where a table comes from."""
    return f"{result['date']}, {result['machine']}: `{result['command']}`"


def readme() -> str:
    """Return the README's table: the few figures that most people want."""
    models, load, pages = (results.read(name)["figures"] for name in ("models", "load", "pages"))
    of_models = results.read("models")
    api = results.read("service")["figures"]["api"]
    memory = results.read("memory")["figures"]

    def of(quantity: str, shown: str, model: str) -> str:
        found = {row.removeprefix(f"{model}, "): f for row, f in models.items() if row.startswith(model)}
        return ", ".join(f"{shown.format(f[quantity])} in {row}" for row, f in reversed(found.items()))

    torchvision = models.get("torchvision, float32")
    beside = [f"; torchvision {verb}" for verb in ("takes {seconds:.2f} s", "needs {peak_mb:.0f} MB")]
    time, peak = [words.format(**torchvision) if torchvision else "" for words in beside]
    (size, flood), *_ = load.items()
    at = "{rest:.0f} MB and {peak:.0f} MB"
    rows = {
        "RTMDet-Ins s, one picture with 100 masks": of("seconds", "{:.2f} s", "RTMDet-Ins s"),
        "Mask R-CNN R-50 FPN, one picture at 800x1216": of("seconds", "{:.2f} s", "Mask R-CNN") + time,
        "peak memory of that process": of("peak_mb", "{:.0f} MB", "Mask R-CNN") + peak,
        "embedded model, one worker, 64 clients": f"{flood['rate']:.0f} pictures of {size} a second",
        "what the API adds to the model's time, four clients and two workers": cell(
            "{own_p50:.0f} ms (99%: {own_p99:.0f} ms)", api
        ),
        "memory of the whole installation, at rest and at its peak, embedded model": at.format(
            **memory["nanodet-g"]
        ),
        "the same with RTMDet-Ins s": at.format(**memory["rtmdet-ins"]),
        "the same with Mask R-CNN": at.format(**memory["mask-rcnn"]),
        "first page": cell(
            "{kb:.0f} kB, usable after {usable_after_0_ms:.2f} s at 1.6 Mbit/s",
            {"kb": pages["first page"]["bytes"] / 1000, **pages["first page"]},
        ),
    }
    lines = [
        "| what | figure |",
        "| --- | --- |",
        *(f"| {what} | {figure} |" for what, figure in rows.items()),
    ]
    return "\n".join([*lines, "", f"The models: {of_models['date']}, {of_models['machine']}."])


def plot() -> str:
    """Return a bar chart of the seconds that one picture takes with each model, as SVG."""
    seconds = {row: figures["seconds"] for row, figures in results.read("models")["figures"].items()}
    step, left, width = 28, 190, 420
    longest = max(seconds.values())
    bars = []
    for i, (row, value) in enumerate(seconds.items()):
        y, length = 34 + i * step, value / longest * width
        bars.append(f'<text x="{left - 8}" y="{y + 14}" text-anchor="end">{row}</text>')
        bars.append(f'<rect x="{left}" y="{y}" width="{length:.0f}" height="20" rx="2"/>')
        bars.append(f'<text x="{left + length + 6:.0f}" y="{y + 14}">{value:.2f} s</text>')
    height = 34 + len(seconds) * step
    style = (
        "text{font:13px system-ui,sans-serif;fill:#24292f}rect{fill:#2f6f9f}"
        "@media(prefers-color-scheme:dark){text{fill:#e6edf3}rect{fill:#6cb6ee}}"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{left + width + 60}" height="{height}" '
        'role="img">\n<title>Seconds for one picture</title>\n'
        f'<style>{style}</style>\n<text x="{left}" y="20">seconds for one picture, two threads</text>\n'
        + "\n".join(bars)
        + "\n</svg>\n"
    )


# The tables, by the name that their comments give.
BLOCKS: dict[str, Callable[[], str]] = {
    "readme": readme,
    "models": lambda: table(
        "models",
        {
            "": "{name}",
            "median": "{seconds:.2f} s",
            "times as fast": "{ratio:.1f}",
            "everything but the network": "{other_seconds:.3f} s",
            "peak memory": "{peak_mb:.0f} MB",
            "with 24 megapixels": "{large_mb:.0f} MB",
        },
    ),
    "service": lambda: table(
        "service",
        {
            "": "{name}",
            "a whole answer": "{whole_p50:.0f} ms (99%: {whole_p99:.0f} ms)",
            "more than the model's time": "{own_p50:.0f} ms (99%: {own_p99:.0f} ms)",
            "of which not for a busy worker": "{own_less_waiting_p50:.0f} ms",
            "processor time a picture": "{cpu:.1f} ms",
        },
    ),
    "load": lambda: table(
        "load",
        {
            "pictures": "{name}",
            "sent": "{number:.0f}",
            "a second": "{rate:.0f}",
            "of the bare detector": "{ratio:.2f}",
            "an upload is accepted within": "{accepted_p50:.0f} ms (99%: {accepted_p99:.0f} ms)",
            "commands to Redis, idle": "{idle_commands:.1f} a second",
            "processor time, idle": "{idle_cpu_percent:.1f}% of a core",
        },
    ),
    "pages": lambda: facts(
        "pages",
        {
            "bytes of the first page with all its assets": ("first page", "{bytes:,.0f}"),
            "first page usable, 1.6 Mbit/s": ("first page", "{usable_after_0_ms:.2f} s"),
            "the same with 150 ms more a round trip": ("first page", "{usable_after_150_ms:.2f} s"),
            "the score slider answers within": ("slider, own work", "{p50:.0f} ms (95%: {p95:.0f} ms)"),
            "from frame to frame while the picture is zoomed": (
                "zoom, frames",
                "{p50:.0f} ms (95%: {p95:.0f} ms)",
            ),
            "from frame to frame while it moves": ("move, frames", "{p50:.0f} ms (95%: {p95:.0f} ms)"),
        },
    ),
    "editor": lambda: facts(
        "editor",
        {
            "from the key to the open editor": ("ready", "{first:.0f} ms"),
            "the same with its files in the browser's cache": ("ready", "{again:.0f} ms"),
            "frame to frame, a mask moved among 100": (
                "moving a mask among 100",
                "{p50:.0f} ms (95%: {p95:.0f} ms)",
            ),
            "frame to frame, a box moved among 300": (
                "moving a box among 300",
                "{p50:.0f} ms (95%: {p95:.0f} ms)",
            ),
            "frame to frame, a box moved among 1,000": (
                "moving a box among 1000",
                "{p50:.0f} ms (95%: {p95:.0f} ms)",
            ),
            "saved after, with 100 masks": ("saving 100 masks", "{p50:.0f} ms"),
            "saved after, with 1,000 boxes": ("saving 1000 boxes", "{p50:.0f} ms"),
        },
    ),
    "memory": lambda: table(
        "memory", {"model": "{name}", "at rest": "{rest:.0f} MB", "peak": "{peak:.0f} MB"}
    ),
    "memory-formats": lambda: table(
        "memory-formats", {"model, format of the large picture": "{name}", "peak": "{peak:.0f} MB"}
    ),
}

if __name__ == "__main__":
    main()
