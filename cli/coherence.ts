/** The invariants of the books, compared with the chain. */
import { type Environment, loadConfig } from '../config/config.ts';
import { openOrm } from '../db/orm.ts';
import { verifyLedger, type Verification } from '../db/ledger/verify.ts';
import { pool } from '../db/sql.ts';
import { createChainRpc } from '../providers/chain/rpc.ts';
import { type ServiceOptions, loadEnvironment } from './services.ts';

interface CoherenceOptions {
  readonly databaseUrl: string;
  readonly rpcUrl: string;
  readonly networkPassphrase: string;
  readonly assets: readonly { readonly code: string; readonly issuer: string }[];
}

/** L1–L9 once, the balances on chain included. */
export async function checkCoherence(options: CoherenceOptions): Promise<Verification> {
  const rpc = createChainRpc({
    url: options.rpcUrl,
    networkPassphrase: options.networkPassphrase,
  });
  const orm = await openOrm({ url: options.databaseUrl, poolMax: 2, applicationName: 'orchestrator-verify' });
  try {
    return await verifyLedger({
      trx: pool(orm),
      chain: {
        balanceAt: async (address, code) => {
          const asset = options.assets.find((candidate) => candidate.code === code);
          if (asset === undefined) throw new Error(`${code} is no asset of this network`);
          return rpc.assetBalance(address, asset);
        },
      },
    });
  } finally {
    await orm.close();
  }
}

/** What `checkCoherence` needs, from the environment of a serving process. @throws ConfigError */
export function coherenceOptions(env: Environment): CoherenceOptions {
  const { database, stellar, assets } = loadConfig(env, 'api');
  const [rpcUrl = ''] = stellar.rpcUrls;
  return { databaseUrl: database.url, rpcUrl, networkPassphrase: stellar.passphrase, assets };
}

/** `orchestrator ledger verify`: one line of JSON; ends with exit code 1 when an invariant is broken. */
export async function runLedgerVerify(options: ServiceOptions): Promise<void> {
  loadEnvironment(options);
  const verification = await checkCoherence(coherenceOptions(process.env));
  process.stdout.write(`${JSON.stringify(verification)}\n`);
  if (verification.violations.length > 0) process.exitCode = 1;
}
