/**
 * The journal: one line per closed ledger, on disk before the ledger is visible, so that a process killed at any moment
 * comes back with everything that anybody could have seen. The queue is not kept, as no node keeps it: what was pending
 * is gone, and whoever submitted it submits the same bytes again.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { lock } from './lock.ts';

/** What a network starts from. */
export interface Origin {
  readonly network_passphrase: string;
  readonly seed: string;
  /** unix seconds of the genesis ledger */
  readonly genesis_time: number;
}

/** What was done to a ledger from outside of its transactions. */
export interface Disturbance {
  /** hashes of contract calls that fail whatever they do */
  readonly doomed: readonly string[];
  /** contracts whose entries are archived when the ledger begins */
  readonly archived: readonly string[];
}

/** All that is needed to close the same ledger again. */
interface JournalLedger {
  readonly sequence: number;
  readonly closed_at: number;
  /** stroops per operation */
  readonly fees: { readonly classic: string; readonly soroban: string };
  /** envelopes in the order they applied */
  readonly envelopes: readonly string[];
  readonly hash: string;
  readonly disturbance?: Disturbance;
}

export interface Journal {
  /** What a previous process left: its origin and its ledgers; undefined for a new file. */
  readonly found: { readonly origin: Origin; readonly ledgers: readonly JournalLedger[] } | undefined;
  /** Starts over with a new network. */
  begin(origin: Origin): void;
  append(ledger: JournalLedger): void;
  close(): void;
}

/** Complete lines only: a process that died while writing leaves half a line that nobody saw the effect of. */
function completeText(path: string): string {
  if (!existsSync(path)) return '';
  const text = readFileSync(path, 'utf8');
  return text.slice(0, text.lastIndexOf('\n') + 1);
}

/** @throws Error when another process uses the file */
export function openJournal(path: string): Journal {
  const unlock = lock(`${path}.lock`);
  const text = completeText(path);
  const [head, ...rest] = text.split('\n').filter((line) => line !== '');
  const found =
    head === undefined
      ? undefined
      : { origin: JSON.parse(head) as Origin, ledgers: rest.map((line) => JSON.parse(line) as JournalLedger) };
  const file = openSync(path, existsSync(path) ? 'r+' : 'w+');
  ftruncateSync(file, Buffer.byteLength(text));
  let end = Buffer.byteLength(text);
  const write = (value: object): void => {
    end += writeSync(file, `${JSON.stringify(value)}\n`, end);
    fsyncSync(file);
  };
  return {
    found,
    begin: (origin) => {
      ftruncateSync(file, 0);
      end = 0;
      write(origin);
    },
    append: write,
    close: () => {
      closeSync(file);
      unlock();
    },
  };
}

/** For a network that lives in memory only. */
export function noJournal(): Journal {
  return { found: undefined, begin: () => undefined, append: () => undefined, close: () => undefined };
}
