/** `expectCoherent(stack)`: all invariants of the books, the chain's balances included, once nothing is under way. */
import { openOrm } from '../../db/orm.ts';
import { verifyLedger } from '../../db/ledger/verify.ts';
import { pool } from '../../db/sql.ts';
import { createChainRpc } from '../../providers/chain/rpc.ts';
import type { TestStack } from './stack.ts';
import { eventually } from './wait.ts';

/** @throws Error naming every violated invariant; money that is still on its way is waited for */
export async function expectCoherent(stack: TestStack): Promise<void> {
  const orm = await openOrm({ url: stack.databaseUrls.app, poolMax: 2, applicationName: 'expect-coherent' });
  const setting = (name: string): string => {
    const value = stack.env[name];
    if (value === undefined) throw new Error(`the stack has no ${name}`);
    return value;
  };
  const assets = setting('ASSETS')
    .split(',')
    .map((text) => text.split(':'))
    .map(([code = '', issuer = '']) => ({ code, issuer }));
  const rpc = createChainRpc({ url: setting('SOROBAN_RPC_URL'), networkPassphrase: setting('NETWORK_PASSPHRASE') });
  const balanceAt = async (address: string, code: string) => {
    const asset = assets.find((candidate) => candidate.code === code);
    if (asset === undefined) throw new Error(`${code} is no asset of this network`);
    return rpc.assetBalance(address, asset);
  };
  try {
    await eventually(
      async () => {
        const found = await verifyLedger({ trx: pool(orm), chain: { balanceAt } });
        if (found.coherent) return true;
        throw new Error(
          `books: ${JSON.stringify({ violations: found.violations, unsettled: found.unsettled }, null, 1)}`,
        );
      },
      { timeoutMs: 20_000 },
    );
  } finally {
    await orm.close();
  }
}
