/** `expectCoherent(stack)`: all invariants of the books, the chain's balances included, once nothing is under way. */
import { checkCoherence, coherenceOptions } from '../../cli/coherence.ts';
import type { TestStack } from './stack.ts';
import { eventually } from './wait.ts';

/** @throws Error naming every violated invariant; money that is still on its way is waited for */
export async function expectCoherent(stack: Pick<TestStack, 'env'>): Promise<void> {
  await eventually(
    async () => {
      const { coherent, violations, unsettled } = await checkCoherence(coherenceOptions(stack.env));
      if (coherent) return true;
      throw new Error(`books: ${JSON.stringify({ violations, unsettled }, null, 1)}`);
    },
    { timeoutMs: 20_000 },
  );
}
