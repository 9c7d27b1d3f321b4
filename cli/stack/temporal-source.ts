/** Which Temporal an embedded stack uses. */
import { randomBytes } from 'node:crypto';
import type { Environment } from '../../config/config.ts';
import type { TemporalSource } from './stack.ts';
import { resolveTemporalBinary } from './temporal-binary.ts';
import { probe, registerNamespace } from './temporal.ts';

/**
 * TEMPORAL_ADDRESS where it is set, else a development server of our own.
 * @param options.fresh on a foreign server: a namespace of its own, because what runs there belongs to other data
 * @throws Error that says what to install, or that the given server does not answer
 */
export async function temporalSource(options: {
  readonly env: Environment;
  readonly fresh: boolean;
  readonly ui: boolean;
  readonly say: (line: string) => void;
}): Promise<TemporalSource> {
  const address = options.env['TEMPORAL_ADDRESS'];
  if (address === undefined || address === '') {
    const onFetch = (): void => options.say('fetching the Temporal CLI, once');
    return { binary: await resolveTemporalBinary(options.env, onFetch), ui: options.ui };
  }
  const namespace = options.env['TEMPORAL_NAMESPACE'] || 'default';
  try {
    await probe(address, namespace);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new Error(`TEMPORAL_ADDRESS=${address} (namespace ${namespace}) does not answer: ${why}`);
  }
  if (!options.fresh) return { address, namespace };
  const own = `orchestrator-${randomBytes(4).toString('hex')}`;
  await registerNamespace(address, own);
  return { address, namespace: own };
}
