/** The Temporal development server as a child process, and the namespaces on it. */
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { SEARCH_ATTRIBUTES } from '../../workflows/search-attributes.ts';
import type { ProcessSpec } from './processes.ts';

/** As the server's flags name them, and `temporal.api.enums.v1.IndexedValueType`. */
const VALUE_TYPES = {
  KEYWORD: { flag: 'Keyword', value: 2 },
  BOOL: { flag: 'Bool', value: 5 },
  DATETIME: { flag: 'Datetime', value: 6 },
} as const;

interface TemporalOptions {
  readonly binary: string;
  readonly port: number;
  /** null runs without the web UI */
  readonly uiPort: number | null;
  /** null keeps everything in memory */
  readonly dataDirectory: string | null;
  readonly namespaces?: readonly string[];
}

/** How to run the server; see the reasons beside the flags. */
export function temporalProcess(options: TemporalOptions): ProcessSpec {
  const settings = [
    // the default batches timers by a second, so that every timer fires a second late
    'history.timerProcessorMaxTimeShift="10ms"',
    // one partition: no forwarding between them at low traffic
    'matching.numTaskqueueReadPartitions=1',
    'matching.numTaskqueueWritePartitions=1',
    // a freshly registered namespace is usable after this time
    'system.namespaceCacheRefreshInterval="200ms"',
  ];
  const storage =
    options.dataDirectory === null
      ? []
      : [
          '-f',
          join(options.dataDirectory, 'temporal.db'),
          '--sqlite-pragma',
          'journal_mode=WAL',
          '--sqlite-pragma',
          'synchronous=OFF',
        ];
  const ui = options.uiPort === null ? ['--headless'] : ['--ui-ip=127.0.0.1', `--ui-port=${options.uiPort}`];
  return {
    name: 'temporal',
    command: options.binary,
    args: [
      'server',
      'start-dev',
      '--ip=127.0.0.1',
      `--port=${options.port}`,
      '--log-level=warn',
      ...ui,
      ...storage,
      ...settings.flatMap((setting) => ['--dynamic-config-value', setting]),
      ...SEARCH_ATTRIBUTES.flatMap(({ name, type }) => ['--search-attribute', `${name}=${VALUE_TYPES[type].flag}`]),
      ...(options.namespaces ?? []).flatMap((name) => ['-n', name]),
    ],
    ready: () => probe(`127.0.0.1:${options.port}`, 'default'),
    readyTimeoutMs: 30_000,
    stopSignal: 'SIGTERM',
    stopTimeoutMs: 5_000,
    restart: true,
  };
}

/** Resolves when the server answers for `namespace`. */
export async function probe(address: string, namespace: string): Promise<void> {
  await withConnection(address, (connection) =>
    connection.withDeadline(Date.now() + 2_000, () => connection.workflowService.describeNamespace({ namespace })),
  );
}

/** Registers the search attributes on a server that we did not start. Repeatable. */
export async function registerSearchAttributes(address: string, namespace: string): Promise<void> {
  await withConnection(address, async (connection) => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    const missing = SEARCH_ATTRIBUTES.filter(({ name }) => !(name in customAttributes));
    if (missing.length === 0) return;
    const searchAttributes = Object.fromEntries(missing.map(({ name, type }) => [name, VALUE_TYPES[type].value]));
    await connection.operatorService.addSearchAttributes({ namespace, searchAttributes });
  });
}

/** Registers a namespace with our search attributes and waits until the server accepts work in it. */
export async function registerNamespace(address: string, namespace: string): Promise<void> {
  await withConnection(address, async (connection) => {
    await connection.workflowService.registerNamespace({
      namespace,
      workflowExecutionRetentionPeriod: msToTs('1 day'),
    });
  });
  await registerSearchAttributes(address, namespace);
}

async function withConnection<T>(address: string, use: (connection: Connection) => Promise<T>): Promise<T> {
  const connection = await Connection.connect({ address, connectTimeout: 5_000 });
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}
