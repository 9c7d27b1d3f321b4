/**
 * The chain step without Temporal: the real activities over a real database and a sandbox whose ledgers close by hand.
 * A process has its own connections and can be killed between any two things it says to the outside; what it leaves
 * behind is what is left of a process that the kernel ended.
 */
import { randomBytes, randomUUID } from 'node:crypto';
import { Keypair } from '@stellar/stellar-sdk/base';
import { Client, Connection } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { sql } from 'kysely';
import { pino } from 'pino';
import type { Deps } from '../../activities/context.ts';
import {
  createChainActivities,
  createEscrowApiActivities,
  createOrderActivities,
  createSigningActivities,
} from '../../activities/index.ts';
import { createKeyActivities } from '../../activities/signing/keys.ts';
import { withClient } from '../../cli/stack/postgres.ts';
import { fundSponsor, sandboxEnvironment } from '../../cli/stack/sandbox.ts';
import { loadConfig } from '../../config/config.ts';
import { deposit } from '../../db/ledger/balances.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { openOrm } from '../../db/orm.ts';
import { inTransaction, pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import { type Intent, prepareQueue } from '../../domain/intents.ts';
import { DEFAULT_DEADLINES } from '../../domain/order/deadlines.ts';
import { parseAmount } from '../../domain/money.ts';
import type { OrderVerb } from '../../domain/statuses.ts';
import { orderWorkflowId } from '../../domain/workflow-ids.ts';
import { type Sandbox, startSandbox } from '../../sandbox/server.ts';
import { ensureDeploymentWallets } from '../../worker/boot.ts';
import { createDeps } from '../../worker/deps.ts';
import { type ChainOutcome, runChainStep } from '../../workflows/execute-on-chain.ts';
import type { CreateOrder } from '../../workflows/messages.ts';
import { asActivity } from './activity.ts';
import { createTestDatabase } from './database.ts';

/** More attempts than any step needs: what is repeated so often is repeated for ever. */
const ATTEMPTS_MAX = 200;
const AMOUNT = '25';

/** A worker process: its own pool of connections, and nothing in memory that another one has. */
interface Process {
  /** by which the database knows its connections */
  readonly name: string;
  readonly deps: Deps;
  /** as the kernel ends it: its connections break, open transactions are rolled back */
  kill(): Promise<void>;
}

export interface Step {
  readonly workflowId: string;
  readonly step: string;
  readonly intent: Intent;
}

export interface ChainWorld {
  readonly sandbox: Sandbox;
  /** of the database's owner: looks at and changes every row */
  readonly ownerUrl: string;
  readonly process: Process;
  readonly parties: { readonly marketplace_id: string; readonly buyer_id: string; readonly seller_id: string };
  startProcess(): Promise<Process>;
  /** an order whose money is reserved, with the operation for its next verb begun on the row */
  reserved(terms?: Partial<CreateOrder>): Promise<string>;
  begin(orderId: string, verb: OrderVerb): Promise<void>;
  /** the step as a workflow drives it: every activity is repeated, a ledger closes in between */
  drive(step: Step, activities?: Activities): Promise<ChainOutcome>;
  /** deployed, ready to be funded; the operation `fund` has begun */
  escrowed(terms?: Partial<CreateOrder>): Promise<string>;
  rows<T>(text: string, ...values: unknown[]): Promise<T[]>;
  /** every invariant of the books, the balances on chain included, and no account in use */
  expectSettled(): Promise<void>;
  stop(): Promise<void>;
}

export const stepOf = (orderId: string, intent: Intent, step: string): Step => ({
  workflowId: orderWorkflowId(orderId),
  step,
  intent,
});
export const fundStep = (orderId: string): Step => stepOf(orderId, { kind: 'FUND_ESCROW', orderId }, 'fund');
export const deployStep = (orderId: string): Step => stepOf(orderId, { kind: 'DEPLOY_ESCROW', orderId }, 'deploy');

export type Activities = ReturnType<typeof activitiesOf>;

/** The activities of a step as a process serves them, one attempt each. */
export function activitiesOf(deps: Deps, { workflowId, step, intent }: Step) {
  const serving = prepareQueue(intent) === 'escrow-api' ? createEscrowApiActivities(deps) : createChainActivities(deps);
  const { settleTransaction } = createChainActivities(deps);
  const { signTransaction, raiseFee } = createSigningActivities(deps);
  const input = { intent, step, operation_id: null, priority: 5 };
  return {
    prepare: (attempt = 1) => asActivity(workflowId, attempt, () => serving.prepareTransaction(input)),
    sign: (transaction_id: string, attempt = 1) =>
      asActivity(workflowId, attempt, () => signTransaction({ transaction_id })),
    settle: (transaction_id: string, attempt = 1) =>
      asActivity(workflowId, attempt, () => settleTransaction({ transaction_id })),
    raiseFee: (transaction_id: string, outer_hash: string, attempt = 1) =>
      asActivity(workflowId, attempt, () => raiseFee({ transaction_id, outer_hash })),
  };
}

/**
 * Repeats as Temporal does: for ever, but for what says that it is final.
 * @param between what happens in the world before the next attempt
 */
export async function repeated<T>(
  work: (attempt: number) => Promise<T>,
  between: () => Promise<void> | void,
): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work(attempt);
    } catch (error) {
      if (error instanceof ApplicationFailure && error.nonRetryable === true) throw error;
      if (!(error instanceof ApplicationFailure) || attempt >= ATTEMPTS_MAX) throw error;
      await between();
    }
  }
}

