/**
 * One attention item per provider that does not answer, however many orders wait for it: raised when nothing came for a
 * while, cleared by the next answer. Kept up to date by whichever worker calls it; a worker that cannot reach what another
 * one can leaves the item open.
 */
import { randomUUID } from 'node:crypto';
import { sql } from 'kysely';
import type { Logger } from 'pino';
import type { Orm } from '../../db/orm.ts';
import { pool } from '../../db/sql.ts';
import { newId } from '../../domain/ids.ts';
import type { ProviderWatch } from '../../providers/limits/watch.ts';

/** Shorter trouble passes by itself. */
const SLOW_MS = 15_000;
/** An item that is open is kept fresh that often. */
const RAISE_EVERY_MS = 10_000;
/** What another worker raised and cannot clear any more is looked for that often. */
const CLEAR_EVERY_MS = 60_000;
/** Who raised an item and has not failed for this long is gone: others may clear it. */
const SILENCE = '60 seconds';

interface View {
  failingSince: number | null;
  /** when this process last raised, and last cleared; null: never */
  raisedAt: number | null;
  clearedAt: number | null;
}

const REASON = 'PROVIDER_UNAVAILABLE';

/** @param options of tests */
export function createProviderWatch(
  { orm, log }: { readonly orm: Orm; readonly log: Logger },
  { now = () => performance.now() }: { readonly now?: () => number } = {},
): ProviderWatch & { written(): Promise<void> } {
  const worker = randomUUID();
  const views = new Map<string, View>();
  const viewOf = (name: string): View => {
    const view = views.get(name) ?? { failingSince: null, raisedAt: null, clearedAt: null };
    views.set(name, view);
    return view;
  };
  const due = (at: number | null, everyMs: number): boolean => at === null || now() - at >= everyMs;
  // In order, and nobody waits for it: a call on a provider must not fail because its outcome could not be noted.
  let written: Promise<void> = Promise.resolve();
  const write = (name: string, work: () => Promise<void>): void => {
    written = written
      .then(work)
      .catch((error: unknown) => log.warn({ error, provider: name }, 'provider.outage_not_noted'));
  };

  return {
    /** Everything up to now is stored. */
    written: () => written,
    answered: (name) => {
      const view = viewOf(name);
      view.failingSince = null;
      if (view.raisedAt === null && !due(view.clearedAt, CLEAR_EVERY_MS)) return;
      view.raisedAt = null;
      view.clearedAt = now();
      write(name, () => clear(orm, log, name, worker));
    },
    failed: (name, error) => {
      const view = viewOf(name);
      view.failingSince ??= now();
      if (now() - view.failingSince < SLOW_MS || !due(view.raisedAt, RAISE_EVERY_MS)) return;
      view.raisedAt = now();
      write(name, () => raise(orm, log, name, { worker, trouble: error.message.slice(0, 300) }));
    },
  };
}

async function raise(orm: Orm, log: Logger, name: string, detail: { worker: string; trouble: string }): Promise<void> {
  const { rows } = await sql<{ id: string; fresh: boolean }>`
    insert into attention (id, marketplace_id, resource_type, resource_id, workflow_id, reason, detail, allowed_repairs,
      since)
    values (${newId('attention')}, null, 'provider', ${name}, '', ${REASON},
      ${JSON.stringify(detail)}::jsonb || jsonb_build_object('failed_at', clock_timestamp()), '{}', clock_timestamp())
    on conflict (resource_id) where resource_type = 'provider' and cleared_at is null
    do update set detail = excluded.detail
    returning id, xmax = 0 as fresh`.execute(pool(orm));
  if (rows[0]?.fresh === true) log.error({ provider: name, ...detail }, 'provider.unavailable');
}

async function clear(orm: Orm, log: Logger, name: string, worker: string): Promise<void> {
  const { rows } = await sql<{ id: string }>`
    update attention set cleared_at = clock_timestamp()
    where resource_type = 'provider' and resource_id = ${name} and cleared_at is null
      and (detail->>'worker' = ${worker}
        or (detail->>'failed_at')::timestamptz < clock_timestamp() - ${SILENCE}::interval)
    returning id`.execute(pool(orm));
  if (rows.length > 0) log.info({ provider: name }, 'provider.answers_again');
}
