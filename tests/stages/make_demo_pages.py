"""Write the pages of the demo site whose bytes an editor would not keep.

Run it to make them again: `python tests/stages/make_demo_pages.py`. The other files of
pipeline/demo_site are plain ASCII and are edited by hand. A test compares what this script makes
with what is committed. No page here says in which charset it is written, except where noted.
"""

from __future__ import annotations

import struct
from pathlib import Path

SITE = Path(__file__).resolve().parents[2] / "pipeline" / "demo_site"

BANNER = """<TABLE WIDTH=100% BGCOLOR=#FFFFCC CELLPADDING=4><TR><TD><FONT SIZE=2>This
site is a copy kept by the Harbour Library. The Lantern Society closed in 1999,
and nothing here has been changed since.</FONT></TD></TR></TABLE>"""

# As a word processor on Windows saved it: curly quotes 0x93 0x94, apostrophe 0x92, dash 0x97.
HISTORY = f"""<HTML>
<HEAD><TITLE>How the Lantern Society began</TITLE></HEAD>
<BODY BGCOLOR=#FFFFFF>
{BANNER}
<CENTER><FONT SIZE=6 COLOR=#003366>How it began</FONT></CENTER>
<BR>
In the winter of 1991 the post office at Skerry Point was to be closed. Mrs. Oake\u2019s late
husband had kept the light there for twenty-two years, and his log books were in the loft above
the counter \u2014 eleven of them, tied up with signal halyard. \u201cIf the loft goes, they
go,\u201d she told the seven people who had come in out of the rain, and then she made tea.
<BR><BR>
Nobody had meant to start a society. \u201cWe meant to start a bonfire,\u201d William Tarrant said
later, \u201cof the damp ones.\u201d But the first book they opened was that of the great storm,
and it was read aloud from beginning to end. By the time it was finished the tide was over the
road \u2014 as it still is, twice a day \u2014 and nobody could go home.
<BR><BR>
That night they agreed on the name, on a subscription of two pounds, and on the rule that has
never been broken: what is in the log is copied as it stands. If the keeper wrote \u201cfogg\u201d
then it is \u201cfogg\u201d. If he wrote nothing for nine days, we leave nine lines empty.
<BR><BR>
<A HREF="letters/keeper's letter.html">A keeper\u2019s letter</A> \u2014
<A HREF="letters/caf\u00e9 ledger.html">the caf\u00e9 ledger</A> \u2014
<A HREF=welcome.html>back</A>
</BODY>
</HTML>
"""

# As a Macintosh saved it: quotes 0xD2 0xD3, apostrophe 0xD5, dash 0xD1, e acute 0x8E.
LETTER = f"""<HTML>
<HEAD><TITLE>A keeper\u2019s letter</TITLE></HEAD>
<BODY BGCOLOR=#FFFFFF>
{BANNER}
<H2>A keeper\u2019s letter</H2>
<P>Found in the log of Gull Holm between the pages for 3 and 4 May 1953, and never posted.
<P>Dear Ren\u00e9,
<P>You ask what we do all day. We clean. When we have cleaned we wind, and when we have wound we
write down that it was wound. The lens alone has three hundred and sixty prisms, and I could draw
you every one. My mate says a lighthouse is \u201ca machine for making dust\u201d \u2014 he was a
miller before \u2014 but I say it is a machine for making patience.
<P>Your parcel came on the last boat. The pat\u00e9 had travelled better than the p\u00eaches, and
the newspaper from the caf\u00e9 was only six weeks old; we read the weather first, to see whether
they had got ours right. They hadn\u2019t. \u201cFine and dry,\u201d it said, on the night we lost
the hen house roof \u2014 the first hen house, I mean, not the second.
<P>I\u2019ll be ashore in June if the rope holds. Tell your m\u00e8re I haven\u2019t forgotten the
wool; and tell the children that the seal they asked about is well, and has \u201cbeautiful
manners\u201d for a bachelor.
<P>Your friend,<BR>
Thomas
</BODY>
</HTML>
"""

