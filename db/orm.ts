/** MikroORM, set up once per process. */
import { Migrator } from '@mikro-orm/migrations';
import { MikroORM, UnderscoreNamingStrategy, defineConfig } from '@mikro-orm/postgresql';
import { ENTITIES } from './entities/index.ts';
import { nameStatements } from './prepared.ts';

export type Orm = MikroORM;

/**
 * Opens a pool on `url`. Serving processes pass the restricted role's URL; only `orchestrator migrate` passes the
 * owner's.
 */
export async function openOrm(options: {
  url: string;
  poolMax?: number;
  applicationName?: string;
  /** for processes that send the same statements over and over; not through every pooler */
  preparedStatements?: boolean;
}): Promise<Orm> {
  return MikroORM.init(
    defineConfig({
      clientUrl: options.url,
      entities: ENTITIES,
      extensions: [Migrator],
      namingStrategy: UnderscoreNamingStrategy,
      // With batching, the version check of optimistic locking is left out of the UPDATE: updates would get lost.
      useBatchUpdates: false,
      forceUtcTimezone: true,
      pool: { min: 0, max: options.poolMax ?? 10 },
      driverOptions: {
        application_name: options.applicationName ?? 'orchestrator',
        ...(options.preparedStatements === true ? { onPoolCreated: nameStatements } : {}),
      },
      migrations: {
        path: new URL('./migrations', import.meta.url).pathname,
        emit: 'ts',
        snapshot: false,
        silent: true,
        transactional: true,
      },
    }),
  );
}

/** Brings the schema to the newest migration; `url` is the owner's. */
export async function migrate(url: string): Promise<string[]> {
  const orm = await openOrm({ url, poolMax: 2, applicationName: 'orchestrator-migrate' });
  try {
    const done = await orm.migrator.up();
    return done.map((migration) => migration.name);
  } finally {
    await orm.close();
  }
}
