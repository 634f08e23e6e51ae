"""Whether the transfer helped: a sentence for the run, or for each method of a comparison."""

from __future__ import annotations

from typing import Any

from transreward.evaluation.verdict import Kind, best
from transreward.reports.repeat import following
from transreward.reports.sections.diagnostics import CUT_SHORT, kept, warned
from transreward.reports.sections.sources import led
from transreward.reports.subject import Subject
from transreward.types import ZERO_SHOT

WORDS: dict[Kind, str] = {
    "helped": "It helped.",
    "partly": "In part.",
    "hurt": "It hurt.",
    "beaten": "It did not pay.",
    "same": "No difference.",
    "unknown": "Not certain.",
    "too_few": "Too few seeds.",
    "no_controls": "No controls.",
    "unfinished": "Cut short.",
    "not_evaluated": "Not evaluated.",
    "ceiling": "A ceiling.",
}
HTML = """\
<h2 class="unseen">The verdict</h2>
{% for text in unlearned %}
<p class="note"><strong>First of all:</strong> {{ text }}.</p>
{% endfor %}
{% if headline %}
<div class="verdict lead"><p>{{ headline }}</p></div>
{% endif %}
{% for v in verdicts %}
<div class="verdict {{ v.kind }}{% if headline %} minor{% endif %}"><p><span class="tag">{{ words[v.kind] }}</span> \
{{ v.sentence }}</p>{% if next and loop.first %}<p class="next">Next: <code>{{ next.command }}</code> \
({{ next.why }})</p>{% endif %}</div>
{% endfor %}
{% if matters %}
<ul class="matters" aria-label="What matters most">
{% for name, text in matters %}
<li><strong>{{ name }}:</strong> {{ text }}.</li>
{% endfor %}
</ul>
{% endif %}
{% if unfinished %}
<p class="note"><strong>Cut short:</strong> {{ unfinished|join(", ") }} left no result. The page shows the run up to \
its latest evaluation.</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    records, name = subject.records, subject.focus.name
    return {
        "unlearned": unlearned(subject),
        "headline": best([r.outcome for r in records]) if subject.comparison else "",
        "verdicts": subject.verdicts(),
        "words": WORDS,
        "unfinished": [r.name for r in records if r.result is None],
        "next": following(subject, subject.focus.place or "RUN"),
        "matters": [
            *_led(subject),
            *(one for one in (*kept(subject), *_told(subject)) if subject.comparison or one[0] == name),
        ],
    }


def _led(subject: Subject) -> list[tuple[str, str]]:
    return [(ZERO_SHOT, text)] if (text := led(subject)) else []


def _told(subject: Subject) -> list[tuple[str, str]]:
    """The warnings of the methods that are no controls."""
    judged, elsewhere = {r.name for r in subject.records if not r.control}, {CUT_SHORT, *unlearned(subject)}
    return [(name, t) for name, said in warned(subject) for t in said if name in judged and t not in elsewhere]


def unlearned(subject: Subject) -> list[str]:
    """What stands before all else: that a source agent has not learned its task."""
    return list(dict.fromkeys(text for r in subject.records for text in r.unlearned))


def said(subject: Subject) -> list[str]:
    """The verdict as lines of text: of a comparison what leads, else whether the transfer helped. None where the
    target was not evaluated."""
    if not any(len(r.outcome.per_seed) for r in subject.records):
        return []
    if subject.comparison:
        return [best([r.outcome for r in subject.records])]
    verdicts = [f"{WORDS[one.kind]} {one.sentence}" for one in subject.verdicts()]
    return [*verdicts, *(f"{name}: {text}" for name, text in _led(subject))]
