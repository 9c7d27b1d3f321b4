/** Rows that are behind the chain: transactions that landed and that no row knows, and what streams make of them. */
import { createOrderActivities } from '../../activities/index.ts';
import { resolveTarget } from '../../activities/chain/target.ts';
import { toWire } from '../../activities/payments/wire.ts';
import { withWalletKeys } from '../../activities/signing/keys.ts';
import { signingKey } from '../../activities/signing/sign.ts';
import { createWalletActivities } from '../../activities/wallets/index.ts';
import { INCLUSION_FEE_BID } from '../../domain/limits.ts';
import { feeBump, hashes, signEnvelope } from '../../providers/chain/envelope.ts';
import { createDirect } from '../../providers/escrow/direct.ts';
import { asActivity } from './activity.ts';
import type { ChainWorld, Step } from './chain-world.ts';

export interface Sent {
  /** of the inner transaction */
  readonly hash: string;
  readonly outer: string;
}

/** The step's transaction in a ledger, and no row that knows it: as after the rows were restored. */
export const landUnknown = (world: ChainWorld, step: Step, prepared?: string): Promise<Sent> =>
  asActivity(step.workflowId, 1, () => land(world, step, prepared));

async function land(
  world: ChainWorld,
  { workflowId, step, intent }: Step,
  prepared: string | undefined,
): Promise<Sent> {
  const { rpc, contracts, network, ...others } = world.process.deps;
  const { passphrase } = network;
  // Whoever sent it built it himself: no provider's index has heard of it.
  const gateway = createDirect({ rpc, networkPassphrase: passphrase, contracts });
  const deps = { ...others, rpc, contracts, network, gateway };
  const target = await resolveTarget(deps, intent, `${workflowId}/${step}`);
  if (target === null || deps.sponsor === null) throw new Error('every wallet is ready');
  const payer = signingKey(deps.sponsor);
  const unsigned = prepared ?? (await target.build());
  const inner = await withWalletKeys(deps, target.signatories, (keys) => signEnvelope(unsigned, passphrase, keys));
  const { envelope, hash: outer } = feeBump(inner, passphrase, payer, { maxFeePerOp: INCLUSION_FEE_BID });
  const { status } = await deps.rpc.submit(envelope);
  if (status !== 'PENDING') throw new Error(`its submission was answered with ${status}`);
  world.sandbox.core.closeLedger();
  return { hash: hashes(inner, passphrase).hash, outer };
}

/** What the streams of wallets and contracts make of a transaction that no row knows. */
export async function seenByStreams(world: ChainWorld, orderId: string | null, { outer }: Sent): Promise<void> {
  const { deps } = world.process;
  const landed = await deps.rpc.transaction(outer);
  if (landed.status !== 'LANDED') throw new Error('it has landed');
  const addresses = landed.movements.flatMap(({ from, to }) => [from, to]);
  const wallets = await world.rows<{ id: string }>(
    "select id from wallets where address = any($1) and kind in ('USER', 'FEE')",
    addresses,
  );
  const page = { movements: landed.movements.map(toWire), cursor: '0' };
  for (const { id } of wallets)
    await asActivity(`wallet/${id}`, 1, () => createWalletActivities(deps).recordMovements({ wallet_id: id, page }));
  if (orderId === null) return;
  await asActivity(`order/${orderId}`, 1, () =>
    createOrderActivities(deps).bookForeignTransaction({ order_id: orderId, transaction_hash: outer }),
  );
}
