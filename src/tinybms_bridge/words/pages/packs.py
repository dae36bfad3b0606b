"""Words of the page ``settings``, section ``packs``: finding packs, naming them, taking them out."""

__all__ = ["WORDS"]

WORDS: dict[str, tuple[str, str]] = {
    "intro": (
        "Up to 16 packs in parallel are one battery for the GX. Each has a TinyBMS and an isolated adapter of its own, and all have the same number and kind of cells.",
        "Jusqu’à 16 packs en parallèle forment une seule batterie pour le GX. Chacun a son TinyBMS et son adaptateur isolé ; tous ont le même nombre et le même type de cellules.",
    ),
    "take_out_first": (
        "Before packs are connected in parallel, bring them to the same voltage: nothing but cables and fuses limits the current between them.",
        "Avant de relier des packs en parallèle, amenez-les à la même tension : seuls câbles et fusibles limitent le courant entre eux.",
    ),
    "wiring": (
        "Each pack has its own fuse, cables of one length to both bars, and an isolated adapter (green) at a hub with its own supply.",
        "Chaque pack a son fusible, des câbles de même longueur vers les deux barres, et un adaptateur isolé (vert) sur un hub avec sa propre alimentation.",
    ),
    "packs": ("Packs of this battery", "Packs de cette batterie"),
    "port": ("port {port}", "port {port}"),
    "remove": ("Remove", "Retirer"),
    "remove_text": (
        "It goes from this battery, from the broker and from Home Assistant. Its history stays.",
        "Il quitte cette batterie, le serveur MQTT et Home Assistant. Son historique reste.",
    ),
    "removed": ("Pack {name} is no longer part of the battery.", "Le pack {name} ne fait plus partie de la batterie."),
    "find": ("Find packs", "Chercher des packs"),
    "find_text": (
        "Asks at each serial port which BMS answers; takes some seconds. Ports that another program uses are left alone.",
        "Demande à chaque port série quel BMS répond ; prend quelques secondes. Les ports utilisés par un autre programme sont laissés tranquilles.",
    ),
    "finding": ("Asking at the ports …", "Interrogation des ports …"),
    "no_ports": ("This machine has no serial port.", "Cette machine n’a aucun port série."),
    "is_pack": ("is pack {name}", "est le pack {name}"),
    "unit": ("TinyBMS {serial}", "TinyBMS {serial}"),
    "unit_cells": ("{n} {n:cell|cells}", "{n} {n:cellule|cellules}"),
    "name": ("Name of the pack", "Nom du pack"),
    "name_help": (
        "Up to 16 letters, digits, - and _; it names topics and records, so choose one that stays.",
        "Jusqu’à 16 lettres, chiffres, - et _ ; il nomme les topics et l’historique : choisissez-en un qui reste.",
    ),
    "add": ("Add", "Ajouter"),
    "added": ("Pack {name} is part of the battery now.", "Le pack {name} fait maintenant partie de la batterie."),
}