# Declares its charset, and truly.
NEWS = f"""<HTML>
<HEAD>
<META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset=iso-8859-1">
<TITLE>News of the Lantern Society</TITLE>
</HEAD>
<BODY BGCOLOR=#FFFFFF>
{BANNER}
<A NAME=top></A><H2>News</H2>
<P><B>11 January 1999.</B> The annual meeting is put off, and so is the Society. With four members
left who can see well enough to copy, we have decided to stop while the books are in good order.
Everything goes to the Harbour Library, who have promised to keep it dry.
<P><B>2 November 1998.</B> Our youngest member, Zo\u00eb Ferri\u00e8re, has finished the log of The
Widow. It took her three winters. The last entry reads, in full: \u00abMoved again.\u00bb
<P><B>30 June 1998.</B> The reading room was 31\u00b0 on Saturday and the fire was not lit.
<P>The <A HREF="tides/1998.html">tide tables for 1998</A> are for members with boats.
<P><A HREF="welcome.html">Welcome page</A>
</BODY>
</HTML>
"""

# Latin-1 in its bytes; the link that leads here has a space and an e acute in it.
LEDGER = f"""<HTML>
<HEAD><TITLE>The caf\u00e9 ledger</TITLE></HEAD>
<BODY BGCOLOR=#FFFFFF>
{BANNER}
<H2>The caf\u00e9 ledger</H2>
<P>From 1931 to 1939 the ferry called at Skerry Point on Sundays, and the wife of the principal
keeper, a Frenchwoman called Th\u00e9r\u00e8se Tarrant, sold coffee from the oil store. She called
it the caf\u00e9; the Board, when it heard, called it an irregularity. Her ledger has survived.
On 14 August 1932 she took eleven shillings, and noted: \u00abtrop de vent, pas assez de
cr\u00e8me\u00bb. It was still being disputed, \u00e0 la rigueur, in 1938.
</BODY>
</HTML>
"""

OIL = """NOTES ON OIL
by William Tarrant, for the winter meeting, 1995

Colza is pressed from rape seed, and until the eighteen-sixties
it lit most of our coast. It cost about 5 shillings a gallon,
which was \u00a31 for a long night at Skerry Point. It thickens in
the cold: a keeper took the can to bed with him, or he got up at
two to warm it.

Paraffin was cheaper and brighter, and it climbed. Whoever filled
the reservoir to the brim in the evening found it on the stairs
in the morning.

What was stored, by the books:

    year    oil         gallons
    1841    sperm           310
    1855    colza           655
    1870    paraffin        520
    1928    paraffin        480

The smell is said to leave a tower after thirty years. We have
been up Skerry Point with the engineer and can report that it
does not.
"""

PALETTE = bytes.fromhex("003366 ffff99 ffcc33 333333".replace(" ", ""))
LAMP = (
    "................"
    "......3333......"
    ".....333333....."
    "....3......3...."
    "1...3.1221.3...1"
    ".1..3.1221.3..1."
    "..1.3.1221.3.1.."
    "....3.1221.3...."
    "..1.3.1221.3.1.."
    ".1..3.1111.3..1."
    "1...3......3...1"
    "....33333333...."
    ".....333333....."
    ".....333333....."
    "....33333333...."
    "................"
)


def lamp_gif() -> bytes:
    """Draw the lamp as GIF87a; a clear code before every pixel keeps the LZW codes at 3 bits."""
    clear, end = 4, 5
    codes = [code for pixel in LAMP for code in (clear, int(pixel.replace(".", "0")))] + [end]
    bits = sum(code << (3 * position) for position, code in enumerate(codes))
    data = bits.to_bytes(-(-3 * len(codes) // 8), "little")
    blocks = b"".join(
        bytes([len(data[at : at + 255])]) + data[at : at + 255] for at in range(0, len(data), 255)
    )
    screen = b"GIF87a" + struct.pack("<HHBBB", 16, 16, 0b1001_0001, 0, 0) + PALETTE
    return screen + b"," + struct.pack("<HHHHB", 0, 0, 16, 16, 0) + b"\x02" + blocks + b"\x00;"


def pages() -> dict[str, bytes]:
    """Give the bytes of each page by its path in the site."""
    return {
        "history.htm": HISTORY.encode("cp1252"),
        "letters/keepers-letter.html": LETTER.encode("mac_roman"),
        "letters/cafe-ledger.html": LEDGER.encode("latin-1"),
        "news.html": NEWS.encode("latin-1"),
        "notes/lamp-oil.txt": OIL.encode("utf-8"),
        "lamp.gif": lamp_gif(),
    }


if __name__ == "__main__":
    for name, data in pages().items():
        target = SITE / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
