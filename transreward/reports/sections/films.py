"""Films of the policies, as part of the page."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from transreward import plain
from transreward.reports.subject import Subject

FILMS = {"before": "before: the unchanged source policy", "after": "after: the policy of the run"}  # file -> caption
START = 1.5  # s, at which a film opens: the robot has begun to move. A shorter one opens at its end
MOST_BYTES = 7_000_000  # of all videos together; with more the page would be too heavy to send
HTML = """\
<h2>Videos</h2>
{% if films %}
<div class="films">
{% for name, data in films %}
  <figure><figcaption>{{ name }}</figcaption><video controls muted loop playsinline preload="metadata" \
aria-label="Video of {{ name }}" src="data:video/mp4;base64,{{ data }}#t={{ start }}"></video></figure>
{% endfor %}
</div>
{% else %}
<p>{{ why }}</p>
{% endif %}
"""


def content(subject: Subject) -> dict[str, Any]:
    """The films, or why there are none."""
    files = list(dict.fromkeys(path for r in subject.records for path in r.videos))
    if not files:
        return {"films": [], "why": "No videos: there is no mp4 file in videos/ of the run directory."}
    size = sum(path.stat().st_size for path in files)
    if size > MOST_BYTES:
        return {
            "films": [],
            "why": f"The videos stay in videos/: at {size / 1e6:.0f} MB they are too large for a page.",
        }
    order = sorted(files, key=lambda path: (*(path.stem != name for name in FILMS), path.stem))
    named = [(FILMS.get(p.stem, p.stem.replace("_", " ").replace("-", " ")), p) for p in order]
    return {"films": [(name, b64encode(plain.content(p)).decode()) for name, p in named], "why": "", "start": START}
