// The ten keys that nearly everybody wants, in the order of the questions that a new owner has. All others follow from
// the BMS and the chemistry, or are right for nearly every battery; they are in the groups.
export const FIRST = [
  'victron.max_charge_current_a', // What cables, fuses and the warranty of the cells allow; the BMS knows its cutoff only.
  'victron.max_discharge_current_a', // The same for the loads.
  'cvl.profile', // For the season: normal, half full for a stored boat, or full once before a trip.
  'cvl.soc_max_percent', // Cells live longer below full.
  'cvl.soc_min_percent', // What stays for an emergency, and for cold nights off grid.
  'cvl.chemistry', // Register 300 may fit two chemistries: until one is named the careful one counts.
  'hardware.uart.device', // Where the BMS is.
  'hardware.can.interface', // Which adapter leads to the GX …
  'hardware.can.channel', // … and which one of several.
  'web_server.enable_auth', // Who may look: everybody in the house, or only who has a login.
] as const;

/** The order in which people look for groups: what the battery does first, what hardly anybody needs last. */
export const ORDER = [
  'cvl',
  'victron',
  'hardware',
  'web_server',
  'mqtt',
  'notifications',
  'mdns',
  'metrics',
  'tinybms',
  'logging',
  'advanced',
  'wifi',
];
