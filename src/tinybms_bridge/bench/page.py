"""One HTML page with the table and all pictures inside, and the pictures as files beside it."""

import base64
import html
from collections.abc import Sequence
from pathlib import Path

from tinybms_bridge.bench import report_lives
from tinybms_bridge.bench.criteria import CRITERIA
from tinybms_bridge.bench.report import HEADINGS, failures, flows, legend, markdown, row
from tinybms_bridge.bench.runner import Outcome, Result
from tinybms_bridge.bench.scenarios import SCENARIOS

__all__ = ["page", "write"]

_STYLE = """
:root { color-scheme: light dark; font: 14px/1.4 system-ui, sans-serif; }
body { margin: 1.5rem auto; max-width: 90rem; padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: 12px; }
th, td { padding: 2px 8px; border-bottom: 1px solid #8884; text-align: left; vertical-align: top; }
.broken { color: #c62828; } .kept { color: #2e7d32; }
img { max-width: 100%; background: white; }
"""


def page(results: Sequence[Result]) -> str:
    """Return the page; it needs nothing else."""
    rows = "\n".join(_row(result, outcome) for result in results for outcome in result.outcomes)
    heads = "".join(f"<th>{html.escape(heading)}</th>" for heading in HEADINGS)
    criteria = "".join(f"<li>{html.escape(criterion)}</li>" for criterion in CRITERIA)
    broken = "".join(f'<li class="broken">{html.escape(line)}</li>' for line in failures(results))
    pictures = "\n".join(_picture(result) for result in results if result.plot is not None)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Charge control</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>Charge control, simulated</h1><p>What has to hold in every scenario:</p><ul>{criteria}</ul>"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>'
        f"<p>{html.escape(legend())}</p><ul>{broken}</ul>{_lives(results)}{_flows(results)}{pictures}</body></html>\n"
    )


def write(results: Sequence[Result], folder: Path) -> Path:
    """Write ``index.html``, ``results.md`` and one PNG for each scenario; return the path of the page.

    Raises:
        OSError: the folder or a file cannot be written.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        if result.plot is not None:
            (folder / f"{result.scenario}.png").write_bytes(result.plot)
    (folder / "results.md").write_text(markdown(results), encoding="utf-8")
    index = folder / "index.html"
    index.write_text(page(results), encoding="utf-8")
    return index


def _row(result: Result, outcome: Outcome) -> str:
    name, *values, judgement = row(outcome)
    link = html.escape(name)
    if result.plot is not None:
        link = f'<a href="#{link}">{link}</a>'
    mark = "broken" if outcome.violations else "kept"
    middle = "".join(f"<td>{html.escape(value)}</td>" for value in values)
    return f'<tr><td>{link}</td>{middle}<td class="{mark}">{html.escape(judgement)}</td></tr>'


def _lives(results: Sequence[Result]) -> str:
    """Return the table of ``report_lives.lives``, and what its words mean."""
    table = _table(report_lives.lives(results))
    return f"{table}<p>{html.escape(report_lives.legend())}</p>" if table else ""


def _flows(results: Sequence[Result]) -> str:
    """Return the table of ``report.flows``."""
    return _table(flows(results))


def _table(markdown_lines: Sequence[str]) -> str:
    """Return a Markdown table as HTML; empty for no lines."""
    lines = [line.strip("|").split("|") for line in markdown_lines]
    if not lines:
        return ""
    heads, _, *rows = lines
    body = "".join(f"<tr>{''.join(_flow(value) for value in values)}</tr>" for values in rows)
    head = "".join(f"<th>{html.escape(value.strip())}</th>" for value in heads)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _flow(value: str) -> str:
    told = value.strip()
    mark = ' class="broken"' if told.startswith("**") else ""
    return f"<td{mark}>{html.escape(told.strip('*`'))}</td>"


def _picture(result: Result) -> str:
    assert result.plot is not None
    name = html.escape(result.scenario)
    title = html.escape(SCENARIOS[result.scenario].title) if result.scenario in SCENARIOS else ""
    data = base64.b64encode(result.plot).decode("ascii")
    return f'<h2 id="{name}">{name}</h2><p>{title}</p><img alt="{name}" src="data:image/png;base64,{data}">'
