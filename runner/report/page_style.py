"""How the preview looks: its style sheet, and the policy that lets nothing else in."""

from __future__ import annotations

import base64
import hashlib

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #f4f5f6; --paper: #ffffff; --ink: #1d2125; --quiet: #59616b; --line: #dde1e5;
  --blue: #0a56a8; --green: #1d6b3c; --amber: #855000; --red: #a8261d; --wash: #eef1f4;
}
@media screen and (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --paper: #1c2024; --ink: #e5e7ea; --quiet: #a0a8b1; --line: #32383f;
    --blue: #8cbcf8; --green: #80cf9c; --amber: #e6b566; --red: #f5998f; --wash: #272c32;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 64rem;
  background: var(--ground); color: var(--ink);
  font: 1rem/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
  overflow-wrap: anywhere;
}
h1, h2, h3, h4, p, ul, ol, dl, dd { margin: 0; padding: 0; }
ul, ol { list-style: none; }
code, .id { font-family: ui-monospace, SFMono-Regular, Consolas, "DejaVu Sans Mono", monospace; }
code { font-size: .875em; }
a { color: inherit; text-decoration: none; }
a:hover .subject, a:focus .subject { text-decoration: underline; text-underline-offset: .2em; }
:focus-visible { outline: 2px solid var(--blue); outline-offset: 2px; border-radius: 4px; }
.skip { position: absolute; left: -999rem; }
.skip:focus { left: 1.5rem; top: .5rem; color: var(--blue); }

h1 { font-size: 1.625rem; font-weight: 650; line-height: 1.25; letter-spacing: -.01em; }
.summary { margin: .375rem 0 1rem; font-size: 1.0625rem; }
.facts { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: .25rem 1.25rem;
  font-size: .875rem; }
.facts dt { color: var(--quiet); }

nav, article { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; }
nav { margin: 1.5rem 0 2.5rem; overflow: hidden; }
nav li + li { border-top: 1px solid var(--line); }
nav a { display: grid; grid-template-columns: minmax(0, 14rem) minmax(0, 1fr) minmax(0, auto);
  gap: 0 1.25rem; align-items: baseline; padding: .625rem 1.25rem; }
nav a:hover { background: var(--wash); }
nav a:focus-visible { outline-offset: -2px; border-radius: 10px; }
nav .id { font-size: .8125rem; color: var(--quiet); }
nav .subject { font-weight: 600; }
.chips { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: .875rem; }

article { margin: 0 0 2rem; padding: 1.5rem; scroll-margin-top: 1rem; }
article:target { border-color: var(--blue); }
h2 { font-size: 1.1875rem; font-weight: 650; line-height: 1.3; letter-spacing: -.005em; }
.origin { color: var(--quiet); font-size: .875rem; }
.statuses { margin: .75rem 0; }
.status { display: block; position: relative; padding-left: 1.05rem; font-weight: 500;
  color: var(--quiet); }
.status::before { content: ""; position: absolute; left: 0; top: .5em; width: .5rem; height: .5rem;
  border-radius: 50%; background: currentColor; }
.status .only { display: block; font-size: .875rem; color: var(--ink); }
.planned { color: var(--blue); }
.already_sent { color: var(--green); }
.edited, .late, .no_recipients { color: var(--amber); }
.unknown { color: var(--red); }

.letters { display: grid; gap: 1rem; margin-top: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 17rem), 1fr)); }
.letter { border: 1px solid var(--line); border-radius: 8px; padding: 1rem 1.25rem 1.25rem;
  min-width: 0; }
.language { float: right; margin: .0625rem 0 .25rem .75rem; padding: 0 .4375rem; border-radius: 4px;
  background: var(--wash); color: var(--quiet); font-size: .75rem; font-weight: 600;
  line-height: 1.5rem; letter-spacing: .04em; }
.topic { font-size: 1.0625rem; font-weight: 650; line-height: 1.45; margin-bottom: .75rem;
  padding-bottom: .625rem; border-bottom: 1px solid var(--line); }
.text { max-width: 72ch; white-space: pre-wrap; tab-size: 4; }
.topic, .text { unicode-bidi: plaintext; }
.escape { padding: 0 .125em; border-radius: 3px; background: var(--wash); color: var(--amber);
  font: .875em ui-monospace, SFMono-Regular, Consolas, "DejaVu Sans Mono", monospace; }
.rows { margin-top: 1.25rem; color: var(--quiet); font-size: .875rem; }
.row { margin-top: 1.25rem; }
.row h3 { font-size: .9375rem; font-weight: 650; }
.row h3 small { font-size: .875rem; font-weight: 400; color: var(--quiet); }
.row .letters { margin-top: .5rem; }
.row .to { font-size: .875rem; color: var(--quiet); }

@media (max-width: 40rem) {
  body { padding: 1.5rem .75rem 3rem; }
  .page { padding: 0 .25rem; }
  nav a { grid-template-columns: minmax(0, 1fr); padding: .625rem 1rem; }
  article { padding: 1.125rem 1rem 1rem; }
  .letter { padding: .75rem .875rem 1rem; }
  .facts { column-gap: .875rem; }
}
@media print {
  :root { color-scheme: light; --ground: #ffffff; --wash: #f0f0f0; }
  body { max-width: none; padding: 0; font-size: 10.5pt; }
  .skip { display: none; }
  article { border: 0; border-top: 2px solid var(--line); border-radius: 0; padding: 1rem 0 0; }
  h2, .origin, .statuses, .topic { break-after: avoid; }
  nav li, .facts { break-inside: avoid; }
}
"""

_DIGEST = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
"""The page's Content-Security-Policy: this style sheet, and not one request."""
