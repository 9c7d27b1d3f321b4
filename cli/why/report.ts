/** Everything one screen says about a resource, as JSON (`why --json`). */
import type { Deps } from '../../activities/context.ts';
import { pool } from '../../db/sql.ts';
import { intentSummary } from '../../domain/intents.ts';
import { formatAmount } from '../../domain/money.ts';
import { maxLedgerOf } from '../../providers/chain/envelope.ts';
import { type KnownContract, decodeError, decodeResult } from './decode.ts';
import {
  type ContractLook,
  type HashLook,
  type TrustlineLook,
  type Unavailable,
  type WorkflowLook,
  lookAtContract,
  lookAtTrustlines,
  lookAtWorkflow,
  lookForHash,
  looked,
  recipientsOf,
} from './looks.ts';
import {
  type AttentionRow,
  type PendingTransfer,
  type ResourceRow,
  type TransactionRow,
  readAttention,
  readEscrow,
  readPending,
  readResource,
  readTransactions,
} from './rows.ts';
import type { Subject } from './subject.ts';

export interface Difference {
  readonly field: string;
  readonly expected: string;
  readonly actual: string;
}

interface ErrorSeen {
  /** where it was seen: the operation, a parked step, a waiting activity, a transaction */
  readonly at: string;
  readonly raw: string;
  /** null where there is nothing to decode */
  readonly decoded: string | null;
}

export interface TransactionSeen {
  readonly id: string;
  readonly step: string;
  readonly purpose: string;
  readonly attempt: number;
  readonly status: string;
  readonly source: string;
  readonly sequence: string;
  /** ISO, chain time */
  readonly valid_until: string;
  readonly max_ledger: number | null;
  readonly inner_hash: string;
  readonly outer_hashes: readonly string[];
  readonly booked: boolean;
  readonly chain: HashLook | Unavailable;
}

export interface Why {
  readonly resource: { readonly type: string; readonly id: string };
  readonly workflow_id: string;
  /** null where there is only a workflow */
  readonly row: Omit<ResourceRow, 'destination'> | null;
  readonly request_id: string | null;
  readonly gateway: string | null;
  /** what happens next without anybody */
  readonly next: string;
  readonly workflow: WorkflowLook | Unavailable;
  readonly attention: readonly AttentionRow[];
  readonly differences: readonly Difference[];
  readonly errors: readonly ErrorSeen[];
  readonly transactions: readonly TransactionSeen[];
  readonly escrow: { readonly id: string; readonly type: string; readonly status: string } | null;
  readonly contract_id: string | null;
  readonly contract: ContractLook | Unavailable | null;
  readonly pending_transfers: readonly PendingTransfer[];
  readonly trustlines: readonly TrustlineLook[];
  /** commands */
  readonly repairs: readonly string[];
}

/** Reads rows, chain and Temporal; changes nothing. */
export async function explain(deps: Deps, subject: Subject): Promise<Why> {
  const db = pool(deps.orm);
  const [row, attention, transactions] = await Promise.all([
    readResource(db, subject),
    readAttention(db, subject),
    readTransactions(db, subject),
  ]);
  const escrow = row?.order_id == null ? null : await readEscrow(db, row.order_id);
  const asset = deps.network.assets.find(({ code }) => code === row?.asset);
  const recipients = recipientsOf(escrow, {
    "the protocol's fees": escrow === null ? null : deps.network.feeWallet,
    destination: row?.destination ?? null,
  });
  const contractId = escrow?.contract_id ?? null;
  const [workflow, seen, contract, trustlines, pending] = await Promise.all([
    looked(() => lookAtWorkflow(deps, subject.workflowId)),
    Promise.all(transactions.map((transaction) => transactionSeen(deps, transaction))),
    contractId === null || asset === undefined || escrow === null
      ? null
      : looked(() => lookAtContract(deps, asset, contractId, BigInt(escrow.books))),
    asset === undefined ? [] : lookAtTrustlines(deps, asset, recipients),
    readPending(db, [subject.id, ...(row?.order_id == null ? [] : [row.order_id]), ...(escrow ? [escrow.id] : [])]),
  ]);
  const contracts: KnownContract[] = [
    ...(escrow === null || contractId === null ? [] : [{ id: contractId, type: escrow.type }]),
    ...deps.network.assets.map(({ contract: id }) => ({ id, type: 'ASSET' as const })),
  ];
  return {
    resource: { type: subject.type, id: subject.id },
    workflow_id: subject.workflowId,
    row: shownRow(row),
    request_id: row?.operation?.request_id ?? null,
    gateway: escrow?.gateway ?? null,
    next: attention.some(({ reason }) => reason === 'SURPLUS') ? SURPLUS_NEXT : nextStep(row, workflow),
    workflow,
    attention,
    differences: attention.flatMap(({ detail }) => differencesOf(detail)),
    errors: errorsOf({ row, attention, workflow, transactions, contracts }),
    transactions: seen,
    escrow: escrow === null ? null : { id: escrow.id, type: escrow.type, status: escrow.status },
    contract_id: contractId,
    contract,
    pending_transfers: pending.map((transfer) => ({ ...transfer, amount: formatAmount(BigInt(transfer.amount)) })),
    trustlines,
    repairs: repairsOf(attention),
  };
}

