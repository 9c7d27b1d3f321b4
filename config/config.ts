/** One validated configuration object, read once at boot. */
import { createHash } from 'node:crypto';
import type { PaymentProviderName } from '../domain/statuses.ts';
import type { TaskQueue } from '../domain/workflow-ids.ts';
import { networkProblems } from './network.ts';
import { VARIABLES, type NeededBy, type Parsed, type VaultKey } from './variables.ts';

/** A secret as a function: neither a log line nor an inspected object shows it. */
type Secret = () => string;

export interface Config {
  readonly database: {
    readonly url: string;
    readonly preparedStatements: boolean;
    readonly listenUrl: string | null;
    readonly readUrl: string | null;
  };
  readonly temporal: { readonly address: string; readonly namespace: string };
  readonly network: 'sandbox' | 'testnet' | 'public';
  readonly stellar: {
    readonly passphrase: string;
    /** in order of preference; at least one */
    readonly horizonUrls: readonly string[];
    readonly rpcUrls: readonly string[];
    /** per process and address; 0: no limit */
    readonly requestsPerMinute: { readonly horizon: number; readonly rpc: number };
  };
  readonly trustlessWork: {
    readonly url: string;
    /** of all workers together; 0: no limit */
    readonly requestsPerMinute: number;
    readonly apiKey: Secret;
    readonly feeWallet: string;
    readonly feeWalletIsArgument: boolean;
    /** contract addresses and code hashes (hex) by escrow type */
    readonly factories: { readonly single: string; readonly multi: string };
    readonly wasmHashes: { readonly single: string; readonly multi: string };
    /** further code (hex) that contracts deployed earlier may run */
    readonly earlierBuilds: NonNullable<Parsed['ESCROW_WASM_EARLIER']>;
  };
  /** who builds the envelopes of escrow calls */
  readonly escrowGateway: 'trustless-work' | 'direct';
  /** settlement assets; the first is the default */
  readonly assets: readonly { readonly code: string; readonly issuer: string }[];
  readonly sponsorAddress: string;
  /** days that the sponsor's balance should last */
  readonly sponsorDaysMin: number;
  /** wallets per marketplace by kind */
  readonly pools: { readonly OPERATOR: number; readonly RESOLVER: number };
  /** null in a process that does not serve the `signing` queue: it never sees a key */
  readonly signing: {
    readonly sponsorSecret: Secret;
    /** the first seals, all open */
    readonly vaultKeys: readonly VaultKey[];
  } | null;
  /** SHA-256 in hex of the first platform key */
  readonly platformApiKeyHash: string | null;
  readonly sandboxControlUrl: string | null;
  readonly http: { readonly host: string; readonly port: number; readonly healthPort: number };
  readonly logLevel: string;
  /** without prefix; `payments` is left out where the monitor is disabled */
  readonly taskQueues: readonly TaskQueue[];
  readonly taskQueuePrefix: string;
  readonly monitorDisabled: boolean;
  /** null: see worker/bundle.ts */
  readonly workflowBundlePath: string | null;
  readonly paymentSource: 'shared' | 'stream';
  readonly paymentProvider: PaymentProviderName;
  /** stroops */
  readonly orderLimits: { readonly min: bigint; readonly max: bigint };
  /** stroops; null: not limited. `dayMax` is per user and asset */
  readonly withdrawalLimits: { readonly min: bigint; readonly max: bigint | null; readonly dayMax: bigint | null };
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names every wrong variable at once; carries no value, secret or not. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/**
 * Reads and validates the environment of a serving process.
 * @param role `api` never loads keys; `worker` needs them only when it serves `signing`
 * @throws ConfigError naming every wrong variable
 */
export function loadConfig(env: Environment, role: 'api' | 'worker'): Config {
  const problems: string[] = [];
  const serving = read(env, ['serving'], problems);
  const servesSigning = role === 'worker' && (serving.TASK_QUEUES ?? []).includes('signing');
  const values = servesSigning ? { ...serving, ...read(env, ['signing'], problems) } : serving;
  if (values.SANDBOX_CONTROL_URL !== undefined && values.STELLAR_NETWORK !== 'sandbox')
    problems.push('SANDBOX_CONTROL_URL: only with STELLAR_NETWORK=sandbox');
  if (values.ORDER_MIN !== undefined && values.ORDER_MAX !== undefined && values.ORDER_MIN > values.ORDER_MAX)
    problems.push('ORDER_MIN: must not exceed ORDER_MAX');
  if (values.WITHDRAWAL_MAX !== undefined && (values.WITHDRAWAL_MIN ?? 0n) > values.WITHDRAWAL_MAX)
    problems.push('WITHDRAWAL_MIN: must not exceed WITHDRAWAL_MAX');
  problems.push(...networkProblems(values));
  refuseProblems(problems);
  // every variable that was asked for is there now: it threw otherwise
  return assemble(values as Parsed, servesSigning);
}

/**
 * The owner's database URL, for `migrate` alone.
 * @throws ConfigError
 */
export function loadMigrationConfig(env: Environment): { readonly directUrl: string } {
  const problems: string[] = [];
  const { DIRECT_URL } = read(env, ['migrate'], problems);
  refuseProblems(problems);
  return { directUrl: DIRECT_URL ?? '' };
}

function read(env: Environment, groups: readonly NeededBy[], problems: string[]): Partial<Parsed> {
  const values: Record<string, unknown> = {};
  for (const [name, { schema, neededBy }] of Object.entries(VARIABLES)) {
    if (!groups.includes(neededBy)) continue;
    const text = env[name];
    // an empty line of an .env file means "not set"
    const result = schema.safeParse(text === '' ? undefined : text);
    if (result.success) values[name] = result.data;
    else
      problems.push(
        `${name}: ${text === undefined || text === '' ? 'is missing' : (result.error.issues[0]?.message ?? 'is wrong')}`,
      );
  }
  return values as Partial<Parsed>;
}

/** @throws ConfigError naming all of them, unless there are none */
export function refuseProblems(problems: readonly string[]): void {
  if (problems.length === 0) return;
  const count = problems.length === 1 ? '1 environment variable is' : `${problems.length} environment variables are`;
  throw new ConfigError(
    `${count} wrong (docs/configuration.md):\n${problems.map((problem) => `  ${problem}`).join('\n')}`,
  );
}

function assemble(values: Parsed, servesSigning: boolean): Config {
  const platformKey = values.PLATFORM_API_KEY;
  return {
    database: {
      url: values.DATABASE_URL,
      preparedStatements: values.DATABASE_PREPARED_STATEMENTS,
      listenUrl: values.DATABASE_LISTEN_URL ?? null,
      readUrl: values.DATABASE_READ_URL ?? null,
    },
    temporal: { address: values.TEMPORAL_ADDRESS, namespace: values.TEMPORAL_NAMESPACE },
    network: values.STELLAR_NETWORK,
    stellar: {
      passphrase: values.NETWORK_PASSPHRASE,
      horizonUrls: values.HORIZON_URL,
      rpcUrls: values.SOROBAN_RPC_URL,
      requestsPerMinute: { horizon: values.HORIZON_REQUESTS_PER_MINUTE, rpc: values.SOROBAN_RPC_REQUESTS_PER_MINUTE },
    },
    trustlessWork: {
      url: values.TRUSTLESS_WORK_URL,
      requestsPerMinute: values.TRUSTLESS_WORK_REQUESTS_PER_MINUTE,
      apiKey: () => values.TRUSTLESS_WORK_API_KEY,
      feeWallet: values.TRUSTLESS_WORK_FEE_WALLET,
      feeWalletIsArgument: values.ESCROW_FEE_WALLET_ARGUMENT,
      factories: { single: values.ESCROW_FACTORY_SINGLE, multi: values.ESCROW_FACTORY_MULTI },
      wasmHashes: { single: values.ESCROW_WASM_SINGLE, multi: values.ESCROW_WASM_MULTI },
      earlierBuilds: values.ESCROW_WASM_EARLIER ?? [],
    },
    escrowGateway: values.ESCROW_GATEWAY,
    assets: values.ASSETS,
    sponsorAddress: values.SPONSOR_ADDRESS,
    sponsorDaysMin: values.SPONSOR_DAYS_MIN,
    pools: { OPERATOR: values.OPERATORS_PER_MARKETPLACE, RESOLVER: values.RESOLVERS_PER_MARKETPLACE },
    signing: servesSigning
      ? {
          sponsorSecret: () => values.SPONSOR_SECRET,
          vaultKeys: values.VAULT_KEYS,
        }
      : null,
    platformApiKeyHash:
      values.PLATFORM_API_KEY_HASH ??
      (platformKey === undefined ? null : createHash('sha256').update(platformKey).digest('hex')),
    sandboxControlUrl: values.SANDBOX_CONTROL_URL ?? null,
    http: { host: values.HOST, port: values.PORT, healthPort: values.HEALTH_PORT },
    logLevel: values.LOG_LEVEL,
    taskQueues: values.TASK_QUEUES.filter((queue) => queue !== 'payments' || !values.DISABLE_BLOCKCHAIN_MONITOR),
    taskQueuePrefix: values.TASK_QUEUE_PREFIX,
    monitorDisabled: values.DISABLE_BLOCKCHAIN_MONITOR,
    workflowBundlePath: values.WORKFLOW_BUNDLE_PATH ?? null,
    paymentSource: values.PAYMENT_SOURCE,
    paymentProvider: values.PAYMENT_PROVIDER,
    orderLimits: { min: values.ORDER_MIN, max: values.ORDER_MAX },
    withdrawalLimits: {
      min: values.WITHDRAWAL_MIN,
      max: values.WITHDRAWAL_MAX ?? null,
      dayMax: values.WITHDRAWAL_DAY_MAX ?? null,
    },
  };
}
