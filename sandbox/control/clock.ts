/** When ledgers close: every N milliseconds, by hand, or as soon as something is pending. */
import type { SandboxCore } from '../core/core.ts';

type ClockMode = 'interval' | 'manual' | 'on_demand';

interface ClockSettings {
  mode: ClockMode;
  /** milliseconds between ledgers in mode `interval` */
  ledgerMs: number;
}

/** A sandbox whose ledgers are closed by hand has its own time, so that a run can be repeated exactly. */
export const MANUAL_GENESIS_TIME = Date.UTC(2026, 0, 1) / 1000;

/** Ledgers go on closing without traffic, as on the network: timebounds are made from the latest close time. */
const HEARTBEAT_MS = 1_000;

export function settingsOf(ledgerMs: number): ClockSettings {
  return { mode: ledgerMs === 0 ? 'manual' : 'interval', ledgerMs };
}

/** Close time of the next ledger, in unix seconds: wall time, or one second on when ledgers are closed by hand. */
export function closeTimeOf({ mode }: ClockSettings, previous: number): number {
  return mode === 'manual' ? previous + 1 : Math.max(previous, Math.floor(Date.now() / 1000));
}

export interface Clock {
  settings(): ClockSettings;
  set(settings: Partial<ClockSettings>): void;
  stop(): void;
}

export function createClock(core: SandboxCore, settings: ClockSettings): Clock {
  let timer: NodeJS.Timeout | undefined;
  let due: NodeJS.Immediate | undefined;
  const closeSoon = (): void => {
    if (settings.mode !== 'on_demand' || due !== undefined) return;
    due = setImmediate(() => {
      due = undefined;
      core.closeLedger();
      if (core.pending() > 0) closeSoon();
    });
  };
  const stopListening = core.onPending(closeSoon);
  const start = (): void => {
    clearInterval(timer);
    timer = undefined;
    if (settings.mode === 'manual') return;
    timer = setInterval(() => core.closeLedger(), settings.mode === 'interval' ? settings.ledgerMs : HEARTBEAT_MS);
    if (core.pending() > 0) closeSoon();
  };
  start();
  return {
    settings: () => ({ ...settings }),
    set: (changed) => {
      Object.assign(settings, changed);
      start();
    },
    stop: () => {
      stopListening();
      clearInterval(timer);
      clearImmediate(due);
    },
  };
}
