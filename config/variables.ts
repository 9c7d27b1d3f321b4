/**
 * Every environment variable, once: what is accepted, what it means, whether it is secret. The configuration object, the
 * table in docs/configuration.md and .env.example all come from here.
 */
import { createSecretKey, type KeyObject } from 'node:crypto';
import { StrKey } from '@stellar/stellar-sdk/base';
import { z } from 'zod';
import type { EscrowType } from '../domain/chain.ts';
import { formatAmount, parseAmount } from '../domain/money.ts';
import { TRUSTLESS_WORK_AMOUNT_MAX } from '../domain/limits.ts';
import { PAYMENT_PROVIDERS } from '../domain/statuses.ts';
import { TASK_QUEUES } from '../domain/workflow-ids.ts';

/** `signing` is needed by workers that serve that queue, `migrate` by the migration command, `serving` by API and workers. */
export type NeededBy = 'serving' | 'signing' | 'migrate';

interface Variable<T extends z.ZodType = z.ZodType> {
  readonly schema: T;
  readonly meaning: string;
  readonly example: string;
  readonly neededBy: NeededBy;
  readonly secret: boolean;
}

type Extra = { example: string; neededBy?: NeededBy; secret?: boolean };
const variable = <T extends z.ZodType>(schema: T, meaning: string, extra: Extra): Variable<T> => ({
  schema,
  meaning,
  example: extra.example,
  neededBy: extra.neededBy ?? 'serving',
  secret: extra.secret ?? false,
});

const postgresUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:\/\/[^/]+\/.+/.test(text), 'must be a postgres:// URL with a database');
const list = (text: string): string[] => text.split(',').map((part) => part.trim());
const httpUrl = z
  .url({ protocol: /^https?$/, error: 'must be an http(s):// URL' })
  .transform((text) => text.replace(/\/+$/, ''));
const httpUrls = z.string().transform(list).pipe(z.array(httpUrl).min(1));
const perMinute = z
  .string()
  .regex(/^\d{1,6}$/, 'must be a whole number of requests')
  .transform((text) => Number.parseInt(text, 10));
const port = z
  .string()
  .regex(/^\d{1,5}$/, 'must be a port number')
  .transform((text) => Number.parseInt(text, 10))
  .refine((value) => value <= 65_535, 'must be at most 65535');
const account = z.string().refine((text) => StrKey.isValidEd25519PublicKey(text), 'must be an account address (G…)');
const contract = z.string().refine((text) => StrKey.isValidContract(text), 'must be a contract address (C…)');
const hash = z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits');
const count = z
  .string()
  .regex(/^\d{1,4}$/, 'must be a whole number up to 9999')
  .transform((text) => Number.parseInt(text, 10));
const poolSize = count.refine((size) => size >= 1 && size <= 100, 'must be 1 to 100');
const flag = z.enum(['true', 'false'], { error: 'must be true or false' }).transform((text) => text === 'true');
const amount = z.string().transform((text, context) => {
  try {
    return parseAmount(text);
  } catch {
    context.addIssue('must be a decimal amount with at most 7 decimals');
    return 0n;
  }
});
const assets = z.string().transform((text, context) =>
  list(text).map((entry) => {
    const [code = '', issuer = ''] = entry.split(':');
    if (!/^[A-Za-z0-9]{1,12}$/.test(code) || !StrKey.isValidEd25519PublicKey(issuer))
      context.addIssue('must be a comma list of CODE:G…');
    return { code, issuer };
  }),
);

const taskQueues = z
  .string()
  .transform(list)
  .pipe(z.array(z.enum(TASK_QUEUES, { error: `must be a comma list of ${TASK_QUEUES.join(', ')}` })).min(1));

/** F57: a wrong encryption key is found at boot, not at the first customer. Messages never quote the value. */
const vaultKeys = z.string().transform((text, context) => {
  const keys = list(text).flatMap(vaultKey);
  if (keys.length !== list(text).length)
    context.addIssue('must be a comma list of ID:BASE64 with 32 bytes each, or ID:aws-kms:ARN');
  else if (new Set(keys.map(({ id }) => id)).size !== keys.length) context.addIssue('must not repeat a key id');
  return keys;
});