export async function startChainWorld(): Promise<ChainWorld> {
  const [database, sandbox] = await Promise.all([createTestDatabase(), startSandbox({ ledgerMs: 0 })]);
  const sponsor = Keypair.random();
  await fundSponsor(sandbox.url, sponsor.publicKey());
  const config = loadConfig(
    {
      DATABASE_URL: database.appUrl,
      TEMPORAL_ADDRESS: '127.0.0.1:1',
      TEMPORAL_NAMESPACE: 'none',
      ...(await sandboxEnvironment(sandbox.url)),
      SPONSOR_ADDRESS: sponsor.publicKey(),
      SPONSOR_SECRET: sponsor.secret(),
      VAULT_KEYS: `k1:${randomBytes(32).toString('base64')}`,
      HEALTH_PORT: '0',
    },
    'worker',
  );
  const client = new Client({ connection: Connection.lazy() });
  const log = pino({ level: 'silent' });
  const startProcess = async (): Promise<Process> => {
    const name = `worker ${randomUUID()}`;
    const orm = await openOrm({ url: database.appUrl, poolMax: 4, applicationName: name, preparedStatements: true });
    return {
      name,
      deps: createDeps(config, { orm, client, log }),
      kill: async () => {
        const ended = 'select pg_terminate_backend(pid) from pg_stat_activity where application_name = $1';
        await withClient(database.appUrl, (other) => other.query(ended, [name]));
        // Its pool waits for statements that are never answered: nobody waits for it.
        void orm.close(true);
      },
    };
  };
  const process = await startProcess();
  const { deps } = process;
  const { orm } = deps;
  const closeLedger = (): void => void sandbox.core.closeLedger();
  const drive: ChainWorld['drive'] = (step, activities = activitiesOf(deps, step)) =>
    runChainStep({
      prepare: () => repeated((attempt) => activities.prepare(attempt), closeLedger),
      sign: (id) => repeated((attempt) => activities.sign(id, attempt), closeLedger),
      settle: (id) => repeated((attempt) => activities.settle(id, attempt), closeLedger),
      raiseFee: (id, outerHash) => repeated((attempt) => activities.raiseFee(id, outerHash, attempt), closeLedger),
      signedByUser: (requestId) => Promise.reject(new Error(`${requestId}: every wallet here is ours`)),
    });
  const orders = createOrderActivities(deps);
  const origin = { request_id: null, actor: null, reason: null, cause: 'API' } as const;
  const parties = await settle(deps, drive, sandbox.url);
  const begin: ChainWorld['begin'] = async (orderId, verb) => {
    const input = { order_id: orderId, operation_id: `op_${randomUUID()}`, verb, ...origin };
    await asActivity(orderWorkflowId(orderId), 1, () => orders.beginOperation(input));
  };
  const reserved: ChainWorld['reserved'] = async (terms = {}) => {
    const order_id = newId('order');
    const workflowId = orderWorkflowId(order_id);
    await asActivity(workflowId, 1, () =>
      orders.createOrder({ order_id, ...parties, ...TERMS, amount: AMOUNT, request_id: null, actor: null, ...terms }),
    );
    await asActivity(workflowId, 1, () =>
      orders.reserveFunds({ order_id, operation_id: `op_${randomUUID()}`, ...origin }),
    );
    return order_id;
  };
  const rows: ChainWorld['rows'] = (text, ...values) =>
    withClient(database.ownerUrl, async (owner) => (await owner.query(text, values)).rows);
  return {
    sandbox,
    ownerUrl: database.ownerUrl,
    process,
    parties,
    startProcess,
    reserved,
    begin,
    drive,
    escrowed: async (terms) => {
      const orderId = await reserved(terms);
      await begin(orderId, 'escrow');
      await drive(deployStep(orderId));
      await begin(orderId, 'fund');
      return orderId;
    },
    rows,
    expectSettled: async () => {
      const { violations, unsettled } = await verifyLedger({
        trx: pool(orm),
        chain: {
          balanceAt: (address, code) => {
            const asset = config.assets.find((candidate) => candidate.code === code);
            if (asset === undefined) throw new Error(`${code} is no asset of this network`);
            return deps.rpc.assetBalance(address, asset);
          },
        },
      });
      const leases = await rows('select * from source_leases');
      if (violations.length + unsettled.length + leases.length > 0)
        throw new Error(JSON.stringify({ violations, unsettled, leases }, null, 1));
    },
    stop: async () => {
      await orm.close();
      await sandbox.close();
      await database.drop();
    },
  };
}

