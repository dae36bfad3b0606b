"""What several packs as one battery add to the catalogue, in English."""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["PACK_SENTENCES"]

PACK_SENTENCES: Mapping[str, str] = MappingProxyType(
    {
        "limit.of_pack": "pack {pack}: {reason}",
        "limited_by.of_pack": "pack {pack}: {cause}",
        "cause.of_pack": "pack {pack}: {cause}",
        "event.of_pack": "Pack {pack}: {text}",
        "limit.pack_share": "{share_percent:.0f} % of the current is its own, and it bears {threshold:.1f} A",
        "limit.pack_blocked": "no pack gives or takes current in this direction",
        "limit.pack_silent": "its BMS does not answer[ for {value:.0f} s], and nobody sees its cells",
        "limit.pack_joining": "it is[ {value:.2f} V] apart from the others, and takes or gives nearly all of the current",
        "limited_by.pack_share": "its {share_percent:.0f} % of the current",
        "limited_by.pack_blocked": "the packs, none of which gives or takes current",
        "limited_by.pack_silent": "a BMS that does not answer",
        "limited_by.pack_joining": "a voltage[ {value:.2f} V] apart from the others",
        "cause.pack_silent": "no good data for {silent_s:.0f} s, and it is still in parallel",
        "cause.pack_joining": "{apart_v:.2f} V apart from the others: no limit stops the current that makes them equal",
        "cause.pack_odd": "it does not fit the others[: {cells} cells, the others have {expected}]",
        "cause.pack_double": "the same unit answers at {device}, too",
        "cause.pack_unsteady": "its readings come and go",
        "pack_condition.in_use": "in use",
        "pack_condition.starting": "starting",
        "pack_condition.joining": "joining",
        "pack_condition.silent": "silent",
        "pack_condition.odd": "does not fit",
        "pack_condition.out_of_service": "out of service",
        "pack_condition.in_use.explanation": "It is part of the battery.",
        "pack_condition.starting.explanation": "Its BMS has not given enough good readings yet.",
        "pack_condition.joining.explanation": "Its voltage is far from that of the others: it takes or gives nearly all of the current, which no limit can stop, until it has come near.",
        "pack_condition.silent.explanation": "It gives no good data any more: it is still in parallel, and nobody sees its cells, so the battery is charged with care.",
        "pack_condition.silent.advice": "Check its cable, adapter and fuse. If it is disconnected for longer, take it out of service.",
        "pack_condition.odd.explanation": "Its number of cells or its chemistry is not that of the others, or its unit is heard twice. It counts as silent.",
        "pack_condition.odd.advice": "Check which unit is at which port, and the settings of its BMS.",
        "pack_condition.out_of_service.explanation": "A person has taken it out: it is not read, and not part of anything.",
        "pack.silent": "Pack {pack} gives no good data any more: it is still in parallel, and nobody sees its cells",
        "pack.back": "Pack {pack} gives good data again",
        "pack.joining": "Pack {pack} joins from {apart_v:.2f} V beside the others: no limit stops the current that makes them equal",
        "pack.joined": "Pack {pack} has come near the others",
        "pack.odd": "Pack {pack} does not fit the others[: {cells} cells, the others have {expected}]",
        "pack.ports_swapped": "The unit of pack {pack} answers at {device} now, and is followed there",
        "pack.same_unit": "The unit of pack {pack} answers at {device}, too: one unit cannot be two packs",
        "pack.other_unit": "The BMS at the port of pack {pack} is not the one with serial number {expected}[, but {serial}]: it does not count",
        "pack.serial_double": "The serial number of pack {pack} is that of another one: its counters belong to its name",
        "pack.out_of_service": "Pack {pack} was taken out of service",
        "pack.in_service": "Pack {pack} was put back into service",
        "pace.slower": "{packs} BMS {packs:is|are} read every {interval_ms:.0f} ms in place of {configured_ms:.0f} ms: otherwise the core takes {share_percent:.0f} % of a processor",
        "pace.slower.explanation": "The limits follow the battery a little later, by less than a second. As soon as the processor has time for it the BMS are read as often as configured.",
        "pace.configured": "The BMS are read every {interval_ms:.0f} ms again, as configured",
    }
)