/** A key-encryption key: its bytes, or where it is. */
export type VaultKey =
  | { readonly id: string; readonly kind: 'local'; readonly key: KeyObject }
  | { readonly id: string; readonly kind: 'aws-kms'; readonly arn: string };

/** Empty when it is neither form. */
function vaultKey(text: string): VaultKey[] {
  const [, id = '', arn, material] =
    /^([\w-]{1,32}):(?:aws-kms:(arn:aws[\w-]*:kms:[a-z0-9-]+:\d{12}:(?:key|alias)\/[\w/-]+)|([A-Za-z0-9+/]{43}=))$/.exec(
      text,
    ) ?? [];
  if (arn !== undefined) return [{ id, kind: 'aws-kms', arn }];
  if (material === undefined) return [];
  const bytes = Buffer.from(material, 'base64');
  const key = createSecretKey(bytes);
  bytes.fill(0);
  return [{ id, kind: 'local', key }];
}

const builds = z.string().transform((text, context) => {
  const parts = /^(single|multi):([0-9a-f]{64}):(argument|compiled)$/;
  return list(text).map((entry) => {
    const [, type, wasmHash = '', feeWallet] = parts.exec(entry) ?? [];
    if (type === undefined) context.addIssue('must be a comma list of TYPE:HASH:FEE');
    const escrowType: EscrowType = type === 'multi' ? 'MULTI_RELEASE' : 'SINGLE_RELEASE';
    return { type: escrowType, wasmHash, feeWalletIsArgument: feeWallet === 'argument' };
  });
});