const TERMS = {
  client_order_ref: null,
  body_hash: '',
  asset: 'USDC',
  title: 'Logo',
  description: null,
  platform_fee_bps: 50,
  auto: false,
  deadlines: { ...DEFAULT_DEADLINES, funding: null, dispute_default: 'FULL_REFUND' },
  metadata: {},
} as const;

/** A marketplace with its wallets, a buyer with money and a seller: their wallets are created by the step itself. */
async function settle(deps: Deps, drive: ChainWorld['drive'], url: string) {
  const db = pool(deps.orm);
  await ensureDeploymentWallets(deps.orm, deps.sponsorAddress);
  const marketplace_id = newId('marketplace');
  const [buyer_id, seller_id] = [newId('user'), newId('user')];
  await sql`
    insert into marketplaces (id, name, status, default_asset, platform_fee_bps, payment_provider, deadlines, created_at)
    values (${marketplace_id}, 'Market', 'ACTIVE', 'USDC', 50, 'crypto-native', '{}', now())`.execute(db);
  for (const id of [buyer_id, seller_id])
    await sql`
      insert into users (id, marketplace_id, external_user_id, metadata, created_at, updated_at)
      values (${id}, ${marketplace_id}, ${id}, '{}', now(), now())`.execute(db);
  const owned = [
    ...['FEE', 'OPERATOR', 'RESOLVER'].map((kind) => [kind, null]),
    ['USER', buyer_id],
    ['USER', seller_id],
  ];
  for (const [kind, userId] of owned)
    await sql`
      insert into wallets (id, marketplace_id, user_id, kind, provider, status, created_at, updated_at)
      values (${newId('wallet')}, ${marketplace_id}, ${userId}, ${kind}, 'crypto-native', 'PROVISIONING', now(), now())`.execute(
      db,
    );
  for (const kinds of [['CHANNEL'], ['FEE', 'OPERATOR', 'RESOLVER', 'USER']]) {
    const batchId = newId('walletBatch');
    await sql`update wallets set batch_id = ${batchId} where kind = any(${kinds})`.execute(db);
    await asActivity('provisioner', 1, () => createKeyActivities(deps).createWalletKeys({ batch_id: batchId }));
    await drive({ workflowId: 'provisioner', step: batchId, intent: { kind: 'PROVISION_WALLETS', batchId } });
  }
  const { rows } = await sql<{ id: string; address: string }>`
    select id, address from wallets where user_id = ${buyer_id}`.execute(db);
  const [wallet] = rows;
  if (wallet === undefined) throw new Error('the buyer has no wallet');
  const paid = await fetch(`${url}/control/faucet`, {
    method: 'POST',
    body: JSON.stringify({ address: wallet.address, amount: '100000' }),
  });
  const { transaction_hash } = (await paid.json()) as { transaction_hash: string };
  const landed = await deps.rpc.transaction(transaction_hash);
  if (landed.status !== 'LANDED') throw new Error('the money of the test did not arrive');
  await inTransaction(deps.orm, (trx) =>
    deposit(
      trx,
      { workflowId: 'test', step: 'deposit' },
      {
        marketplaceId: marketplace_id,
        asset: 'USDC',
        userId: buyer_id,
        walletId: wallet.id,
        amount: parseAmount('100000'),
        resource: { type: 'movement', id: transaction_hash },
        transactionHash: transaction_hash,
        ledgerSeq: landed.ledger,
      },
    ),
  );
  return { marketplace_id, buyer_id, seller_id };
}
