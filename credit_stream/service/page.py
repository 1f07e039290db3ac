"""The start page: one file with nothing loaded from elsewhere, and headers that hold the browser to that."""

from __future__ import annotations

import html
import re
from base64 import b64encode
from functools import cache
from hashlib import sha256
from importlib import resources

from credit_stream import __version__

SETTINGS_LINE = (
    '{"type": "SettingsPublished", "event_id": "first-1", "occurred_at": "2026-01-05T09:00:00Z", "version": 1, '
    r'"document": "{\"rules\": [{\"id\": \"limit\", \"type\": \"credit_limit_used\"}]}"}'
)
"""In the example only where no settings were published yet: nobody's rules are to be replaced by an example."""


@cache
def _template() -> str:
    return (resources.files("credit_stream.service") / "start.html").read_text(encoding="utf-8")


def start_page(url: str, *, has_settings: bool) -> str:
    """The page; `url` is where the service is reached."""
    shown = {
        "version": html.escape(__version__),
        "url": html.escape(url),
        "settings": "" if has_settings else html.escape(SETTINGS_LINE, quote=False) + "\n",
    }
    page = _template()
    for name, text in shown.items():
        page = page.replace(f"<!--{name}-->", text)
    return page


@cache
def page_policy() -> str:
    """The Content-Security-Policy: only the style and the script that are in the page, and requests to this service."""
    sources = {
        kind: " ".join(
            f"'sha256-{b64encode(sha256(body.encode()).digest()).decode()}'"
            for body in re.findall(rf"<{kind}>(.*?)</{kind}>", _template(), re.DOTALL)
        )
        for kind in ("style", "script")
    }
    return (
        f"default-src 'none'; style-src {sources['style']}; script-src {sources['script']}; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