export const VARIABLES = {
  DATABASE_URL: variable(postgresUrl, 'Postgres, as the restricted application role; may go through a pooler', {
    example: 'postgres://orchestrator_app_login:secret@127.0.0.1:5432/orchestrator',
    secret: true,
  }),
  DATABASE_PREPARED_STATEMENTS: variable(
    flag.default(true),
    'Statements are parsed once per connection; `false` behind a pooler per transaction that does not keep them (PgBouncer before 1.21)',
    { example: 'true' },
  ),
  DATABASE_LISTEN_URL: variable(
    postgresUrl.optional(),
    'Direct host for LISTEN, same role; without it events are polled',
    {
      example: '',
      secret: true,
    },
  ),
  DATABASE_READ_URL: variable(postgresUrl.optional(), 'Read replica for old lists and reports', {
    example: '',
    secret: true,
  }),
  DIRECT_URL: variable(
    postgresUrl,
    'Postgres, as the owner of the schema; for `migrate` only, never in a serving process',
    {
      example: 'postgres://orchestrator_owner:secret@127.0.0.1:5432/orchestrator',
      neededBy: 'migrate',
      secret: true,
    },
  ),
  TEMPORAL_ADDRESS: variable(z.string().regex(/^[^\s:]+:\d{1,5}$/, 'must be host:port'), 'Temporal frontend', {
    example: '127.0.0.1:7233',
  }),
  TEMPORAL_NAMESPACE: variable(z.string().default('default'), 'Temporal namespace', { example: 'default' }),
  STELLAR_NETWORK: variable(
    z.enum(['sandbox', 'testnet', 'public'], { error: 'must be sandbox, testnet or public' }),
    'Which network',
    {
      example: 'testnet',
    },
  ),
  NETWORK_PASSPHRASE: variable(z.string().min(1), 'Passphrase of the network; signatures are bound to it', {
    example: 'Test SDF Network ; September 2015',
  }),
  HORIZON_URL: variable(
    httpUrls,
    'Horizon, for payments and account history; several by comma, in order of preference',
    { example: 'https://horizon-testnet.stellar.org' },
  ),
  HORIZON_REQUESTS_PER_MINUTE: variable(
    perMinute.default(60),
    'Requests that one process may make of each Horizon; 0: no limit',
    { example: '60' },
  ),
  SOROBAN_RPC_URL: variable(
    httpUrls,
    'Soroban RPC, for contract state and confirmation; several by comma, in order of preference',
    { example: 'https://soroban-testnet.stellar.org' },
  ),
  SOROBAN_RPC_REQUESTS_PER_MINUTE: variable(
    perMinute.default(3_000),
    'Requests that one process may make of each Soroban RPC; 0: no limit',
    { example: '3000' },
  ),
  TRUSTLESS_WORK_URL: variable(httpUrl, 'Trustless Work REST API', { example: 'https://dev.api.trustlesswork.com' }),
  TRUSTLESS_WORK_API_KEY: variable(z.string().min(1), 'Its API key', { example: 'change-me', secret: true }),
  TRUSTLESS_WORK_REQUESTS_PER_MINUTE: variable(
    perMinute.default(50),
    'Requests that all workers together may make of it; 0: no limit',
    { example: '50' },
  ),
  TRUSTLESS_WORK_FEE_WALLET: variable(account, 'Wallet that receives the protocol fee', {
    example: 'GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5',
  }),
  ESCROW_FACTORY_SINGLE: variable(contract, 'Factory contract of single-release escrows', {
    example: 'CDRCUUCXNNUWYEYWSDM7DJTAKPLEVIQXLYG5B7RIJCB6GFAGSENTKVG7',
  }),
  ESCROW_FACTORY_MULTI: variable(contract, 'Factory contract of multi-release escrows', {
    example: 'CDRCUUCXNNUWYEYWSDM7DJTAKPLEVIQXLYG5B7RIJCB6GFAGSENTKVG7',
  }),
  ESCROW_WASM_SINGLE: variable(hash, 'Hash of the single-release contract code that we accept', {
    example: '0'.repeat(64),
  }),
  ESCROW_WASM_MULTI: variable(hash, 'Hash of the multi-release contract code that we accept', {
    example: '0'.repeat(64),
  }),
  ESCROW_FEE_WALLET_ARGUMENT: variable(
    flag.default(false),
    'Whether the escrow contract takes the fee wallet as an argument (contracts of the testnet line)',
    { example: 'true' },
  ),
  ESCROW_WASM_EARLIER: variable(
    builds.optional(),
    'Code of contracts deployed earlier that we go on calling: `TYPE:HASH:FEE` by comma; TYPE is single or multi, FEE argument or compiled (see ESCROW_FEE_WALLET_ARGUMENT)',
    { example: '' },
  ),
  ESCROW_GATEWAY: variable(
    z.enum(['trustless-work', 'direct'], { error: 'must be trustless-work or direct' }).default('trustless-work'),
    'Who builds the envelopes of escrow calls: the API of Trustless Work, or we ourselves with SOROBAN_RPC_URL',
    { example: 'trustless-work' },
  ),
  ASSETS: variable(assets, 'Settlement assets, `CODE:ISSUER` by comma; the first is the default', {
    example: 'USDC:GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5',
  }),
  SPONSOR_ADDRESS: variable(account, 'Account that pays fees and reserves', {
    example: 'GBBD47IF6LWK7P7MDEVSCWR7DPUWV3NY3DTQEVFL4NAT4AQH3ZLLFLA5',
  }),
  SPONSOR_SECRET: variable(
    z.string().refine((text) => StrKey.isValidEd25519SecretSeed(text), 'must be a secret seed (S…)'),
    'Seed of SPONSOR_ADDRESS',
    { example: 'S…', neededBy: 'signing', secret: true },
  ),
  VAULT_KEYS: variable(
    vaultKeys,
    'Key-encryption keys by comma, `ID:BASE64` (32 bytes) or `ID:aws-kms:ARN`; the first encrypts, all decrypt',
    {
      example: 'k1:…',
      neededBy: 'signing',
      secret: true,
    },
  ),
  PLATFORM_API_KEY: variable(
    z.string().min(16, 'must have at least 16 characters').optional(),
    'First platform key; only its hash is kept',
    {
      example: '',
      secret: true,
    },
  ),
  PLATFORM_API_KEY_HASH: variable(hash.optional(), 'The same as SHA-256 in hex, instead of the key itself', {
    example: '',
  }),
  SANDBOX_CONTROL_URL: variable(
    httpUrl.optional(),
    'Address of the sandbox, whose /control makes deposits; only with STELLAR_NETWORK=sandbox',
    {
      example: '',
    },
  ),
  HOST: variable(z.string().default('127.0.0.1'), 'Address that API and health servers bind', { example: '127.0.0.1' }),
  PORT: variable(port.default(3000), 'Port of the API', { example: '3000' }),
  HEALTH_PORT: variable(port.default(3001), 'Port of a worker’s /health and /metrics; 0 takes a free one', {
    example: '3001',
  }),
  LOG_LEVEL: variable(
    z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
    'Least level that is logged',
    {
      example: 'info',
    },
  ),
  TASK_QUEUES: variable(taskQueues.default([...TASK_QUEUES]), 'Queues that a worker serves', {
    example: TASK_QUEUES.join(','),
  }),
  TASK_QUEUE_PREFIX: variable(z.string().default(''), 'Put before every queue name, to share a namespace', {
    example: '',
  }),
  DISABLE_BLOCKCHAIN_MONITOR: variable(flag.default(false), 'Keeps a worker off the `payments` queue', {
    example: 'false',
  }),
  WORKFLOW_BUNDLE_PATH: variable(
    z.string().optional(),
    'Prebuilt workflow bundle, e.g. in an image; without it a worker builds one and keeps it in .cache',
    { example: '' },
  ),
  PAYMENT_SOURCE: variable(
    z.enum(['shared', 'stream']).default('shared'),
    'One reader for all wallets, or a Horizon stream per wallet',
    {
      example: 'shared',
    },
  ),
  PAYMENT_PROVIDER: variable(
    z.enum(PAYMENT_PROVIDERS).default('crypto-native'),
    'Default provider of new marketplaces',
    {
      example: 'crypto-native',
    },
  ),
  OPERATORS_PER_MARKETPLACE: variable(
    poolSize.default(3),
    'Wallets per marketplace that sign releases: each signs one transaction per ledger',
    { example: '3' },
  ),
  RESOLVERS_PER_MARKETPLACE: variable(
    poolSize.default(2),
    'Wallets per marketplace that sign resolutions of disputes and refunds',
    { example: '2' },
  ),
  SPONSOR_DAYS_MIN: variable(
    count.default(7),
    'When SPONSOR_ADDRESS has less XLM than it used in so many days, an attention item is raised',
    { example: '7' },
  ),
  ORDER_MIN: variable(amount.default(1n), 'Least amount of an order', { example: formatAmount(1n) }),
  ORDER_MAX: variable(
    amount
      .refine((value) => value <= TRUSTLESS_WORK_AMOUNT_MAX, 'must be at most 900000000')
      .default(TRUSTLESS_WORK_AMOUNT_MAX),
    'Largest amount of an order; at most 900000000',
    { example: formatAmount(TRUSTLESS_WORK_AMOUNT_MAX) },
  ),
  WITHDRAWAL_MIN: variable(amount.default(1n), 'Least amount of a withdrawal', { example: formatAmount(1n) }),
  WITHDRAWAL_MAX: variable(amount.optional(), 'Largest amount of a withdrawal', { example: '' }),
  WITHDRAWAL_DAY_MAX: variable(amount.optional(), 'What one user may withdraw of an asset within 24 hours', {
    example: '',
  }),
} as const;

type VariableName = keyof typeof VARIABLES;
export type Parsed = { [Name in VariableName]: z.output<(typeof VARIABLES)[Name]['schema']> };
