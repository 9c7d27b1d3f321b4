/** Root, accounts, ledgers and fee statistics as Horizon writes them. */
import { formatFixed } from '../../domain/money.ts';
import type { SandboxCore } from '../core/core.ts';
import { isoTime } from '../core/http.ts';
import { toid } from '../core/toid.ts';
import type { LedgerRecord, TransactionRecord, TrustlineEntry } from '../core/types.ts';
import { assetFields } from './assets.ts';

type Fields = Record<string, unknown>;

/** The protocol whose rules the sandbox follows. */
export const PROTOCOL_VERSION = 27;
const TOTAL_COINS = 500_000_000_000_000_000n;
const TEMPLATES = '{?cursor,limit,order}';

export function rootResource(core: SandboxCore, base: string): Fields {
  const latest = core.latest();
  const links = {
    account: { href: `${base}/accounts/{account_id}`, templated: true },
    account_transactions: { href: `${base}/accounts/{account_id}/transactions${TEMPLATES}`, templated: true },
    fee_stats: { href: `${base}/fee_stats` },
    friendbot: { href: `${base}/friendbot{?addr}`, templated: true },
    ledger: { href: `${base}/ledgers/{sequence}`, templated: true },
    ledgers: { href: `${base}/ledgers${TEMPLATES}`, templated: true },
    operation: { href: `${base}/operations/{id}`, templated: true },
    operations: { href: `${base}/operations${TEMPLATES}`, templated: true },
    payments: { href: `${base}/payments${TEMPLATES}`, templated: true },
    self: { href: `${base}/` },
    transaction: { href: `${base}/transactions/{hash}`, templated: true },
    transactions: { href: `${base}/transactions${TEMPLATES}`, templated: true },
  };
  return {
    _links: links,
    horizon_version: 'orchestrator-sandbox',
    core_version: 'orchestrator-sandbox',
    ingest_latest_ledger: latest.sequence,
    history_latest_ledger: latest.sequence,
    history_latest_ledger_closed_at: isoTime(latest.closedAt),
    history_elder_ledger: core.oldest(),
    core_latest_ledger: latest.sequence,
    network_passphrase: core.networkPassphrase,
    current_protocol_version: PROTOCOL_VERSION,
    supported_protocol_version: PROTOCOL_VERSION,
    core_supported_protocol_version: PROTOCOL_VERSION,
  };
}

function creditBalance(line: TrustlineEntry): Fields {
  const authorized = (line.flags & 1) !== 0;
  return {
    balance: formatFixed(line.balance),
    limit: formatFixed(line.limit),
    buying_liabilities: '0.0000000',
    selling_liabilities: '0.0000000',
    ...(line.sponsor === null ? {} : { sponsor: line.sponsor }),
    last_modified_ledger: line.lastModified,
    is_authorized: authorized,
    is_authorized_to_maintain_liabilities: authorized || (line.flags & 2) !== 0,
    ...((line.flags & 4) === 0 ? {} : { is_clawback_enabled: true }),
    ...assetFields(line.asset),
  };
}

function nativeBalance(balance: bigint): Fields {
  const none = '0.0000000';
  return { balance: formatFixed(balance), buying_liabilities: none, selling_liabilities: none, asset_type: 'native' };
}

/** Undefined for an account that does not exist now. */
export function accountResource(core: SandboxCore, id: string, base: string): Fields | undefined {
  const account = core.view().account(id);
  if (account === undefined) return undefined;
  const { thresholds, flags } = account;
  const self = `${base}/accounts/${id}`;
  const list = (name: string) => ({ href: `${self}/${name}${TEMPLATES}`, templated: true });
  const signers = [
    ...account.signers.map(({ key, weight, sponsor }) => ({ weight, key, sponsor })),
    { weight: thresholds.master, key: id, sponsor: null },
  ];
  return {
    _links: {
      self: { href: self },
      transactions: list('transactions'),
      operations: list('operations'),
      payments: list('payments'),
      effects: list('effects'),
      offers: list('offers'),
      trades: list('trades'),
      data: { href: `${self}/data/{key}`, templated: true },
    },
    id,
    account_id: id,
    sequence: String(account.sequence),
    ...(account.sequenceLedger === 0 ? {} : { sequence_ledger: account.sequenceLedger }),
    ...(account.sequenceTime === 0 ? {} : { sequence_time: String(account.sequenceTime) }),
    subentry_count: account.subentries,
    ...(account.homeDomain === '' ? {} : { home_domain: account.homeDomain }),
    last_modified_ledger: account.lastModified,
    last_modified_time: isoTime(core.ledger(account.lastModified)?.closedAt ?? core.latest().closedAt),
    thresholds: { low_threshold: thresholds.low, med_threshold: thresholds.med, high_threshold: thresholds.high },
    flags: {
      auth_required: (flags & 1) !== 0,
      auth_revocable: (flags & 2) !== 0,
      auth_immutable: (flags & 4) !== 0,
      auth_clawback_enabled: (flags & 8) !== 0,
    },
    balances: [...core.trustlinesOf(id).map(creditBalance), nativeBalance(account.balance)],
    signers: signers.map(({ sponsor, ...signer }) => ({
      ...signer,
      type: 'ed25519_public_key',
      ...(sponsor === null ? {} : { sponsor }),
    })),
    data: Object.fromEntries(Object.entries(account.data).map(([name, { value }]) => [name, value])),
    num_sponsoring: account.sponsoring,
    num_sponsored: account.sponsored,
    ...(account.sponsor === null ? {} : { sponsor: account.sponsor }),
    paging_token: id,
  };
}

