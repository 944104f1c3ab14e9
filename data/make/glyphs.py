"""Writes Sources/Shell/Rendering/Drawing/GlyphOutlines.swift: the outlines of DejaVu Sans that pictures need.

    python3 -m venv .venv && .venv/bin/pip install fonttools==4.60.1
    .venv/bin/python data/make/glyphs.py /usr/share/fonts/truetype/dejavu/DejaVuSans.ttf

Ran with DejaVu Sans 2.37, whose licence lets outlines be copied and changed.
"""
import sys
from fontTools.pens.basePen import decomposeQuadraticSegment
from fontTools.pens.recordingPen import DecomposingRecordingPen
from fontTools.ttLib import TTFont

CHARACTERS = (
    "".join(map(chr, range(0x20, 0x7F))) + "".join(map(chr, range(0xA1, 0x100)))
    + "αβγδεζηθκλμνξπρστφχψωΓΔΘΛΠΣΦΨΩ–—‘’“”•…−×·∂∇∈∑√∞≈≠≤≥→←↑↓"
)
HEAD = '''// Written by data/make/glyphs.py. Outlines of DejaVu Sans (dejavu-fonts.github.io, free to copy and change): for each
// character its code, its advance and its outline, in units of which 1024 make an em, y upwards.

let glyphOutlines = """
'''


def outline(font, glyphs, name):
    pen = DecomposingRecordingPen(glyphs)
    glyphs[name].draw(pen)
    half = lambda point: " ".join(str(round(c * 1024 / font["head"].unitsPerEm)) for c in point)
    parts = []
    for word, points in pen.value:
        if word == "moveTo":
            parts.append("M" + half(points[0]))
        elif word == "lineTo":
            parts.append("L" + half(points[0]))
        elif word == "qCurveTo":
            parts += ["Q" + half(a) + " " + half(b) for a, b in decomposeQuadraticSegment(points)]
        elif word == "closePath":
            parts.append("Z")
        else:
            sys.exit(f"{name}: {word} is not known")
    return "".join(parts)


def main(path):
    font = TTFont(path)
    glyphs, names = font.getGlyphSet(), font.getBestCmap()
    lines = []
    for character in dict.fromkeys(CHARACTERS):
        name = names.get(ord(character))
        if name is None:
            continue
        advance = round(glyphs[name].width * 1024 / font["head"].unitsPerEm)
        lines.append(f"  {ord(character):x} {advance} {outline(font, glyphs, name)}".rstrip())
    with open("Sources/Shell/Rendering/Drawing/GlyphOutlines.swift", "w") as file:
        file.write("// swift-format-ignore-file\n" + HEAD + "\n".join(lines) + '\n  """\n')


main(sys.argv[1])
