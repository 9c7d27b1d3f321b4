/** What the chain and Temporal say right now. Each look fails alone: the rest of the screen is still worth reading. */
import { scValToNative, xdr } from '@stellar/stellar-sdk/base';
import type { Deps, SettlementAsset } from '../../activities/context.ts';
import { isForgotten } from '../../activities/histories/keep.ts';
import { findHistory } from '../../db/histories.ts';
import { pool } from '../../db/sql.ts';
import { formatAmount } from '../../domain/money.ts';
import type { EscrowRow, TransactionRow } from './rows.ts';

export interface Unavailable {
  readonly unavailable: string;
}

export async function looked<T>(look: () => Promise<T>): Promise<T | Unavailable> {
  try {
    return await look();
  } catch (error) {
    return { unavailable: error instanceof Error ? error.message : String(error) };
  }
}

export type HashLook =
  | { readonly found: true; readonly ledger: number; readonly successful: boolean }
  /** `conclusive`: the provider's history goes back to the signature */
  | { readonly found: false; readonly at_ledger: number; readonly conclusive: boolean };

/** Found or absent, at which ledger of one provider. @throws ProviderError */
export async function lookForHash({ rpc }: Deps, transaction: TransactionRow): Promise<HashLook> {
  const provider = await rpc.pinned(transaction.signed_ledger ?? undefined);
  const outcome = await provider.transaction(transaction.inner_hash);
  if (outcome.status === 'LANDED') return { found: true, ledger: outcome.ledger, successful: outcome.successful };
  const since = transaction.signed_ledger ?? outcome.latestLedger;
  return { found: false, at_ledger: outcome.latestLedger, conclusive: outcome.oldestLedger <= since };
}

export interface ContractLook {
  readonly ledger: number;
  /** decimal amounts */
  readonly chain: string;
  readonly books: string;
  readonly agree: boolean;
  /** of the escrow, and by milestone where it has some; null before it exists */
  readonly flags: unknown;
}

export async function lookAtContract(
  { rpc }: Deps,
  asset: SettlementAsset,
  contractId: string,
  books: bigint,
): Promise<ContractLook> {
  const provider = await rpc.pinned();
  const balance = await provider.assetBalance(contractId, asset);
  const state = await provider.escrowState(contractId);
  return {
    ledger: balance.ledger,
    chain: formatAmount(balance.value),
    books: formatAmount(books),
    agree: balance.value === books,
    flags: state.value === null ? null : flagsOf(state.value),
  };
}

/** What of the stored escrow says how far it is. */
function flagsOf(state: string): unknown {
  const escrow = scValToNative(xdr.ScVal.fromXdr(state, 'base64')) as Readonly<Record<string, unknown>>;
  const milestones = Array.isArray(escrow['milestones']) ? (escrow['milestones'] as Record<string, unknown>[]) : [];
  return {
    ...(escrow['flags'] === undefined ? {} : { escrow: escrow['flags'] }),
    milestones: milestones.map(({ status, approved, flags }) => ({
      status,
      ...(approved === undefined ? {} : { approved }),
      ...(flags === undefined ? {} : { flags }),
    })),
  };
}

export interface TrustlineLook {
  readonly role: string;
  readonly address: string;
  readonly state: 'usable' | 'frozen' | 'missing' | 'unknown';
}

/** Whether everybody who is to be paid can hold the asset. */
export function lookAtTrustlines(
  { rpc }: Deps,
  asset: SettlementAsset,
  recipients: ReadonlyMap<string, string>,
): Promise<TrustlineLook[]> {
  return Promise.all(
    [...recipients].map(async ([address, role]) => {
      const look = await looked(() => rpc.trustline(address, asset));
      if ('unavailable' in look) return { role, address, state: 'unknown' as const };
      const state = look.value === null ? 'missing' : look.value.authorized ? 'usable' : 'frozen';
      return { role, address, state } as const;
    }),
  );
}

/** Address by role; who plays several is named once, with all of them. */
export function recipientsOf(escrow: EscrowRow | null, others: Readonly<Record<string, string | null>>) {
  const recipients = new Map<string, string>();
  const add = (role: string, address: string | null | undefined): void => {
    if (address === null || address === undefined || address === '') return;
    const known = recipients.get(address);
    recipients.set(address, known === undefined ? role : `${known}, ${role}`);
  };
  if (escrow !== null) {
    const { receiver, receivers, platform, funder } = escrow.wallets;
    for (const [index, { address }] of (receivers ?? []).entries()) add(`receiver of milestone ${index + 1}`, address);
    if (receivers === undefined) add('receiver', receiver.address);
    add('platform', platform.address);
    add('funder', funder.address);
  }
  for (const [role, address] of Object.entries(others)) add(role, address);
  return recipients;
}

export interface WorkflowLook {
  readonly status: string;
  readonly run_id: string;
  /** of the worker that answered last */
  readonly build_id: string | null;
  readonly history_events: number;
  readonly pending: readonly {
    readonly activity_id: string;
    readonly activity: string;
    readonly state: string;
    readonly attempt: number;
    /** ISO; null while it runs */
    readonly next_attempt_at: string | null;
    readonly last_failure: string | null;
  }[];
}

const STATES = ['UNSPECIFIED', 'SCHEDULED', 'STARTED', 'CANCEL_REQUESTED', 'PAUSED', 'PAUSE_REQUESTED'];

/** @throws Error that says what is left of it, when Temporal no longer knows it */
async function describe({ client, orm }: Deps, workflowId: string) {
  try {
    return await client.workflow.getHandle(workflowId).describe();
  } catch (error) {
    const kept = isForgotten(error) ? await findHistory(pool(orm), workflowId) : null;
    if (kept === null) throw error;
    const { events, runId, storedAt } = kept;
    const copy = `its history is kept (${events} events, run ${runId}, copied ${storedAt}): replay reads it`;
    throw new Error(`Temporal no longer knows it; ${copy}`, { cause: error });
  }
}

export async function lookAtWorkflow(deps: Deps, workflowId: string): Promise<WorkflowLook> {
  const { status, runId, historyLength, raw } = await describe(deps, workflowId);
  const pending = (raw.pendingActivities ?? []).map((activity) => {
    const seconds = activity.scheduledTime?.seconds;
    const failure = activity.lastFailure;
    const type = failure?.applicationFailureInfo?.type;
    const state = STATES[activity.state ?? 0] ?? 'UNSPECIFIED';
    return {
      activity_id: activity.activityId ?? '',
      activity: activity.activityType?.name ?? '',
      state,
      attempt: activity.attempt ?? 1,
      next_attempt_at:
        state === 'SCHEDULED' && seconds !== undefined && seconds !== null
          ? new Date(Number(seconds.toString()) * 1000).toISOString()
          : null,
      last_failure: failure === null || failure === undefined ? null : `${type ?? 'failure'}: ${failure.message ?? ''}`,
    };
  });
  const stamp = raw.workflowExecutionInfo?.mostRecentWorkerVersionStamp;
  return {
    status: status.name,
    run_id: runId,
    build_id: stamp?.buildId ?? null,
    history_events: historyLength,
    pending,
  };
}
