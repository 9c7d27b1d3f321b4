/** Ids: a readable prefix and a time-sortable random part; and the ids of workflows. */
import { typeid } from 'typeid-js';

const ID_PREFIXES = {
  marketplace: 'mkt',
  apiKey: 'key',
  user: 'usr',
  wallet: 'wal',
  order: 'ord',
  escrow: 'esc',
  dispute: 'dsp',
  operation: 'op',
  event: 'evt',
  chainTransaction: 'ctx',
  walletBatch: 'bat',
  movement: 'mov',
  signingRequest: 'sig',
  withdrawal: 'wd',
  adjustment: 'adj',
  attention: 'att',
  repairApproval: 'apr',
  audit: 'aud',
  testClock: 'clk',
  request: 'req',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

/** A new id, e.g. `ord_01k…`; not for workflow code (random). */
export function newId(kind: IdKind): string {
  return typeid(ID_PREFIXES[kind]).toString();
}
