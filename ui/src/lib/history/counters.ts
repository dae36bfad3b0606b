// What is counted on the lines, by the names of the API, in the order in which it is shown.
export const COUNTERS = [
  'uart_polls',
  'uart_errors',
  'uart_timeouts',
  'uart_crc_errors',
  'uart_retries',
  'uart_garbage_bytes',
  'can_tx_count',
  'can_tx_errors',
  'can_rx_count',
  'can_rx_errors',
  'can_bus_off_count',
  'can_outages',
  'bus_events',
  'bus_overruns',
] as const;
export type Counter = (typeof COUNTERS)[number];

/** Counters of what goes well; the others are mistakes. */
export const GOOD: readonly Counter[] = ['uart_polls', 'can_tx_count', 'can_rx_count', 'bus_events'];
