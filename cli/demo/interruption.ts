/** Kills the worker at the worst moment: the funding is sent, its outcome unknown. */
import { withClient } from '../stack/postgres.ts';
import type { Stack } from '../stack/stack.ts';
import { until } from './plays.ts';

/**
 * Holds the ledger so that the moment cannot be missed, waits until the funding of `orderId` was sent, kills the worker
 * (SIGKILL), lets ledgers close again and starts another worker.
 */
export async function interruptFunding(stack: Stack, orderId: string, ledgerMs: number): Promise<void> {
  await setClock(stack, 0);
  try {
    await until(`the funding of ${orderId} is sent`, () => isFundingSent(stack, orderId));
    await stack.stopService('worker', 'SIGKILL');
  } finally {
    await setClock(stack, ledgerMs);
  }
  await stack.start('worker');
}

async function isFundingSent(stack: Stack, orderId: string): Promise<true | null> {
  const question = `select 1 from chain_transactions where order_id = $1 and intent->>'kind' = 'FUND_ESCROW' and status = 'SUBMITTED'`;
  const { rowCount } = await withClient(stack.env['DATABASE_URL'] ?? '', (client) => client.query(question, [orderId]));
  return rowCount === 0 ? null : true;
}

/** 0 holds the ledger. */
async function setClock(stack: Stack, ledgerMs: number): Promise<void> {
  const response = await fetch(`${stack.sandboxUrl}/control/clock`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ ledger_ms: ledgerMs }),
  });
  if (!response.ok) throw new Error(`the sandbox's clock answered ${response.status}`);
}
