"""How the page of a crawl report looks: on a screen, light or dark, wide or narrow, on paper."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fdfcf9;--card:#fff;--ink:#20252b;--dim:#626a73;
--line:#e3dfd6;--main:#1d6a73;--second:#6c5b95;--slow:#b5741a;--bad:#b23a36;--quiet:#8b95a1}
@media(prefers-color-scheme:dark){:root{--paper:#14181b;--card:#1a2024;--ink:#e4e2dc;
--dim:#98a1a9;--line:#2d353b;--main:#4fb3bd;--second:#a593d6;--slow:#dba04c;--bad:#e7766f;
--quiet:#74808c}}
*{box-sizing:border-box}
body{margin:0 auto;padding:2.5rem 1.5rem 3rem;max-width:70rem;background:var(--paper);
color:var(--ink);font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,"Noto Sans",sans-serif;
font-variant-numeric:tabular-nums}
h1,h2{font-family:"Iowan Old Style","Palatino Linotype",Palatino,"URW Palladio L","P052",Georgia,
serif;font-weight:600;line-height:1.2;text-wrap:balance}
h1{font-size:2.4rem;margin:0;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.25rem;margin:0 0 .6rem}
code{font-family:ui-monospace,"SF Mono",Menlo,Consolas,"DejaVu Sans Mono",monospace;font-size:.86em;
overflow-wrap:anywhere}
header p{margin:.2rem 0}
.run,.when,.aside,footer,small{color:var(--dim)}
.aside,small,footer{font-size:.86rem}
.note{margin-top:.8rem;padding:.55rem .8rem;border-left:3px solid var(--slow);
background:var(--card)}
.facts{display:flex;flex-wrap:wrap;gap:.4rem 2.4rem;margin:1.6rem 0 .8rem;padding:1.1rem 0;
border:solid var(--line);border-width:1px 0}
.facts div{display:flex;flex-direction:column-reverse}
dt{color:var(--dim);font-size:.86rem}
dd{margin:0;font-size:1.7rem;line-height:1.15;font-weight:600;letter-spacing:-.01em}
.facts .bad dd{color:var(--bad)}
section{margin:2.4rem 0 0;break-inside:avoid}
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(26rem,100%),1fr));
gap:0 3rem;align-items:start}
figure{margin:0 0 1.2rem}
figcaption{font-size:.9rem;color:var(--dim);margin-bottom:.2rem}
.wide{overflow-x:auto}
.time{display:block;width:100%;min-width:34rem;height:auto;font-size:11.5px}
.time text{fill:var(--dim)}
.time .y{text-anchor:end}
.time .x{text-anchor:middle}
.time .grid{stroke:var(--line)}
.time .axis{stroke:var(--dim);stroke-width:.8}
.time .captures{fill:var(--main)}
.time .bytes{fill:var(--second)}
.time .pause{fill:var(--line);opacity:.6}
table{width:100%;border-collapse:collapse;font-size:.92rem}
th,td{padding:.28rem 0;text-align:left;vertical-align:baseline;border-bottom:1px solid var(--line);
font-weight:400}
thead th,thead td{color:var(--dim);font-size:.82rem;border-bottom-color:var(--dim)}
.n{text-align:right;white-space:nowrap;padding-left:1rem}
tbody th{min-width:9.5rem}
td.b{width:21%;min-width:3.5rem;padding-left:1rem;vertical-align:middle}
.bar{display:block;width:100%;height:.62rem}
.bar rect{fill:var(--main)}
.bar.bytes rect{fill:var(--second)}
.bar.slow rect{fill:var(--slow)}
.bar.bad rect{fill:var(--bad)}
.bar.quiet rect{fill:var(--quiet)}
.files{list-style:none;margin:0;padding:0;columns:22rem;font-size:.92rem}
summary{cursor:pointer;color:var(--dim);font-size:.9rem}
details table{max-width:28rem;margin-top:.5rem}
footer{margin-top:3rem;padding-top:.8rem;border-top:1px solid var(--line)}
@media print{:root{--paper:#fff;--card:#fff;--ink:#000;--dim:#444;--line:#ccc;--main:#1d6a73;
--second:#6c5b95;--slow:#b5741a;--bad:#b23a36;--quiet:#8b95a1}body{padding:0;font-size:10.5pt;
max-width:none}.pair{grid-template-columns:1fr 1fr}.bar rect,.time path,.time rect{
print-color-adjust:exact;-webkit-print-color-adjust:exact}details:not([open]){display:none}}
"""
