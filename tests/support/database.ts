/** A database of one's own for a test file: a copy of the migrated template. */
import { randomBytes } from 'node:crypto';
import { postgresUrl, withClient } from '../../cli/stack/postgres.ts';
import { TEMPLATE_DATABASE, testEnvironment } from './environment.ts';

export interface TestDatabase {
  /** owner of the schema; for looking behind the application's back */
  readonly ownerUrl: string;
  /** the restricted role, as in production */
  readonly appUrl: string;
  /** Keeps a copy as of now, in place of an earlier one. Nobody may be connected. */
  save(): Promise<void>;
  /** Back to the copy, as from a backup. Whoever is connected is thrown out. */
  restore(): Promise<void>;
  drop(): Promise<void>;
}

/** Clones the template (about 60 ms). */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { postgres } = testEnvironment();
  const name = `test_${randomBytes(8).toString('hex')}`;
  const admin = postgresUrl(postgres, 'superuser', 'postgres');
  await withClient(admin, (client) =>
    client.query(`create database ${name} template ${TEMPLATE_DATABASE} owner orchestrator_owner`),
  );
  const replace = (target: string, template: string | null): Promise<void> =>
    withClient(admin, async (client) => {
      await client.query(`drop database if exists ${target} with (force)`);
      if (template !== null)
        await client.query(`create database ${target} template ${template} owner orchestrator_owner`);
    });
  return {
    ownerUrl: postgresUrl(postgres, 'owner', name),
    appUrl: postgresUrl(postgres, 'app', name),
    save: () => replace(`${name}_saved`, name),
    restore: () => replace(name, `${name}_saved`),
    drop: async () => {
      await replace(name, null);
      await replace(`${name}_saved`, null);
    },
  };
}
