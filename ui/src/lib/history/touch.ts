// Fingers on a chart: one moves the cursor, two zoom. Up and down stays with the browser, so that the page scrolls.
import type uPlot from 'uplot';
import { placeCursor } from './plot';

export interface TouchHandlers {
  onPinch: (from: number, to: number) => void;
}

/** Follows fingers on the plot until the returned function is called. */
export function followTouch(u: uPlot, { onPinch }: TouchHandlers): () => void {
  const fingers = new Map<number, number>();
  let pinch: { left: number; right: number } | null = null;
  const x = (event: PointerEvent) => event.clientX - u.over.getBoundingClientRect().left;

  /** The times under both fingers stay under them. */
  function window(): [number, number] | null {
    if (pinch === null || fingers.size !== 2) return null;
    const [a = 0, b = 0] = [...fingers.values()].sort((one, other) => one - other);
    if (b - a < 12) return null;
    const perPx = (pinch.right - pinch.left) / (b - a);
    return [pinch.left - a * perPx, pinch.right + (u.over.clientWidth - b) * perPx];
  }

  function down(event: PointerEvent): void {
    if (event.pointerType !== 'touch') return;
    fingers.set(event.pointerId, x(event));
    u.over.setPointerCapture(event.pointerId);
    const [a = 0, b = 0] = [...fingers.values()].sort((one, other) => one - other);
    pinch = fingers.size === 2 ? { left: u.posToVal(a, 'x'), right: u.posToVal(b, 'x') } : null;
    if (fingers.size === 1) placeCursor(u, a);
  }

  function move(event: PointerEvent): void {
    if (!fingers.has(event.pointerId)) return;
    fingers.set(event.pointerId, x(event));
    const shown = window();
    if (shown !== null) u.setScale('x', { min: shown[0], max: shown[1] });
    else if (fingers.size === 1) placeCursor(u, x(event));
  }

  function up(event: PointerEvent): void {
    const shown = window();
    fingers.delete(event.pointerId);
    if (shown !== null) onPinch(...shown);
    pinch = null;
  }

  u.over.addEventListener('pointerdown', down);
  u.over.addEventListener('pointermove', move);
  u.over.addEventListener('pointerup', up);
  u.over.addEventListener('pointercancel', up);
  return () => {
    u.over.removeEventListener('pointerdown', down);
    u.over.removeEventListener('pointermove', move);
    u.over.removeEventListener('pointerup', up);
    u.over.removeEventListener('pointercancel', up);
  };
}
