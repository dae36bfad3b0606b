"""What several packs as one battery add to the catalogue, in French."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PACK_SENTENCES"]

PACK_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "limit.of_pack": "pack {pack} : {reason}",
        "limited_by.of_pack": "pack {pack} : {cause}",
        "cause.of_pack": "pack {pack} : {cause}",
        "event.of_pack": "Pack {pack} : {text}",
        "limit.pack_share": "{share_percent:.0f} % du courant passent par lui, et il supporte {threshold:.1f} A",
        "limit.pack_blocked": "aucun pack ne donne ni ne prend de courant dans ce sens",
        "limit.pack_silent": "son BMS ne répond pas[ depuis {value:.0f} s], et personne ne voit ses cellules",
        "limit.pack_joining": "il est à[ {value:.2f} V] d'écart des autres, et prend ou donne presque tout le courant",
        "limited_by.pack_share": "sa part de {share_percent:.0f} % du courant",
        "limited_by.pack_blocked": "les packs, dont aucun ne donne ni ne prend de courant",
        "limited_by.pack_silent": "un BMS qui ne répond pas",
        "limited_by.pack_joining": "une tension[ à {value:.2f} V] loin des autres",
        "cause.pack_silent": "aucune donnée valable depuis {silent_s:.0f} s, et il est toujours en parallèle",
        "cause.pack_joining": "{apart_v:.2f} V d'écart avec les autres : aucune limite n'arrête le courant qui les égalise",
        "cause.pack_odd": "il ne va pas avec les autres[ : {cells} cellules, les autres en ont {expected}]",
        "cause.pack_double": "la même unité répond aussi sur {device}",
        "cause.pack_unsteady": "ses mesures vont et viennent",
        "pack_condition.in_use": "en service",
        "pack_condition.starting": "démarre",
        "pack_condition.joining": "rejoint les autres",
        "pack_condition.silent": "muet",
        "pack_condition.odd": "ne va pas avec les autres",
        "pack_condition.out_of_service": "hors service",
        "pack_condition.in_use.explanation": "Il fait partie de la batterie.",
        "pack_condition.starting.explanation": "Son BMS n'a pas encore donné assez de mesures valables.",
        "pack_condition.joining.explanation": "Sa tension est loin de celle des autres : il prend ou donne presque tout le courant, ce qu'aucune limite n'arrête, jusqu'à ce qu'il s'en soit approché.",
        "pack_condition.silent.explanation": "Il ne donne plus de donnée valable : il est toujours en parallèle, et personne ne voit ses cellules ; la batterie est donc chargée avec prudence.",
        "pack_condition.silent.advice": "Vérifiez son câble, son adaptateur et son fusible. S'il est débranché pour longtemps, mettez-le hors service.",
        "pack_condition.odd.explanation": "Son nombre de cellules ou sa chimie n'est pas celui des autres, ou son unité est entendue deux fois. Il compte comme muet.",
        "pack_condition.odd.advice": "Vérifiez quelle unité est sur quel port, et les réglages de son BMS.",
        "pack_condition.out_of_service.explanation": "Une personne l'a retiré : il n'est pas lu, et ne fait partie de rien.",
        "pack.silent": "Le pack {pack} ne donne plus de donnée valable : il est toujours en parallèle, et personne ne voit ses cellules",
        "pack.back": "Le pack {pack} donne de nouveau des données valables",
        "pack.joining": "Le pack {pack} arrive à {apart_v:.2f} V d'écart des autres : aucune limite n'arrête le courant qui les égalise",
        "pack.joined": "Le pack {pack} s'est approché des autres",
        "pack.odd": "Le pack {pack} ne va pas avec les autres[ : {cells} cellules, les autres en ont {expected}]",
        "pack.ports_swapped": "L'unité du pack {pack} répond maintenant sur {device}, et y est suivie",
        "pack.same_unit": "L'unité du pack {pack} répond aussi sur {device} : une unité ne peut pas être deux packs",
        "pack.other_unit": "Le BMS sur le port du pack {pack} n'est pas celui qui a le numéro de série {expected}[, mais {serial}] : il ne compte pas",
        "pack.serial_double": "Le numéro de série du pack {pack} est celui d'un autre : ses compteurs vont avec son nom",
        "pack.out_of_service": "Le pack {pack} a été mis hors service",
        "pack.in_service": "Le pack {pack} a été remis en service",
        "pace.slower": "{packs} BMS {packs:est lu|sont lus} toutes les {interval_ms:.0f} ms au lieu de {configured_ms:.0f} ms : sinon le cœur prend {share_percent:.0f} % d'un processeur",
        "pace.slower.explanation": "Les limites suivent la batterie un peu plus tard, de moins d'une seconde. Dès que le processeur en a le temps, les BMS sont lus aussi souvent que configuré.",
        "pace.configured": "Les BMS sont de nouveau lus toutes les {interval_ms:.0f} ms, comme configuré",
    }
)
