/** Waiting for something to become true: short looks at the database, ended by time or by shutdown. */
import { setTimeout } from 'node:timers/promises';
import { Refusal } from '../domain/refusal.ts';
import type { Answer, Call } from './route.ts';

/**
 * Looks until `look` finds something, the time is up, or the process stops.
 * @returns what was found, else null
 */
export async function waitFor<T>(
  look: () => Promise<T | null>,
  options: { readonly ms: number; readonly signal: AbortSignal; readonly everyMs?: number },
): Promise<T | null> {
  const end = Date.now() + options.ms;
  for (;;) {
    const found = await look();
    const left = end - Date.now();
    if (found !== null || left <= 0 || options.signal.aborted) return found;
    await pause(Math.min(options.everyMs ?? 100, left), options.signal);
  }
}

/** Resolves after `ms`, or at once when the signal is aborted. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await setTimeout(ms, undefined, { signal }).catch(() => undefined);
}

/**
 * GET of a resource; with `If-None-Match` and `Prefer: wait=N` the answer comes when it has changed, else 304.
 * @param peek its version alone, where that is cheaper than `look`
 */
export async function whenChanged<T extends { readonly version: number }>(
  call: Call,
  look: () => Promise<T>,
  answer: (resource: T) => Answer,
  peek: () => Promise<{ readonly version: number } | null> = look,
): Promise<Answer> {
  const isKnown = ({ version }: { readonly version: number }): boolean =>
    call.ifNoneMatch !== null && new RegExp(`^(W/)?"?${version}"?$`).test(call.ifNoneMatch.trim());
  const now = await look();
  if (!isKnown(now)) return answer(now);
  const hasChanged = async () => {
    const next = await peek();
    return next === null || isKnown(next) ? null : true;
  };
  const changed = await waitFor(hasChanged, { ms: (call.wait ?? 0) * 1_000, signal: call.deps.stopping });
  const { headers, ...rest } =
    changed === null ? { status: 304, headers: { ETag: `"${now.version}"` } } : answer(await look());
  const applied = call.wait === null ? {} : { 'Preference-Applied': `wait=${call.wait}` };
  return { ...rest, headers: { ...headers, ...applied } };
}

interface Operated {
  readonly operation: {
    readonly id: string;
    readonly status: string;
    readonly error: { readonly detail: string } | null;
  } | null;
}

/**
 * After a verb whose transactions follow: 202 without `Prefer: wait`; with it 200 when the operation has settled, 202 when
 * it is parked. @throws Refusal OPERATION_FAILED when it failed
 */
export async function whenSettled<T extends Operated>(
  call: Call,
  operationId: string,
  look: () => Promise<T>,
  answer: (status: number, resource: T) => Answer,
): Promise<Answer> {
  const { deps, wait } = call;
  if (wait === null) return answer(202, await look());
  const isRunning = ({ operation }: T): boolean => operation?.id === operationId && operation.status === 'RUNNING';
  await waitFor(async () => (isRunning(await look()) ? null : true), { ms: wait * 1_000, signal: deps.stopping });
  const resource = await look();
  const { operation } = resource;
  const applied = { 'Preference-Applied': `wait=${wait}` };
  if (operation?.id === operationId && operation.status === 'FAILED')
    throw new Refusal('OPERATION_FAILED', operation.error?.detail ?? 'it is proved not to have happened', {
      operation,
      headers: applied,
    });
  const settled = operation?.status === 'SUCCEEDED' || operation?.id !== operationId;
  const { headers, ...rest } = answer(settled ? 200 : 202, resource);
  return { ...rest, headers: { ...headers, ...applied } };
}
