"""The pictures of docs/wiring.md, in English and French: ``python scripts/wiring_pictures.py`` writes docs/pictures.

Each is drawn on a light card of its own, so that it reads alike on a light and on a dark page; words stay text.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from xml.sax.saxutils import escape

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
LANGUAGES = ("en", "fr")
INK, FAINT, CARD = "#1c2733", "#5b6875", "#fbfcfd"
RED, GREEN, BLUE, YELLOW = "#b3261e", "#1f7a3d", "#1d5fa8", "#8a6100"
BOX, COPPER = "#e9eef3", "#b98a2e"

Words = tuple[str, str]
"""What is written, in English and in French."""


class Picture:
    """One drawing in one language, in units of its view box."""

    def __init__(self, language: str, width: int, height: int, title: Words, about: Words) -> None:
        self._language = LANGUAGES.index(language)
        self._parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" xml:lang="{language}"',
            'font-family="Helvetica, Arial, sans-serif">',
            f"<title>{escape(title[self._language])}</title>",
            f"<desc>{escape(about[self._language])}</desc>",
            f'<rect x="1" y="1" width="{width - 2}" height="{height - 2}" rx="10" fill="{CARD}" stroke="#c4cdd6"/>',
        ]
        self.text(24, 34, title, size=18, bold=True)

    def text(
        self,
        x: int,
        y: int,
        words: str | Words,
        *,
        size: int = 13,
        bold: bool = False,
        at: str = "start",
        colour: str = INK,
    ) -> None:
        """Write a line whose baseline is at y; ``at`` is start, middle or end."""
        said = words if isinstance(words, str) else words[self._language]
        weight = ' font-weight="bold"' if bold else ""
        self._parts.append(
            f'<text x="{x}" y="{y}" font-size="{size}"{weight} text-anchor="{at}" fill="{colour}">{escape(said)}</text>'
        )

    def box(
        self, x: int, y: int, width: int, height: int, *names: str | Words, fill: str = BOX, line: str = INK
    ) -> None:
        """Draw a device with its names, one below the other, at the top."""
        self._parts.append(
            f'<rect x="{x}" y="{y}" width="{width}" height="{height}" rx="6" fill="{fill}" stroke="{line}" '
            'stroke-width="1.5"/>'
        )
        for row, name in enumerate(names):
            self.text(x + width // 2, y + 20 + 17 * row, name, bold=row == 0, at="middle", size=14 if row == 0 else 12)

    def line(self, *points: tuple[int, int], colour: str = INK, width: float = 2.5, dash: str = "") -> None:
        """Draw a wire through points."""
        dashes = f' stroke-dasharray="{dash}"' if dash else ""
        way = " ".join(f"{x},{y}" for x, y in points)
        self._parts.append(
            f'<polyline points="{way}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes} '
            'stroke-linejoin="round"/>'
        )

    def pin(self, x: int, y: int, colour: str = COPPER) -> None:
        """Draw a contact around a point."""
        self._parts.append(
            f'<rect x="{x - 6}" y="{y - 6}" width="12" height="12" fill="{colour}" stroke="{INK}" stroke-width="1"/>'
        )

    def cross(self, x: int, y: int, colour: str = RED) -> None:
        """Draw a cross: not connected, or interrupted."""
        self.line((x - 7, y - 7), (x + 7, y + 7), colour=colour)
        self.line((x - 7, y + 7), (x + 7, y - 7), colour=colour)

    def resistor(self, x: int, y: int) -> None:
        """Draw 120 ohms around a point, upright, 44 high."""
        self._parts.append(
            f'<rect x="{x - 9}" y="{y - 22}" width="18" height="44" fill="#ffffff" stroke="{INK}" stroke-width="2"/>'
        )

    def barrier(self, x: int, top: int, bottom: int) -> None:
        """Draw where no current can pass."""
        self.line((x, top), (x, bottom), colour=GREEN, width=4, dash="9 5")

    def svg(self) -> str:
        """Return the whole file."""
        return "\n".join([*self._parts, "</svg>", ""])


def bms(language: str) -> str:
    """Draw the communication connector of the BMS and what it goes to."""
    picture = Picture(
        language,
        820,
        400,
        ("TinyBMS s516 to the computer", "Du TinyBMS s516 à l’ordinateur"),
        (
            "TX of the BMS to RX of an isolated USB adapter, RX to TX, GND to GND; 5 V stays open.",
            "TX du BMS vers RX d’un adaptateur USB isolé, RX vers TX, GND vers GND ; le 5 V reste libre.",
        ),
    )
    picture.box(
        24, 60, 280, 232, "TinyBMS s516", ("communication connector (UART)", "connecteur de communication (UART)")
    )
    picture.box(444, 60, 172, 232, ("USB adapter", "Adaptateur USB"), ("isolated, 3.3 V", "isolé, 3,3 V"))
    picture.box(704, 60, 92, 232, ("Computer", "Ordinateur"), "Raspberry Pi")
    rows = (
        ("TX", ("it sends", "il émet"), "RX", BLUE),
        ("RX", ("it listens", "il écoute"), "TX", YELLOW),
        ("GND", ("= battery minus", "= moins batterie"), "GND", INK),
    )
    for row, (ours, meaning, theirs, colour) in enumerate(rows):
        y = 130 + 42 * row
        picture.text(40, y + 5, ours, bold=True, size=15)
        picture.text(90, y + 5, meaning, colour=FAINT)
        picture.line((298, y), (450, y), colour=colour, width=3)
        picture.pin(298, y)
        picture.pin(450, y)
        picture.text(466, y + 5, theirs, bold=True, size=15)
    picture.text(40, 261, "5 V", bold=True, size=15)
    picture.text(90, 261, ("off while it sleeps", "coupé quand il dort"), colour=FAINT)
    picture.line((298, 256), (360, 256), colour=FAINT)
    picture.pin(298, 256)
    picture.cross(360, 256)
    picture.text(376, 261, ("open", "libre"), colour=RED)
    picture.barrier(546, 104, 284)
    picture.text(556, 150, ("isolation", "isolation"), colour=GREEN, size=12)
    picture.line((616, 200), (704, 200), width=4)
    picture.text(660, 190, "USB", at="middle", bold=True)
    picture.text(
        24,
        322,
        (
            "115200 baud, 8 data bits, no parity, 1 stop bit. One device only on this connector.",
            "115200 bauds, 8 bits, sans parité, 1 bit d’arrêt. Un seul appareil sur ce connecteur.",
        ),
    )
    picture.text(
        24,
        346,
        (
            "Drawn by signal, not by pin: the order of the pins is in the manual of your unit,",
            "Dessiné par signal et non par broche : l’ordre des broches est dans le manuel de votre BMS,",
        ),
        bold=True,
    )
    picture.text(
        24,
        366,
        (
            "section “Communication connector”. Compare with the print on the board before you connect.",
            "section « Communication connector ». Comparez avec la carte avant de brancher.",
        ),
        bold=True,
    )
    return picture.svg()


def isolation(language: str) -> str:
    """Draw where current would go without isolation, and where the barrier stands."""
    picture = Picture(
        language,
        820,
        430,
        ("Why the adapter has to be isolated", "Pourquoi l’adaptateur doit être isolé"),
        (
            "Without a barrier, an open switch in the battery minus sends all current through the data cable.",
            "Sans barrière, un interrupteur ouvert dans le moins fait passer tout le courant par le câble de données.",
        ),
    )
    picture.box(24, 70, 130, 92, "TinyBMS", ("its GND is", "son GND est"), ("battery minus", "le moins batterie"))
    picture.box(230, 70, 150, 92, ("USB adapter", "Adaptateur USB"))
    picture.box(456, 70, 140, 92, "Raspberry Pi", ("with CAN hat", "avec carte CAN"))
    picture.box(672, 70, 124, 92, "GX", "Cerbo, Venus …")
    picture.line((154, 106), (230, 106), width=3)
    picture.text(192, 96, "UART", at="middle", size=12)
    picture.line((380, 106), (456, 106), width=3)
    picture.text(418, 96, "USB", at="middle", size=12)
    picture.line((596, 106), (672, 106), width=3)
    picture.text(634, 96, "CAN", at="middle", size=12)
    picture.barrier(305, 98, 180)
    picture.text(
        305, 202, ("no current passes here", "aucun courant ne passe ici"), at="middle", colour=GREEN, bold=True
    )

    picture.line((24, 300), (270, 300), width=6)
    picture.line((420, 300), (796, 300), width=6)
    picture.line((270, 300), (292, 300), width=6)
    picture.line((292, 300), (390, 268), width=6)
    picture.line((398, 300), (420, 300), width=6)
    picture.text(
        345, 326, ("switch, contactor or loose cable", "interrupteur, contacteur, câble desserré"), at="middle"
    )
    picture.text(24, 326, ("battery minus", "moins de la batterie"), bold=True)
    picture.text(796, 326, ("minus of the installation", "moins de l’installation"), bold=True, at="end")
    for x in (89, 526, 734):
        picture.line((x, 162), (x, 300), width=2)
    picture.text(80, 236, "GND", size=12, colour=FAINT, at="end")
    picture.text(536, 236, ("supply", "alimentation"), size=12, colour=FAINT)
    picture.text(744, 236, ("supply", "alim."), size=12, colour=FAINT)
    picture.line((514, 292), (514, 148), (101, 148), (101, 292), colour=RED, width=2, dash="5 5")
    picture.text(
        305, 246, ("way of the current without a barrier", "chemin du courant sans barrière"), at="middle", colour=RED
    )
    lines = (
        (
            "When the minus is interrupted, the current of the whole installation looks for another way back:",
            "Quand le moins est interrompu, le courant de toute l’installation cherche un autre retour :",
        ),
        (
            "through the thin ground wire and the BMS. The barrier belongs between BMS and computer, always.",
            "par le mince fil de masse et par le BMS. La barrière se place entre BMS et ordinateur, toujours.",
        ),
    )
    for row, words in enumerate(lines):
        picture.text(24, 366 + 22 * row, words)
    return picture.svg()


T568B = (
    ("#e8842c", True),
    ("#e8842c", False),
    ("#2f8f46", True),
    ("#2a63b8", False),
    ("#2a63b8", True),
    ("#2f8f46", False),
    ("#7a4a21", True),
    ("#7a4a21", False),
)
"""Colour of each wire of a patch cable by TIA/EIA 568 B, and whether it is the one with white."""

COLOURS: tuple[Words, ...] = (
    ("white/orange", "blanc/orange"),
    ("orange", "orange"),
    ("white/green", "blanc/vert"),
    ("blue", "bleu"),
    ("white/blue", "blanc/bleu"),
    ("green", "vert"),
    ("white/brown", "blanc/brun"),
    ("brown", "brun"),
)


def can(language: str) -> str:
    """Draw the three wires from the CAN adapter to the plug for the GX."""
    picture = Picture(
        language,
        820,
        440,
        ("CAN adapter to the RJ45 socket of the GX", "De l’adaptateur CAN à la prise RJ45 du GX"),
        (
            "CAN-H to pin 7, CAN-L to pin 8, GND to pin 3, the same on VE.Can and BMS-Can.",
            "CAN-H sur la broche 7, CAN-L sur la broche 8, GND sur la broche 3, pareil pour VE.Can et BMS-Can.",
        ),
    )
    picture.box(24, 60, 176, 316, ("CAN hat or", "Carte ou"), ("USB CAN adapter", "adaptateur USB CAN"))
    picture.box(396, 60, 180, 316, ("RJ45 plug", "Fiche RJ45"), ("colours of T-568B", "couleurs T-568B"))
    used = {3: ("GND", INK), 7: ("CAN-H", YELLOW), 8: ("CAN-L", BLUE)}
    for number, ((colour, striped), name) in enumerate(zip(T568B, COLOURS, strict=True), start=1):
        y = 118 + 32 * (number - 1)
        if number in used:
            signal, ink = used[number]
            picture.line((194, y), (402, y), colour=ink, width=3)
            picture.pin(194, y)
            picture.text(178, y + 5, signal, bold=True, size=15, at="end")
            picture.text(298, y - 7, signal, at="middle", size=12, colour=ink, bold=True)
        picture.pin(402, y, COPPER if number in used else "#d5dbe1")
        picture.text(424, y + 5, str(number), bold=number in used, size=15, at="middle")
        picture.line((444, y), (474, y), colour=colour, width=7)
        if striped:
            picture.line((444, y), (474, y), colour="#ffffff", width=3)
        picture.text(484, y + 5, name, size=12, colour=INK if number in used else FAINT)
    picture.text(298, 364, ("a twisted pair", "une paire torsadée"), at="middle", size=12, colour=FAINT)

    picture.box(632, 96, 150, 96)
    for number in range(1, 9):
        x = 651 + 16 * (number - 1)
        picture.line((x, 100), (x, 128), colour=COPPER, width=7)
        if number in (1, 3, 7, 8):
            picture.text(x, 146, str(number), at="middle", size=12, bold=number in used)
    picture.line((707, 192), (707, 226), width=16, colour=FAINT)
    picture.text(707, 82, ("contacts towards you", "contacts vers vous"), at="middle", size=12)
    picture.text(707, 246, ("clip behind, cable down", "clip derrière, câble en bas"), at="middle", size=12)
    picture.text(600, 290, ("VE.Can and BMS-Can: the", "VE.Can et BMS-Can : les"), size=12)
    picture.text(600, 308, ("same pins. The second socket", "mêmes broches. La seconde"), size=12)
    picture.text(600, 326, ("takes a terminator.", "prise reçoit un bouchon."), size=12)
    picture.text(
        24,
        404,
        (
            "Pins 1, 2, 4, 5 and 6 stay open: cut these wires off where a ready-made cable brings them along.",
            "Les broches 1, 2, 4, 5 et 6 restent libres : coupez ces fils si un câble tout fait les amène.",
        ),
    )
    picture.text(
        24,
        424,
        (
            "Go by the printed pin numbers; colours hold for T-568B cables only.",
            "Fiez-vous aux numéros ; les couleurs ne valent que pour un câble T-568B.",
        ),
        colour=FAINT,
    )
    return picture.svg()


def terminators(language: str) -> str:
    """Draw the two ends of the bus and what a meter shows."""
    picture = Picture(
        language,
        820,
        430,
        ("120 Ω at both ends, 60 Ω on the meter", "120 Ω à chaque bout, 60 Ω au multimètre"),
        (
            "One terminator at the bridge, one in the free socket of the GX; measured together 60 ohms.",
            "Une terminaison au pont, une dans la prise libre du GX ; ensemble 60 ohms.",
        ),
    )
    picture.box(24, 60, 176, 150, ("CAN adapter", "Adaptateur CAN"), ("jumper or switch on", "cavalier ou bouton mis"))
    picture.box(600, 60, 196, 150, "GX", ("both sockets are one bus", "les deux prises : un seul bus"))
    for y, name, colour in ((140, "CAN-H", YELLOW), (184, "CAN-L", BLUE)):
        picture.line((128, y), (748, y), colour=colour, width=3)
        picture.text(400, y - 7, name, at="middle", size=12, bold=True, colour=colour)
    for x in (128, 748):
        picture.resistor(x, 162)
    picture.text(110, 167, "120 Ω", at="end", bold=True)
    picture.text(730, 167, "120 Ω", at="end", bold=True)
    picture.text(796, 230, ("terminator plug in the free socket", "bouchon dans la prise libre"), size=12, at="end")
    picture.text(24, 230, ("end of the bus", "bout du bus"), size=12)
    picture.text(
        24,
        268,
        (
            "Switch everything off and measure between CAN-H and CAN-L (pins 7 and 8):",
            "Tout éteint, mesurez entre CAN-H et CAN-L (broches 7 et 8) :",
        ),
        bold=True,
    )
    cases: tuple[tuple[str, Words, Words, str], ...] = (
        ("60 Ω", ("right:", "juste :"), ("one at each end", "une à chaque bout"), GREEN),
        ("120 Ω", ("one of the two", "une des deux"), ("is missing", "manque"), RED),
        ("40 Ω", ("a third one", "une troisième"), ("somewhere", "quelque part"), RED),
        ("≫ 120 Ω", ("none, or a wire", "aucune, ou un fil"), ("is interrupted", "est coupé"), RED),
    )
    for column, (reading, first, second, colour) in enumerate(cases):
        x = 24 + 196 * column
        picture.box(x, 288, 184, 104, fill="#ffffff", line=colour)
        picture.text(x + 92, 326, reading, size=24, bold=True, at="middle", colour=colour)
        picture.text(x + 92, 354, first, at="middle")
        picture.text(x + 92, 374, second, at="middle")
    picture.text(
        24,
        414,
        ("About 0 Ω: CAN-H and CAN-L touch each other.", "Près de 0 Ω : CAN-H et CAN-L se touchent."),
        colour=FAINT,
    )
    return picture.svg()


def packs(language: str) -> str:
    """Draw four packs on busbars, with a fuse, an equal cable and an isolated adapter for each."""
    picture = Picture(
        language,
        820,
        546,
        ("Four packs as one battery", "Quatre packs, une seule batterie"),
        (
            "Four packs in parallel between two busbars by equal cables, each with its own fuse and isolated adapter.",
            "Quatre packs en parallèle entre deux barres par des câbles égaux, chacun avec fusible et isolateur.",
        ),
    )
    picture.line((40, 92), (40, 56), (760, 56), (760, 156), colour=RED, width=5)
    picture.line((24, 92), (640, 92), colour=RED, width=9)
    picture.line((24, 300), (640, 300), width=9)
    picture.line((640, 300), (712, 300), (712, 242), width=5)
    picture.text(652, 97, ("plus bar", "barre plus"), size=12, colour=RED, bold=True)
    picture.text(652, 322, ("minus bar", "barre moins"), size=12, bold=True)
    picture.box(
        676, 156, 120, 86, ("Inverter", "Onduleur"), ("main fuse,", "fusible principal,"), ("switch", "coupure")
    )
    for place, name in enumerate("abcd"):
        left = 24 + 152 * place
        middle = left + 60
        picture.line((middle, 92), (middle, 156), colour=RED, width=4)
        picture.line((left + 30, 232), (left + 30, 300), width=4)
        picture.line((left + 90, 232), (left + 90, 330), colour=BLUE, width=2)
        picture.box(middle - 10, 108, 20, 34, fill="#ffffff", line=RED)
        picture.text(middle + 18, 130, ("fuse", "fusible"), size=12, colour=RED)
        picture.box(left, 156, 120, 76, (f"Pack {name}", f"Pack {name}"), ("cells and", "cellules et"), "TinyBMS")
        picture.text(left + 96, 270, "UART", size=11, colour=BLUE)
        picture.box(left, 330, 120, 58, ("USB adapter", "Adaptateur USB"))
        picture.line((left + 10, 360), (left + 110, 360), colour=GREEN, width=4, dash="9 5")
        picture.text(middle, 379, ("isolated", "isolé"), size=12, colour=GREEN, bold=True, at="middle")
        picture.line((middle, 388), (middle, 414), width=3)
    picture.box(24, 414, 576, 34, ("USB hub with a supply of its own", "Hub USB avec sa propre alimentation"))
    picture.box(676, 350, 120, 98, "Raspberry Pi", ("CAN to the GX", "CAN vers le GX"))
    picture.line((600, 431), (676, 431), width=4)
    picture.text(638, 424, "USB", at="middle", size=12, bold=True)
    lines = (
        (
            "Cables to the bars: all of one length and thickness. Plus is taken at one end, minus at the other.",
            "Câbles vers les barres : tous de même longueur et section. Le plus sort d’un bout, le moins de l’autre.",
        ),
        (
            "Before the first connection all packs have the same voltage: nothing else limits what flows between.",
            "Avant le premier raccord, tous les packs ont la même tension : rien ne limite leur courant mutuel.",
        ),
        (
            "One isolated adapter for each pack: through a common ground, current of one would flow through another.",
            "Un adaptateur isolé par pack : par une masse commune, le courant de l’un passerait par l’autre.",
        ),
    )
    for row, words in enumerate(lines):
        picture.text(24, 482 + 22 * row, words)
    return picture.svg()


PICTURES: dict[str, Callable[[str], str]] = {
    "bms-connector": bms,
    "isolation": isolation,
    "can-rj45": can,
    "terminators": terminators,
    "packs": packs,
}


def write(folder: Path) -> list[Path]:
    """Write every picture in every language; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, draw in PICTURES.items():
        for language in LANGUAGES:
            path = folder / f"{name}.{language}.svg"
            path.write_text(draw(language), encoding="utf-8")
            paths.append(path)
    return paths


if __name__ == "__main__":
    for written in write(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER):
        print(written)
