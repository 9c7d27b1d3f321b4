/** Faults as they are switched on from outside: over the control API. */
import { z } from 'zod';
import type { Sandbox } from '../../sandbox/server.ts';

const journalSchema = z.object({
  fired: z.array(z.object({ name: z.string(), ledger: z.int(), request: z.record(z.string(), z.string()) })),
});

export type Json = Record<string, unknown>;

export function control(sandbox: Sandbox) {
  const call = async (method: string, path: string, body?: object): Promise<{ status: number; body: Json }> => {
    const response = await fetch(`${sandbox.url}/control${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    return { status: response.status, body: (await response.json()) as Json };
  };
  return {
    call,
    /** Switches a fault on. */
    fault: async (rule: Json): Promise<void> => {
      const { status, body } = await call('POST', '/faults', rule);
      if (status !== 200) throw new Error(`the fault was refused: ${JSON.stringify(body)}`);
    },
    calm: () => call('DELETE', '/faults'),
    /** The latest fault that fired, and on which request. */
    last: async () => journalSchema.parse((await call('GET', '/journal')).body).fired.at(-1),
  };
}
