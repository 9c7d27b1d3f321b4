/** A database of one's own for a test file: a copy of the migrated template. */
import { randomBytes } from 'node:crypto';
import { postgresUrl, withClient } from '../../cli/stack/postgres.ts';
import { TEMPLATE_DATABASE, testEnvironment } from './environment.ts';

export interface TestDatabase {
  /** owner of the schema; for looking behind the application's back */
  readonly ownerUrl: string;
  /** the restricted role, as in production */
  readonly appUrl: string;
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
  return {
    ownerUrl: postgresUrl(postgres, 'owner', name),
    appUrl: postgresUrl(postgres, 'app', name),
    drop: async () => {
      await withClient(admin, (client) => client.query(`drop database if exists ${name} with (force)`));
    },
  };
}
