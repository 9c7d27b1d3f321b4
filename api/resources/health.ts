/** Alive, ready, and the numbers one asks for in an incident. */
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { backlog, providerOutages, readerLedger, schemaIsCurrent, sponsorDaysLeft } from '../../db/health.ts';
import { pool } from '../../db/sql.ts';
import { endpointNames } from '../../domain/providers.ts';
import type { ApiDeps } from '../deps.ts';
import { route } from '../route.ts';

/** In an incident nobody waits for a provider. */
const CHAIN_TIMEOUT_MS = 2_000;

const HealthSchema = z.object({ status: z.literal('ok') }).meta({ id: 'Health' });
const ReadySchema = z
  .object({
    status: z.enum(['ok', 'unavailable']),
    checks: z.object({ database: z.boolean(), schema: z.boolean(), config: z.boolean() }),
  })
  .meta({ id: 'Readiness' });
const DetailedSchema = ReadySchema.extend({
  pollers: z.record(z.string(), z.int().nullable()).meta({
    description:
      'By task queue, who asked for work within the last minutes; null: the workflow service does not answer',
  }),
  monitor_lag_ledgers: z.int().nullable().meta({
    description: 'Ledgers that the network has closed and the chain reader has not read; null: nobody knows',
  }),
  oldest_unrelayed_event_s: z.int(),
  parked: z.int(),
  providers: z
    .record(z.string(), z.string())
    .meta({ description: '`ok`, or since when it has not answered, e.g. `down since 2026-11-22T10:00:00.000Z`' }),
  sponsor_days_left: z.number().nullable(),
  reserves_difference: z.string().nullable(),
}).meta({ id: 'HealthDetails' });

/** Own configuration, database, schema. Temporal or the workers being down must not take reads down. */
async function readiness({ orm }: ApiDeps): Promise<z.output<typeof ReadySchema>> {
  const schema = await schemaIsCurrent(pool(orm)).catch(() => null);
  const checks = { database: schema !== null, schema: schema === true, config: true };
  return { status: checks.database && checks.schema ? 'ok' : 'unavailable', checks };
}

/** Every configured provider by name. */
async function providerStates({ orm, config }: ApiDeps): Promise<Record<string, string>> {
  const { horizonUrls, rpcUrls } = config.stellar;
  const names = [...endpointNames('rpc', rpcUrls), ...endpointNames('horizon', horizonUrls)];
  if (config.escrowGateway === 'trustless-work') names.push(config.escrowGateway);
  const outages = await providerOutages(pool(orm));
  const state = (since: string | undefined): string => (since === undefined ? 'ok' : `down since ${since}`);
  return Object.fromEntries(names.map((name) => [name, state(outages.get(name))]));
}

/** How far everything that touched us is known, against what the network has closed. */
async function monitorLag({ orm, config, chainLedger }: ApiDeps): Promise<number | null> {
  const latest = Promise.race([chainLedger(), delay(CHAIN_TIMEOUT_MS, null, { ref: false })]).catch(() => null);
  const [read, closed] = await Promise.all([readerLedger(pool(orm), config.network), latest]);
  return read === null || closed === null ? null : Math.max(0, closed - read);
}

export const HEALTH_ROUTES = [
  route({
    method: 'get',
    path: '/health',
    tag: 'health',
    summary: 'Alive',
    access: { keys: 'public' },
    answers: { 200: HealthSchema },
    reasons: [],
    handle: async () => ({ status: 200, body: { status: 'ok' } }),
  }),
  route({
    method: 'get',
    path: '/health/ready',
    tag: 'health',
    summary: 'Ready to serve',
    access: { keys: 'public' },
    answers: { 200: ReadySchema, 503: ReadySchema },
    reasons: [],
    handle: async ({ deps }) => {
      const body = await readiness(deps);
      return { status: body.status === 'ok' ? 200 : 503, body };
    },
  }),
  route({
    method: 'get',
    path: '/health/detailed',
    tag: 'health',
    summary: 'Numbers for an incident',
    access: { keys: 'any', scope: 'support' },
    answers: { 200: DetailedSchema },
    reasons: [],
    handle: async ({ deps, auth }) => {
      const [ready, waiting, pollers, lag, providers, daysLeft] = await Promise.all([
        readiness(deps),
        backlog(pool(deps.orm), auth?.marketplace?.id ?? null),
        deps.workflows.pollers(),
        monitorLag(deps),
        providerStates(deps),
        // The deployment's, not a marketplace's.
        auth?.marketplace == null ? sponsorDaysLeft(pool(deps.orm), deps.config.network) : null,
      ]);
      const body = {
        ...ready,
        pollers,
        monitor_lag_ledgers: lag,
        oldest_unrelayed_event_s: waiting.oldestUnrelayedEventS,
        parked: waiting.parked,
        providers,
        sponsor_days_left: daysLeft,
        reserves_difference: null,
      };
      return { status: 200, body };
    },
  }),
];
