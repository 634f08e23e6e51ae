"""Whether the transfer helped: a sentence for the run, or for each method of a comparison."""

from __future__ import annotations

from typing import Any

from transreward.evaluation.verdict import best
from transreward.reports.subject import Subject

WORDS = {
    "helped": "It helped.",
    "partly": "In part.",
    "hurt": "It hurt.",
    "beaten": "It did not pay.",
    "same": "No difference.",
    "unknown": "Not certain.",
    "too_few": "Too few seeds.",
    "no_controls": "No controls.",
    "unfinished": "Cut short.",
    "ceiling": "A ceiling.",
}
HTML = """\
{% if headline %}
<div class="verdict lead"><p>{{ headline }}</p></div>
{% endif %}
{% for v in verdicts %}
<div class="verdict {{ v.kind }}{% if headline %} minor{% endif %}"><p><span class="tag">{{ words[v.kind] }}</span> \
{{ v.sentence }}</p></div>
{% endfor %}
{% if unfinished %}
<p class="note"><strong>Cut short:</strong> {{ unfinished|join(", ") }} left no result. The page shows the run up to \
its latest evaluation.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    records = subject.records
    return {
        "headline": best([r.outcome for r in records]) if subject.comparison else "",
        "verdicts": subject.verdicts(),
        "words": WORDS,
        "unfinished": [r.name for r in records if r.result is None],
    }


def said(subject: Subject) -> list[str]:
    """The verdict as lines of text: of a comparison what leads, else whether the transfer helped. None where the
    target was not evaluated."""
    if not any(len(r.outcome.per_seed) for r in subject.records):
        return []
    if subject.comparison:
        return [best([r.outcome for r in subject.records])]
    return [f"{WORDS.get(one.kind, '')} {one.sentence}".strip() for one in subject.verdicts()]
