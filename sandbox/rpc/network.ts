/** The small calls: health, network, versions, latest ledgers, fee statistics. */
import { networkId, readEnvelope } from '../core/envelope.ts';
import { feeUnits, refundOf } from '../core/fees.ts';
import type { Core } from '../core/types.ts';
import { PROTOCOL_VERSION } from '../horizon/resources.ts';
import {
  assertFormat,
  countParam,
  INVALID_REQUEST,
  invalidParams,
  type Method,
  recordParam,
  RpcError,
  textParam,
} from './jsonrpc.ts';
import { closeMetaXdr, headerEntryXdr, headerXdr, rangeOf } from './ledgers.ts';

/** Seven days of ledgers. */
const RETENTION = 120_960;
const CLASSIC_WINDOW = 10;
const SOROBAN_WINDOW = 50;
const MAX_LEDGERS = 200;
const DEFAULT_LEDGERS = 50;
const PERCENTILES = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99] as const;

export function getHealth(core: Core): Method {
  return () => {
    const { oldest, latest } = rangeOf(core);
    return {
      status: 'healthy',
      latestLedger: latest.sequence,
      oldestLedger: oldest.sequence,
      ledgerRetentionWindow: RETENTION,
      latestLedgerCloseTime: String(latest.closedAt),
      oldestLedgerCloseTime: String(oldest.closedAt),
    };
  };
}

export function getNetwork(core: Core, friendbotUrl: string | undefined): Method {
  return () => ({
    ...(friendbotUrl === undefined ? {} : { friendbotUrl }),
    passphrase: core.networkPassphrase,
    protocolVersion: PROTOCOL_VERSION,
  });
}

export function getVersionInfo(): Method {
  return () => ({
    version: '28.0.0-sandbox',
    commitHash: '',
    buildTimestamp: '',
    captiveCoreVersion: 'sandbox',
    protocolVersion: PROTOCOL_VERSION,
  });
}

export function getLatestLedger(core: Core): Method {
  return () => {
    const latest = core.latest();
    return {
      id: latest.hash,
      protocolVersion: PROTOCOL_VERSION,
      sequence: latest.sequence,
      closeTime: String(latest.closedAt),
      headerXdr: headerXdr(latest),
      metadataXdr: closeMetaXdr(latest),
    };
  };
}

export function getLedgers(core: Core): Method {
  return (params) => {
    assertFormat(params);
    const pagination = recordParam(params, 'pagination') ?? {};
    const limit = countParam(pagination, 'limit') ?? DEFAULT_LEDGERS;
    if (limit > MAX_LEDGERS) throw invalidParams(`limit must not exceed ${MAX_LEDGERS}`);
    const cursor = textParam(pagination, 'cursor') ?? '';
    const start = cursor === '' ? (countParam(params, 'startLedger') ?? 0) : Number(cursor) + 1;
    const { oldest, latest } = rangeOf(core);
    const known = start >= oldest.sequence && start <= latest.sequence + (cursor === '' ? 0 : 1);
    if (!known) {
      const range = `${oldest.sequence} - ${latest.sequence}`;
      throw new RpcError(
        INVALID_REQUEST,
        `start ledger must be between the oldest ledger and the latest ledger: ${range}`,
      );
    }
    const count = Math.min(limit, latest.sequence - start + 1);
    const ledgers = Array.from({ length: count }, (_, index) => core.ledger(start + index)).filter(
      (one) => one !== undefined,
    );
    return {
      ledgers: ledgers.map((ledger) => ({
        hash: ledger.hash,
        sequence: ledger.sequence,
        ledgerCloseTime: String(ledger.closedAt),
        headerXdr: headerEntryXdr(ledger),
        metadataXdr: closeMetaXdr(ledger),
      })),
      latestLedger: latest.sequence,
      latestLedgerCloseTime: latest.closedAt,
      oldestLedger: oldest.sequence,
      oldestLedgerCloseTime: oldest.closedAt,
      cursor: String(ledgers.at(-1)?.sequence ?? start - 1),
    };
  };
}

/** Distribution of fees; an empty window is all zeros. */
function distribution(fees: readonly bigint[], ledgerCount: number): object {
  const sorted = [...fees].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const at = (index: number): string => String(sorted[Math.max(0, Math.min(index, sorted.length - 1))] ?? 0n);
  const counts = new Map<bigint, number>();
  for (const fee of sorted) counts.set(fee, (counts.get(fee) ?? 0) + 1);
  const [mode] = [...counts].sort(([, a], [, b]) => b - a)[0] ?? [0n];
  const percentiles = PERCENTILES.map((p) => [`p${p}`, at(Math.ceil((p * sorted.length) / 100) - 1)]);
  return {
    max: at(sorted.length - 1),
    min: at(0),
    mode: String(mode),
    ...Object.fromEntries(percentiles),
    transactionCount: String(fees.length),
    ledgerCount,
  };
}

/** What inclusion cost per operation, without the resource fees of contract calls. */
export function getFeeStats(core: Core): Method {
  const network = networkId(core.networkPassphrase);
  return () => {
    const { oldest, latest } = rangeOf(core);
    const feesOf = (window: number, soroban: boolean): bigint[] => {
      const fees: bigint[] = [];
      for (
        let ledger = Math.max(oldest.sequence, latest.sequence - window + 1);
        ledger <= latest.sequence;
        ledger += 1
      ) {
        for (const record of core.ledger(ledger)?.transactions ?? []) {
          const tx = readEnvelope(record.envelopeXdr, network);
          if ((tx.soroban !== null) !== soroban) continue;
          fees.push((record.feeCharged - (tx.resourceFee - refundOf(tx))) / feeUnits(tx));
        }
      }
      return fees;
    };
    const window = (size: number) => Math.min(size, latest.sequence - oldest.sequence + 1);
    return {
      sorobanInclusionFee: distribution(feesOf(SOROBAN_WINDOW, true), window(SOROBAN_WINDOW)),
      inclusionFee: distribution(feesOf(CLASSIC_WINDOW, false), window(CLASSIC_WINDOW)),
      latestLedger: latest.sequence,
    };
  };
}