function shownRow(row: ResourceRow | null): Why['row'] {
  if (row === null) return null;
  const { destination: _destination, ...shown } = row;
  return shown;
}

async function transactionSeen(deps: Deps, transaction: TransactionRow): Promise<TransactionSeen> {
  const { id, step, attempt, status, source, sequence, inner_hash, outer_hashes, booked } = transaction;
  return {
    id,
    step,
    purpose: intentSummary(transaction.intent),
    attempt,
    status,
    source,
    sequence,
    valid_until: new Date(Number.parseInt(transaction.max_time, 10) * 1000).toISOString(),
    max_ledger: maxLedgerOf(transaction.unsigned_envelope, deps.network.passphrase),
    inner_hash,
    outer_hashes,
    booked,
    chain: await looked(() => lookForHash(deps, transaction)),
  };
}

const WAITS: Readonly<Record<string, string>> = {
  DEPOSIT: 'goes on when enough money has arrived',
  WALLET: 'goes on when the wallets it needs are ready',
  SIGNATURE: 'goes on when the user has signed, or his request is over',
  PROVIDER: 'asks the provider again until it answers',
  RESUME: 'goes on when the marketplace is no longer paused',
};

const SURPLUS_NEXT = 'the order is over; what is left in its contract waits for two persons, or is being paid out';

/** What happens without anybody: a parked step waits, whatever else there is. */
export function nextStep(
  row: Pick<ResourceRow, 'operation' | 'waiting_for' | 'due_at' | 'due_action' | 'status'> | null,
  workflow: WorkflowLook | Unavailable,
): string {
  if (row?.operation?.status === 'PARKED') return 'nothing by itself: it is parked until somebody repairs it';
  const [activity] = 'pending' in workflow ? workflow.pending : [];
  if (activity !== undefined) {
    const { activity: name, activity_id: id, attempt, next_attempt_at: at } = activity;
    return at === null ? `${name} (${id}) runs, attempt ${attempt}` : `${name} (${id}), attempt ${attempt} at ${at}`;
  }
  const wait = WAITS[row?.waiting_for ?? ''];
  if (wait !== undefined) return wait;
  if (row?.due_at != null) return `${row.due_action ?? 'deadline'} at ${row.due_at}`;
  return 'status' in workflow && workflow.status !== 'RUNNING' ? 'nothing: it is over' : 'nothing: it waits for a call';
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Where an envelope differed from its intent, wherever in the detail of an attention item that stands. */
export function differencesOf(detail: unknown): Difference[] {
  if (Array.isArray(detail)) return detail.flatMap(differencesOf);
  if (!isRecord(detail)) return [];
  const { field, expected, actual } = detail;
  if (typeof field === 'string' && expected !== undefined && actual !== undefined)
    return [{ field, expected: String(expected), actual: String(actual) }];
  return Object.values(detail).flatMap(differencesOf);
}

function errorsOf(known: {
  readonly row: ResourceRow | null;
  readonly attention: readonly AttentionRow[];
  readonly workflow: WorkflowLook | Unavailable;
  readonly transactions: readonly TransactionRow[];
  readonly contracts: readonly KnownContract[];
}): ErrorSeen[] {
  const seen = (at: string, raw: string): ErrorSeen => ({ at, raw, decoded: decodeError(raw, known.contracts) });
  const { row, attention, workflow, transactions } = known;
  const stored = row?.operation?.error ?? null;
  return [
    ...(stored === null ? [] : [seen(`operation ${row?.operation?.verb ?? ''}`, `${stored.code}: ${stored.detail}`)]),
    ...attention.map(({ reason, detail }) => {
      const message = isRecord(detail) && typeof detail['message'] === 'string' ? `: ${detail['message']}` : '';
      const step = isRecord(detail) && typeof detail['step'] === 'string' ? ` ${detail['step']}` : '';
      return seen(`parked${step}`, `${reason}${message}`);
    }),
    ...('pending' in workflow ? workflow.pending : []).flatMap(({ activity_id: id, last_failure: failure }) =>
      failure === null ? [] : [seen(`activity ${id}`, failure)],
    ),
    ...transactions.flatMap(({ status, step, result_xdr: result }) =>
      status === 'FAILED' && result !== null
        ? [{ at: `transaction ${step}`, raw: result, decoded: decodeResult(result) }]
        : [],
    ),
  ];
}

const COMMANDS: Readonly<Record<string, (id: string) => string>> = {
  retry: (id) => `retry ${id}`,
  adopt: (id) => `adopt ${id} --hash …`,
  give_up: (id) => `give-up ${id}`,
  payout_to: (id) => `payout-to ${id} --address G… --person …`,
};

function repairsOf(attention: readonly AttentionRow[]): string[] {
  return attention.flatMap(({ id, allowed_repairs: repairs }) =>
    repairs.flatMap((repair) => {
      const command = COMMANDS[repair]?.(id);
      return command === undefined ? [] : [`npm run orchestrator -- ${command} --note "…"`];
    }),
  );
}
