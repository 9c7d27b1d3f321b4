import { readFile } from 'node:fs/promises';
import { inspect } from 'node:util';
import { Keypair } from '@stellar/stellar-sdk';
import { expect, test } from '@jest/globals';
import { ConfigError, loadConfig, loadMigrationConfig, type Environment } from '../../config/config.ts';
import { createLog } from '../../config/log.ts';

const SEED = Keypair.random().secret();
const VAULT_KEY = Buffer.alloc(32, 7).toString('base64');

async function example(changes: Record<string, string> = {}): Promise<Environment> {
  const text = await readFile(new URL('../../.env.example', import.meta.url), 'utf8');
  const lines = text.split('\n').filter((line) => /^[A-Z_]+=/.test(line));
  const env = Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return { ...env, SPONSOR_SECRET: SEED, VAULT_KEYS: `k1:${VAULT_KEY}`, ...changes };
}

async function problem(env: Environment, role: 'api' | 'worker' = 'worker'): Promise<string> {
  try {
    loadConfig(env, role);
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

test('the example file, with secrets filled in, is a valid configuration', async () => {
  const config = loadConfig(await example(), 'worker');
  expect(config.network).toBe('testnet');
  expect(config.taskQueues).toEqual(['orders', 'escrow-api', 'chain', 'signing', 'payments', 'webhooks']);
  const [key] = config.signing?.vaultKeys ?? [];
  expect(key?.kind === 'local' && key.key.export()).toEqual(Buffer.alloc(32, 7));
  expect(loadMigrationConfig(await example()).directUrl).toMatch(/orchestrator_owner/);
});

test('one error names every wrong variable', async () => {
  const message = await problem(
    await example({ PORT: '70000', HORIZON_URL: 'ftp://x', ASSETS: 'USDC', DATABASE_URL: '', ORDER_MIN: '1e3' }),
  );
  expect(
    message
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(':')[0]),
  ).toEqual(['DATABASE_URL', 'HORIZON_URL', 'ASSETS', 'PORT', 'ORDER_MIN']);
  expect(message).toMatch(/DATABASE_URL: is missing/);
});

const TESTNET = 'Test SDF Network ; September 2015';
const PUBLIC = 'Public Global Stellar Network ; September 2015';
const CIRCLE = 'GA5ZSEJYB37JRC5AVCIA5MOP4RHTM335X2KGX3IHOJAPP5RE34K4KZVN';
test.each<[Record<string, string>, string[]]>([
  [{ NETWORK_PASSPHRASE: PUBLIC }, ['NETWORK_PASSPHRASE']],
  [{ STELLAR_NETWORK: 'sandbox', NETWORK_PASSPHRASE: TESTNET }, ['NETWORK_PASSPHRASE']],
  [{ ASSETS: `USDC:${CIRCLE}` }, ['ASSETS']],
  [{ TRUSTLESS_WORK_URL: 'https://api.trustlesswork.com' }, ['TRUSTLESS_WORK_URL']],
  [
    { STELLAR_NETWORK: 'public' },
    ['NETWORK_PASSPHRASE', 'HORIZON_URL', 'SOROBAN_RPC_URL', 'TRUSTLESS_WORK_URL', 'ASSETS'],
  ],
  [
    {
      STELLAR_NETWORK: 'public',
      NETWORK_PASSPHRASE: PUBLIC,
      HORIZON_URL: 'https://horizon.example.com',
      SOROBAN_RPC_URL: 'https://rpc.example.com',
      TRUSTLESS_WORK_URL: 'https://api.trustlesswork.com',
      // Somebody else's USDC (F40).
      ASSETS: `USDC:${Keypair.fromRawEd25519Seed(Buffer.alloc(32, 9)).publicKey()}`,
    },
    ['ASSETS'],
  ],
])('settings of different networks together refuse to boot, all named: %j', async (changes, wrong) => {
  const lines = (await problem(await example(changes))).split('\n').slice(1);
  expect(lines.map((line) => line.trim().split(':')[0])).toEqual(wrong);
});

test.each([
  ['VAULT_KEYS', `k1:${Buffer.alloc(31, 7).toString('base64')}`],
  ['VAULT_KEYS', `k1:${VAULT_KEY},k1:${VAULT_KEY}`],
  ['VAULT_KEYS', `k1:${VAULT_KEY},k2:aws-kms:arn:aws:s3:eu-central-1:111122223333:key/1`],
  ['SPONSOR_SECRET', `${SEED.slice(0, -1)}${SEED.endsWith('A') ? 'B' : 'A'}`],
  ['TRUSTLESS_WORK_FEE_WALLET', 'GAAA'],
  ['TASK_QUEUES', 'orders,oders'],
  ['ORDER_MAX', '999999999999'],
  ['SANDBOX_CONTROL_URL', 'http://127.0.0.1:8000/control'],
])('a wrong %s is found at boot and never quoted', async (name, value) => {
  const message = await problem(await example({ [name]: value }));
  expect(message).toContain(`${name}: `);
  expect(message).not.toContain(value);
});

test('contract code accepted besides the current one is named with its type and its fee wallet', async () => {
  const accepted = async (list: string) =>
    loadConfig(await example({ ESCROW_WASM_EARLIER: list }), 'api').trustlessWork.earlierBuilds;
  const [one, two] = ['1'.repeat(64), '2'.repeat(64)];
  expect(await accepted('')).toEqual([]);
  expect(await accepted(`single:${one}:argument, multi:${two}:compiled`)).toEqual([
    { type: 'SINGLE_RELEASE', wasmHash: one, feeWalletIsArgument: true },
    { type: 'MULTI_RELEASE', wasmHash: two, feeWalletIsArgument: false },
  ]);
  expect(await problem(await example({ ESCROW_WASM_EARLIER: `single:${one}` }))).toMatch(
    /ESCROW_WASM_EARLIER: must be a comma list of TYPE:HASH:FEE/,
  );
});

test('a process that does not sign never sees a key', async () => {
  const keyless = await example({ SPONSOR_SECRET: '', VAULT_KEYS: '' });
  expect(loadConfig(keyless, 'api').signing).toBeNull();
  expect(loadConfig({ ...keyless, TASK_QUEUES: 'orders,chain' }, 'worker').signing).toBeNull();
  expect(await problem(keyless)).toMatch(/SPONSOR_SECRET: is missing[^]*VAULT_KEYS: is missing/);
});

test('a disabled monitor leaves the payments queue to other processes', async () => {
  expect(loadConfig(await example({ DISABLE_BLOCKCHAIN_MONITOR: 'true' }), 'worker').taskQueues).not.toContain(
    'payments',
  );
});

test('a printed configuration shows no secret', async () => {
  const config = loadConfig(
    await example({ TRUSTLESS_WORK_API_KEY: 'tw-secret', PLATFORM_API_KEY: 'platform-secret-key' }),
    'worker',
  );
  const shown =
    inspect(config, { depth: 9 }) +
    JSON.stringify(config, (_, value) => (typeof value === 'bigint' ? String(value) : value));
  for (const secret of [SEED, VAULT_KEY, 'tw-secret', 'platform-secret-key']) expect(shown).not.toContain(secret);
});

test('a log line is one JSON object with a stable event name, and secret fields are redacted', () => {
  const lines: string[] = [];
  const log = createLog({ level: 'info', process: 'api', destination: { write: (line) => void lines.push(line) } });
  log.child({ request_id: 'req_1' }).info({ status: 200, api_key: 'sk', nested: { secret: 'x' } }, 'request.done');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    level: 'info',
    process: 'api',
    event: 'request.done',
    request_id: 'req_1',
    status: 200,
    api_key: '[redacted]',
    nested: { secret: '[redacted]' },
  });
});