export function ledgerResource(core: SandboxCore, ledger: LedgerRecord, base: string): Fields {
  const { sequence, transactions } = ledger;
  const successful = transactions.filter((transaction) => transaction.successful);
  const count = (records: readonly TransactionRecord[]) =>
    records.reduce((sum, { operations }) => sum + operations.length, 0);
  const self = `${base}/ledgers/${sequence}`;
  const list = (name: string) => ({ href: `${self}/${name}${TEMPLATES}`, templated: true });
  return {
    _links: {
      self: { href: self },
      transactions: list('transactions'),
      operations: list('operations'),
      payments: list('payments'),
      effects: list('effects'),
    },
    id: ledger.hash,
    paging_token: String(toid(sequence)),
    hash: ledger.hash,
    prev_hash: ledger.previousHash,
    sequence,
    successful_transaction_count: successful.length,
    failed_transaction_count: transactions.length - successful.length,
    operation_count: count(successful),
    tx_set_operation_count: count(transactions),
    closed_at: isoTime(ledger.closedAt),
    total_coins: formatFixed(TOTAL_COINS),
    fee_pool: formatFixed(core.feePool()),
    base_fee_in_stroops: 100,
    base_reserve_in_stroops: 5_000_000,
    max_tx_set_size: core.capacity.classic,
    protocol_version: PROTOCOL_VERSION,
    header_xdr: '',
  };
}

/** Nearest-rank percentiles and the mode, as strings. */
function distribution(values: readonly bigint[]): Fields {
  const sorted = values.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const rank = (percent: number) => sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? 100n;
  const counts = new Map<bigint, number>();
  for (const value of sorted) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [mode] = [...counts].reduce((best, next) => (next[1] > best[1] ? next : best), [100n, 0] as [bigint, number]);
  const percentiles = [10, 20, 30, 40, 50, 60, 70, 80, 90, 95, 99].map((p) => [`p${p}`, String(rank(p))]);
  return {
    max: String(sorted.at(-1) ?? 100n),
    min: String(sorted[0] ?? 100n),
    mode: String(mode),
    ...Object.fromEntries(percentiles),
  };
}

const FEE_STATS_LEDGERS = 5;

/** Over the last five ledgers, per operation; a fee bump counts as one more. */
export function feeStatsResource(core: SandboxCore, maxFeeOf: (transaction: TransactionRecord) => bigint): Fields {
  const latest = core.latest();
  const recent = Array.from({ length: FEE_STATS_LEDGERS }, (_, back) => core.ledger(latest.sequence - back));
  const transactions = recent.flatMap((ledger) => ledger?.transactions ?? []);
  const units = (record: TransactionRecord) => BigInt(record.operations.length + (record.innerHash === null ? 0 : 1));
  const operations = recent.reduce(
    (sum, ledger) => sum + (ledger?.transactions ?? []).reduce((count, tx) => count + tx.operations.length, 0),
    0,
  );
  return {
    last_ledger: String(latest.sequence),
    last_ledger_base_fee: String(core.disturbances.price()),
    ledger_capacity_usage: (operations / FEE_STATS_LEDGERS / core.capacity.classic).toFixed(2),
    fee_charged: distribution(transactions.map((record) => record.feeCharged / units(record))),
    max_fee: distribution(transactions.map((record) => maxFeeOf(record) / units(record))),
  };
}
