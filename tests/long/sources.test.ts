/** Channel accounts, trustlines that went missing, and the end of wallets, on the whole system through its commands. */
import { execFile } from 'node:child_process';
import { sign } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Account, Asset, Operation, TransactionBuilder } from '@stellar/stellar-sdk/base';
import { sql } from 'kysely';
import { loadConfig } from '../../config/config.ts';
import { type Orm, openOrm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { walletWorkflowId } from '../../domain/workflow-ids.ts';
import { feeBump, signEnvelope } from '../../providers/chain/envelope.ts';
import type { ChainRpc } from '../../providers/chain/port.ts';
import { createChainRpc } from '../../providers/chain/rpc.ts';
import { signerFromSecret } from '../../providers/keys/ed25519.ts';
import { createVault } from '../../worker/deps.ts';
import { createWorkflowClient } from '../../workflows/client.ts';
import { expectCoherent } from '../support/coherent.ts';
import {
  type EventBody,
  type UserBody,
  createOrder,
  driveToProgress,
  fundedUser,
  readyUser,
  untilStatus,
  verb,
} from '../support/flows.ts';
import { type TestMarketplace, type TestStack, startTestStack } from '../support/stack.ts';
import { eventually } from '../support/wait.ts';

const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url));
const PATIENCE = { timeoutMs: 120_000 };

let stack: TestStack;
let market: TestMarketplace;
let orm: Orm;
let rpc: ChainRpc;

beforeAll(async () => {
  stack = await startTestStack();
  market = await stack.createMarketplace();
  orm = await openOrm({ url: stack.databaseUrls.owner, poolMax: 2 });
  rpc = createChainRpc({
    url: stack.env['SOROBAN_RPC_URL'] ?? '',
    networkPassphrase: stack.env['NETWORK_PASSPHRASE'] ?? '',
  });
}, 180_000);
afterAll(async () => {
  await orm.close();
  await stack.stop();
});

/** `orchestrator …` as an operator runs it. @throws with what it wrote to stderr */
async function orchestrator<T>(...args: string[]): Promise<T> {
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, ...args],
    { env: { ...process.env, ...stack.env } },
  );
  return JSON.parse(stdout) as T;
}
const refusalOf = (...args: string[]): Promise<string> =>
  orchestrator(...args).then(
    () => 'it was not refused',
    (error: { stderr?: string }) => error.stderr ?? String(error),
  );
const rows = async <T>(query: ReturnType<typeof sql<T>>): Promise<T[]> => (await query.execute(pool(orm))).rows;

/** As somebody who has the wallet's key. */
async function removeTrustline(user: UserBody): Promise<void> {
  const config = loadConfig(stack.env, 'worker');
  const { passphrase } = config.stellar;
  const address = user.wallet.address ?? '';
  const [sealed] = await rows(
    sql<{ ciphertext: string }>`select ciphertext from wallet_keys where wallet_id = ${user.wallet.id}`,
  );
  const binding = { walletId: user.wallet.id, publicKey: address };
  const key = await createVault(config.signing?.vaultKeys ?? [], passphrase).open(sealed?.ciphertext ?? '', binding);
  const [asset] = config.assets;
  const { value } = await rpc.account(address);
  const builder = new TransactionBuilder(new Account(address, String(value?.sequence)), {
    fee: '0',
    networkPassphrase: passphrase,
    timebounds: { minTime: 0, maxTime: 0 },
  });
  builder.addOperation(Operation.changeTrust({ asset: new Asset(asset?.code ?? '', asset?.issuer ?? ''), limit: '0' }));
  const signed = signEnvelope(builder.build().toXdr(), passphrase, [key]);
  const sponsor = signerFromSecret(config.signing?.sponsorSecret() ?? '');
  const bumping = { publicKey: sponsor.publicKey, sign: (hash: Uint8Array) => sign(null, hash, sponsor.key) };
  const { envelope } = feeBump(signed, passphrase, bumping, { maxFeePerOp: 1_000n });
  await rpc.submit(envelope);
  await eventually(async () => (await trustline(user)) === null, PATIENCE);
}
const trustline = async (user: UserBody) => {
  const [asset] = loadConfig(stack.env, 'worker').assets;
  return (await rpc.trustline(user.wallet.address ?? '', asset ?? { code: '', issuer: '' })).value;
};
const walletStatus = async (user: UserBody): Promise<string> =>
  (await market.api<UserBody>('GET', `/users/${user.id}`)).body.wallet.status;

test('`channels create N` brings their number up to N, ready to be used; asked again it makes no more', async () => {
  interface Created {
    readonly added: number;
    readonly channels: readonly { readonly address: string; readonly status: string }[];
  }
  const created = await orchestrator<Created>('channels', 'create', '6');
  expect(created.channels.map(({ status }) => status)).toEqual(Array.from({ length: 6 }, () => 'READY'));
  for (const { address } of created.channels) expect((await rpc.account(address)).value).not.toBeNull();
  expect(await orchestrator<Created>('channels', 'create', '6')).toMatchObject({ added: 0 });
}, 180_000);

