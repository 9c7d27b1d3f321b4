/** Ledger headers and close metadata: enough for clients that decode them, all taken from the closed ledger. */
import { xdr } from '@stellar/stellar-sdk/base';
import type { Core, LedgerRecord } from '../core/types.ts';
import { PROTOCOL_VERSION } from '../horizon/resources.ts';

const ZERO_HASH = '0'.repeat(64);
const TOTAL_COINS = 500_000_000_000_000_000n;
const BASE_FEE = 100;
const BASE_RESERVE = 5_000_000;

function headerOf(ledger: LedgerRecord): xdr.LedgerHeader {
  return new xdr.LedgerHeader({
    ledgerVersion: PROTOCOL_VERSION,
    previousLedgerHash: ledger.previousHash,
    scpValue: new xdr.StellarValue({
      txSetHash: ZERO_HASH,
      closeTime: BigInt(ledger.closedAt),
      upgrades: [],
      ext: xdr.StellarValueExt.stellarValueBasic(),
    }),
    txSetResultHash: ZERO_HASH,
    bucketListHash: ZERO_HASH,
    ledgerSeq: ledger.sequence,
    totalCoins: TOTAL_COINS,
    feePool: 0n,
    inflationSeq: 0,
    idPool: 0n,
    baseFee: BASE_FEE,
    baseReserve: BASE_RESERVE,
    maxTxSetSize: 1_000,
    skipList: [ZERO_HASH, ZERO_HASH, ZERO_HASH, ZERO_HASH],
    ext: xdr.LedgerHeaderExt.v0(),
  });
}

function historyEntryOf(ledger: LedgerRecord): xdr.LedgerHeaderHistoryEntry {
  return new xdr.LedgerHeaderHistoryEntry({
    hash: ledger.hash,
    header: headerOf(ledger),
    ext: xdr.LedgerHeaderHistoryEntryExt.v0(),
  });
}

/** Base64 LedgerHeader. */
export const headerXdr = (ledger: LedgerRecord): string => headerOf(ledger).toXdr('base64');

/** Base64 LedgerHeaderHistoryEntry. */
export const headerEntryXdr = (ledger: LedgerRecord): string => historyEntryOf(ledger).toXdr('base64');

/** Base64 LedgerCloseMeta without its transactions, which have calls of their own. */
export function closeMetaXdr(ledger: LedgerRecord): string {
  const meta = new xdr.LedgerCloseMetaV0({
    ledgerHeader: historyEntryOf(ledger),
    txSet: new xdr.TransactionSet({ previousLedgerHash: ledger.previousHash, txs: [] }),
    txProcessing: [],
    upgradesProcessing: [],
    scpInfo: [],
  });
  return xdr.LedgerCloseMeta.v0(meta).toXdr('base64');
}

/** The oldest ledger still served, and the latest. */
export function rangeOf(core: Core): { oldest: LedgerRecord; latest: LedgerRecord } {
  const latest = core.latest();
  return { oldest: core.ledger(core.oldest()) ?? latest, latest };
}