test('what an order signs goes through its own deploy channel and its own release signer', async () => {
  const [buyer, seller] = await Promise.all([fundedUser(market.api, '30'), readyUser(market.api)]);
  const { id } = await createOrder(market.api, buyer, seller);
  await driveToProgress(market.api, id);
  expect(await refusalOf('wallets', 'close', seller.id)).toContain(id);
  await verb(market.api, id, 'deliver', { evidence: [{ type: 'URL', value: 'https://example.com', note: null }] });
  await verb(market.api, id, 'resolution/release');
  await untilStatus(market.api, id, 'CLOSED');
  const sources = await rows(
    sql<{ kind: string; role: string }>`
      select t.intent->>'kind' as kind, (select key from jsonb_each(e.wallets) where value->>'address' = t.source
        and key in ('deploy_signer', 'release_signer')) as role
      from chain_transactions t join escrows e on e.order_id = t.order_id
      where t.order_id = ${id} and t.intent->>'kind' in ('DEPLOY_ESCROW', 'RELEASE') order by t.created_at`,
  );
  expect(sources).toEqual([
    { kind: 'DEPLOY_ESCROW', role: 'deploy_signer' },
    { kind: 'RELEASE', role: 'release_signer' },
  ]);
  // The seller was paid: a wallet with money stays open.
  expect(await refusalOf('wallets', 'close', seller.id)).toContain('money is on it');
}, 240_000);

test('a trustline that went missing is given back, by the sponsor, while the order waits', async () => {
  const [buyer, seller] = await Promise.all([fundedUser(market.api, '30'), readyUser(market.api)]);
  await removeTrustline(seller);
  const { id } = await createOrder(market.api, buyer, seller, { auto: true });
  await untilStatus(market.api, id, 'IN_PROGRESS');
  expect(await trustline(seller)).toMatchObject({ balance: 0n, authorized: true });
  expect((await rpc.account(seller.wallet.address ?? '')).value).toMatchObject({ balance: 0n, reserved: 0n });
}, 240_000);

test('a closed wallet is gone from the chain, its reserves are the sponsor’s, its stream ends, and nothing new names it', async () => {
  const [user, other] = await Promise.all([readyUser(market.api), readyUser(market.api)]);
  const sponsor = stack.env['SPONSOR_ADDRESS'] ?? '';
  const reservedBefore = (await rpc.account(sponsor)).value?.reserved ?? 0n;
  const closed = await orchestrator<{ transaction_hash: string }>('wallets', 'close', user.id);
  expect(closed.transaction_hash).toMatch(/^[0-9a-f]{64}$/);
  expect((await rpc.account(user.wallet.address ?? '')).value).toBeNull();
  expect((await rpc.account(sponsor)).value?.reserved).toBe(reservedBefore - 15_000_000n);
  expect(await walletStatus(user)).toBe('CLOSED');
  const events = await market.api<{ data: EventBody[] }>('GET', `/events?resource_id=${user.wallet.id}`);
  expect(events.body.data.map(({ type }) => type)).toContain('wallet.closed');
  const workflow = stack.client.workflow.getHandle(walletWorkflowId(user.wallet.id));
  await eventually(async () => (await workflow.describe()).status.name === 'COMPLETED', PATIENCE);
  const refused = await market.api('POST', '/orders', {
    buyer_id: other.id,
    seller_id: user.id,
    amount: '1',
    title: 'Logo',
  });
  const state = { current_status: null, allowed: [], operation: null };
  expect(refused).toMatchObject({ status: 409, body: { code: 'INVALID_STATE', ...state } });
  expect(await orchestrator('wallets', 'close', user.wallet.id)).toMatchObject({ transaction_hash: null });
}, 240_000);

test('a closing whose workflow was lost is finished from the wallet’s row', async () => {
  const user = await readyUser(market.api);
  await stack.client.workflow.getHandle(walletWorkflowId(user.wallet.id)).terminate('lost');
  await sql`update wallets set closing_at = now() where id = ${user.wallet.id}`.execute(pool(orm));
  const { taskQueuePrefix, network, paymentSource } = loadConfig(stack.env, 'worker');
  const workflows = createWorkflowClient({ ...stack.temporal, taskQueuePrefix, network, paymentSource });
  await workflows.ensureWallets([user.wallet.id]);
  await workflows.close();
  await eventually(async () => (await walletStatus(user)) === 'CLOSED', PATIENCE);
  expect((await rpc.account(user.wallet.address ?? '')).value).toBeNull();
}, 240_000);

test('a deposit that comes before the closing lands keeps the wallet open, and is credited', async () => {
  const user = await readyUser(market.api);
  await stack.killWorker();
  await market.api('POST', '/sandbox/deposits', { user_id: user.id, amount: '7' });
  await eventually(async () => (await trustline(user))?.balance === 70_000_000n, PATIENCE);
  // Nobody follows payments: our rows do not know of the money yet.
  const blind = await stack.startAnotherWorker({ DISABLE_BLOCKCHAIN_MONITOR: 'true' });
  expect(await refusalOf('wallets', 'close', user.id)).toContain('stays open');
  await blind.kill();
  await stack.startWorker();
  await eventually(async () => {
    const { body } = await market.api<{ available: string }>('GET', `/users/${user.id}/balance`);
    return body.available === '7';
  }, PATIENCE);
  expect(await walletStatus(user)).toBe('READY');
  await expectCoherent(stack);
}, 300_000);
